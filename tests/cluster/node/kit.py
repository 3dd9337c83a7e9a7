"""What a cluster needs where no registry is reachable, built once per user and version and then only copied.

Called by cluster.py. A kit holds the engine's programs (`engine/`), kubectl (`bin/`) and `docker/`: the data of an
engine that has the node image loaded, so that a new engine starts with hard links in place of a load of several
hundred megabytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import tools
from tests.cluster.console import lock, lock_if_free, run, say, step
from tests.cluster.engine import Engine
from tests.cluster.identity import CACHE, fingerprint
from tests.cluster.node import archive, binaries, images, rootfs

KITS = CACHE / "kits"
PARTIAL = ".partial"
KEPT = 2
NODE_IMAGE = f"kindest/node:{binaries.KUBERNETES}"
ENGINE_PACKAGES = ("docker.io", "containerd", "runc", "tini")
ENTRYPOINT = ["/usr/local/bin/entrypoint", "/sbin/init"]
# kind's own image stops its systemd so
NODE_CONFIG = {
    "Entrypoint": ENTRYPOINT,
    "StopSignal": "SIGRTMIN+3",
    "Env": [archive.PATH_VARIABLE, "container=docker"],
}


@dataclass(frozen=True)
class Kit:
    """A finished build in the folder `folder`."""

    folder: Path

    @property
    def engine(self) -> Path:
        """The engine's programs."""
        return self.folder / "engine"

    @property
    def bin(self) -> Path:
        """The folder of kubectl."""
        return self.folder / "bin"

    def new_engine(self, home: Path, cgroup: str) -> Engine:
        """An engine in `home` that already has the node image; not started."""
        home.mkdir(parents=True)
        image_store, data = self.folder / "docker", home / "docker"
        data.mkdir()
        # Layers are never written once they exist: hard links. The engine's own books are written in place: copies.
        run(["cp", "-al", image_store / "overlay2", data])
        books = [entry for entry in image_store.iterdir() if entry.name != "overlay2"]
        run(["cp", "-a", *books, data])
        return Engine(self.engine, home, cgroup)


def ensure() -> Kit:
    """The kit of this version of node/ and of kind, built first if the cache does not have it."""
    version = fingerprint(Path(__file__).parent, tools.KIND)
    kit = Kit(KITS / version)
    with lock(_lock_file(version)):
        if not kit.folder.exists():
            say(f"no node image of this version in {CACHE}: building it, about 12 minutes on 2 cores the first time")
            with step("node image, all steps"):
                _build(kit)
        os.utime(kit.folder)
    return kit


def prune(used: Collection[Path]) -> None:
    """Remove what died while it was built, and all but the KEPT kits used last; never one whose `bin` is in `used`."""
    folders = sorted((path for path in KITS.glob("*") if path.is_dir()), key=lambda path: path.stat().st_mtime)
    partial = [path for path in folders if path.suffix == PARTIAL]
    complete = [path for path in folders if path.suffix != PARTIAL and path / "bin" not in used]
    for folder in (*partial, *complete[:-KEPT]):
        with lock_if_free(_lock_file(folder.stem)) as free:
            if free:
                _discard(folder)


def _build(kit: Kit) -> None:
    tools.require_root("building a node image")
    tools.debian()
    partial = Kit(kit.folder.with_suffix(PARTIAL))
    _discard(partial.folder)
    work = partial.folder / "work"
    work.mkdir(parents=True)
    with step("Docker engine from Debian packages"):
        _unpack_engine(partial.engine)
    with step("Kubernetes, etcd and CoreDNS from Go modules"):
        binaries.build(work / "bin")
    with step("Debian roots"):
        node_root = rootfs.debian_root(work / "node.tar", rootfs.NODE_PACKAGES, "minbase")
        proxy_root = rootfs.debian_root(work / "proxy.tar", rootfs.PROXY_PACKAGES, "extract")
    with step("root of the node"):
        rootfs.assemble(work / "root", node_root, work / "bin")
    with step("images of the control plane"), rootfs.image_store(work / "root", partial.engine) as ctr:
        for image in images.write_images(work / "bin", proxy_root, work):
            rootfs.import_image(ctr, image)
    with step("node image"):
        _load_node_image(partial, work)
    partial.bin.mkdir()
    shutil.move(work / "bin" / "kubectl", partial.bin)
    shutil.rmtree(work)
    partial.folder.rename(kit.folder)


def _lock_file(version: str) -> Path:
    return KITS / f"{version}.lock"


def _builder(kit: Kit) -> Engine:
    """The engine that loads the node image while `kit` is built."""
    return Engine(kit.engine, kit.folder / "work" / "engine", f"poolbudget-kit-{kit.folder.stem}")


def _discard(folder: Path) -> None:
    _builder(Kit(folder)).stop()
    if folder.exists():
        shutil.rmtree(folder)


def _unpack_engine(programs: Path) -> None:
    tools.unpack_debian(ENGINE_PACKAGES, programs)
    shutil.copy2(rootfs.FILES / "engine/start", programs)
    shutil.copy2(rootfs.FILES / "engine/runc-wrap", programs / "usr/sbin")


def _load_node_image(kit: Kit, work: Path) -> None:
    layer = work / "layer.tar"
    run(["tar", "-C", work / "root", "--numeric-owner", "-cf", layer, "."])
    image = archive.write_image(work / "image.tar", [NODE_IMAGE], [layer], NODE_CONFIG)
    engine = _builder(kit)
    try:
        engine.start()
        run(["docker", "load", "-q", "-i", image], engine.environment)
    finally:
        engine.stop()
    shutil.move(work / "engine" / "docker", kit.folder / "docker")
