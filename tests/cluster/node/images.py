"""The control plane's images, under the names that kubeadm asks for. Called by kit.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.cluster.node.archive import files_layer, write_image
from tests.cluster.node.binaries import CONTROL_PLANE, COREDNS, KUBERNETES

REGISTRY = "registry.k8s.io"
IPTABLES_WRAPPER = Path(__file__).parent / "files" / "kube-proxy" / "iptables-wrapper"
IPTABLES_COMMANDS = [f"/usr/sbin/{ip}{verb}" for ip in ("iptables", "ip6tables") for verb in ("", "-save", "-restore")]
# image -> (program in the folder of binaries, its path in the image);
# kubeadm 1.34 asks for etcd under the tag 3.6.5-0, the version inside is that of files/go/go.mod
ONE_PROGRAM_IMAGES = {
    f"{REGISTRY}/pause:3.10": ("pause", "/pause"),
    f"{REGISTRY}/pause:3.10.1": ("pause", "/pause"),
    f"{REGISTRY}/etcd:3.6.5-0": ("etcd", "/usr/local/bin/etcd"),
    f"{REGISTRY}/coredns/coredns:{COREDNS}": ("coredns", "/coredns"),
    **{f"{REGISTRY}/{name}:{KUBERNETES}": (name, f"/usr/local/bin/{name}") for name in CONTROL_PLANE},
}


def write_images(binaries: Path, proxy_root: Path, into: Path) -> Iterator[Path]:
    """Yield the archive of one image after the other; each replaces the one before it in the folder `into`.

    kube-proxy stands on the Debian root `proxy_root` (a tar), the others are one program each.
    """
    for name, (program, path) in ONE_PROGRAM_IMAGES.items():
        layer = files_layer(into / "layer.tar", {path: binaries / program})
        yield write_image(into / "image.tar", [name], [layer], {"Entrypoint": [path]})
    proxy = "/usr/local/bin/kube-proxy"
    name, files = (
        f"{REGISTRY}/kube-proxy:{KUBERNETES}",
        {proxy: binaries / "kube-proxy"} | dict.fromkeys(IPTABLES_COMMANDS, IPTABLES_WRAPPER),
    )
    layer = files_layer(into / "layer.tar", files)
    yield write_image(into / "image.tar", [name], [proxy_root, layer], {"Entrypoint": [proxy]})
