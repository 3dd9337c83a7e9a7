"""Builds the Kubernetes programs of the node from Go modules. Called by kit.py.

Versions are those of files/go/go.mod; what is built twice with the same flags comes from Go's own build cache.
"""

from __future__ import annotations

from pathlib import Path

from tests.cluster.console import lock, run, step
from tests.cluster.identity import CACHE
from tests.cluster.tools import GO_ENVIRONMENT, NICE, go, go_install

KUBERNETES = "v1.34.4"
COREDNS = "v1.12.1"
MODULE = Path(__file__).parent / "files" / "go"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
KUBERNETES_COMMANDS = ("kubeadm", "kubectl", "kubelet", "kube-proxy", *CONTROL_PLANE)


def build(into: Path) -> None:
    """Build every program of the node and its control plane into the folder `into`."""
    into.mkdir(parents=True)
    _build([f"k8s.io/kubernetes/cmd/{command}" for command in KUBERNETES_COMMANDS], into, _version_stamps())
    _build(["go.etcd.io/etcd/server/v3"], into / "etcd")
    _build(["./crictl", "./pause"], into)
    go_install(f"github.com/coredns/coredns@{COREDNS}", into)


def kubectl() -> Path:
    """Build kubectl alone into the cache, once, and return its folder: for machines whose Docker serves but lack it."""
    folder = CACHE / "tools" / f"kubectl-{KUBERNETES}"
    with lock(Path(f"{folder}.lock")):
        if not (folder / "kubectl").exists():
            with step(f"kubectl {KUBERNETES} from Go modules"):
                folder.mkdir(parents=True, exist_ok=True)
                _build(["k8s.io/kubernetes/cmd/kubectl"], folder, _version_stamps())
    return folder


def _version_stamps() -> str:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    stamp = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    return "".join(f" -X k8s.io/component-base/version.{key}={value}" for key, value in stamp.items())


def _build(packages: list[str], output: Path, stamps: str = "") -> None:
    flags = ["-mod=readonly", "-trimpath", "-ldflags", f"-s -w{stamps}"]
    run([*NICE, go(), "build", *flags, "-o", output, *packages], GO_ENVIRONMENT, cwd=MODULE)
