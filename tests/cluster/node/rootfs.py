"""The node's root file system: Debian, kind's files, the Kubernetes programs, the control plane's images. For kit.py.

It does what kind's images/base/Dockerfile and `kind build node-image` do, without a container registry.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.console import ClusterError, run, succeeds
from tests.cluster.node.binaries import KUBERNETES
from tests.cluster.tools import GO_ENVIRONMENT, KIND, NICE, go, popen_quiet

FILES = Path(__file__).parent / "files"
# bookworm's systemd still boots on cgroup v1
SUITE = "bookworm"
# fmt: off
NODE_PACKAGES = (
    "systemd", "dbus", "iproute2", "iptables", "nftables", "conntrack", "ethtool", "socat", "mount", "util-linux",
    "procps", "kmod", "containerd", "runc", "jq", "curl", "ca-certificates", "containernetworking-plugins",
    "libseccomp2", "pigz", "bash", "hostname", "iputils-ping", "findutils",
)
# fmt: on
PROXY_PACKAGES = ["iptables", "conntrack", "dash", "grep", "coreutils", "kmod", "nftables"]
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
CNI_PLUGINS = ("host-local", "loopback", "ptp", "portmap", "bridge")
CONTAINERD_START_SECONDS = 30


def debian_root(tar: Path, packages: Sequence[str], variant: str) -> Path:
    """Make a Debian root with `packages` as the tar `tar`, and return its path."""
    options = [f"--variant={variant}", f"--include={','.join(packages)}"]
    options += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    run([*NICE, "mmdebstrap", *options, SUITE, tar])
    return tar


def assemble(root: Path, debian: Path, binaries: Path) -> None:
    """Lay the node's root out in the folder `root`: the tar `debian`, kind's files, the programs; set systemd up."""
    root.mkdir(parents=True)
    run(["tar", "-C", root, "-xpf", debian, "--numeric-owner", "--exclude=./dev/*"])
    for cached in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / cached, ignore_errors=True)
    _copy_kind_files(root)
    _add_programs(root, binaries)
    run(["cp", "-r", f"{FILES}/rootfs/.", root])
    run(["install", "-m755", FILES / "systemd-setup.sh", root / "setup.sh"])
    run(["chroot", root, "/setup.sh"])
    (root / "setup.sh").unlink()
    _configure_containerd(root / "etc/containerd/config.toml")
    (root / "kind/version").write_text(KUBERNETES)


def _copy_kind_files(root: Path) -> None:
    module = json.loads(run([go(), "mod", "download", "-json", KIND], GO_ENVIRONMENT, cwd=root))
    run(["cp", "-rL", "--no-preserve=mode,ownership", f"{module['Dir']}/images/base/files/.", root])
    (root / "usr/local/bin/clean-install").unlink()
    (root / "etc/systemd/system/containerd-fuse-overlayfs.service").unlink()
    for script in (*(root / "usr/local/bin").iterdir(), *(root / "kind/bin").iterdir()):
        script.chmod(0o755)


def _add_programs(root: Path, binaries: Path) -> None:
    for folder in ("opt/cni/bin", "etc/cni/net.d", "etc/kubernetes/manifests", "kind/manifests"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for plugin in CNI_PLUGINS:
        shutil.copy2(root / "usr/lib/cni" / plugin, root / "opt/cni/bin")
    shutil.rmtree(root / "usr/lib/cni")
    for program in ("containerd", "ctr", "containerd-shim-runc-v2"):
        (root / "usr/local/bin" / program).symlink_to(f"/usr/bin/{program}")
    for program in ("kubeadm", "kubelet", "kubectl"):
        shutil.copy2(binaries / program, root / "usr/bin")
    shutil.copy2(binaries / "crictl", root / "usr/local/bin")


def _configure_containerd(path: Path) -> None:
    """Adapt kind's configuration: no fuse-overlayfs, and no lowering of oom_score_adj, which needs CAP_SYS_RESOURCE."""
    text = path.read_text()
    text = re.sub(r'^\[proxy_plugins\].*?containerd-fuse-overlayfs\.sock"\n', "", text, flags=re.DOTALL | re.MULTILINE)
    text = text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    path.write_text(text)


@contextmanager
def image_store(root: Path, programs: Path) -> Iterator[list[str | Path]]:
    """Run a containerd on the node's own store while the block lasts; yields the `ctr` command that reaches it."""
    with tempfile.TemporaryDirectory() as folder:
        socket, config = Path(folder, "c.sock"), Path(folder, "config.toml")
        config.write_text(
            f'version = 2\nroot = "{root}/var/lib/containerd"\nstate = "{folder}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{socket}"\n'
        )
        ctr: list[str | Path] = [programs / "usr/bin/ctr", "-a", socket, "-n", "k8s.io"]
        process = popen_quiet([programs / "usr/bin/containerd", "-c", config], Path(folder, "log"), {})
        try:
            deadline = time.monotonic() + CONTAINERD_START_SECONDS
            while not succeeds([*ctr, "version"]):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ClusterError(f"containerd did not start:\n{Path(folder, 'log').read_text()}")
                time.sleep(0.1)
            yield ctr
        finally:
            process.terminate()
            process.wait()


def import_image(ctr: Sequence[str | Path], archive: Path) -> None:
    """Put one image into the store, pinned, so that the kubelet never removes it, and packed, as kind does."""
    pinned = "--label=io.cri-containerd.pinned=pinned"
    run([*ctr, "images", "import", pinned, "--all-platforms", "--no-unpack", "--digests", archive])
