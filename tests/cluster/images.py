"""Builds the project's images and prints the docker-archive tar of each.

``python -m tests.cluster.images [NAME...]`` is run by the Makefile and by the tests; the tars go to
``python -m tests.cluster load``. The Dockerfiles are ordinary ones. Where Docker and a registry are reachable, Docker
builds them on their default BASE_IMAGE; elsewhere buildah builds them on a Debian base that mmdebstrap makes. A tar is
named after a hash of what goes into it, so nothing is built twice.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cluster import identity
from tests.cluster.console import ClusterError, lock, run, step, succeeds

ROOT = identity.ROOT
CACHE = identity.CACHE / "images"
DEBIAN_SUITE = "trixie"
DEBIAN_PACKAGES = ("python3", "python3-venv", "ca-certificates")
DEBIAN_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
BASE_RECIPE = hashlib.sha256(repr((DEBIAN_SUITE, DEBIAN_PACKAGES, DEBIAN_LEFT_OUT)).encode()).hexdigest()[:12]
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
TARS_KEPT = 3  # of each image: the newest, whichever checkout they are from


@dataclass(frozen=True)
class Image:
    """One image: its tag, build context, Dockerfile and what that copies; paths are relative to the checkout."""

    tag: str
    context: str
    dockerfile: str
    inputs: tuple[str, ...]


IMAGES: Mapping[str, Image] = {
    "operator": Image(
        "poolbudget/operator:dev",
        context=".",
        dockerfile="Dockerfile",
        inputs=("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE", "operator"),
    ),
    "example": Image(
        "poolbudget/example:dev",
        context="examples",
        dockerfile="examples/fastapi-sqlalchemy/Dockerfile",
        inputs=("examples/.dockerignore", "examples/fastapi-sqlalchemy", "examples/settings"),
    ),
    "postgres": Image(
        "poolbudget/postgres:17",
        context="tests/images/postgres",
        dockerfile="tests/images/postgres/Dockerfile",
        inputs=("tests/images/postgres",),
    ),
    "pgbouncer": Image(
        "poolbudget/pgbouncer:1.24",
        context="tests/images/pgbouncer",
        dockerfile="tests/images/pgbouncer/Dockerfile",
        inputs=("tests/images/pgbouncer",),
    ),
}


def main(names: Sequence[str]) -> int:
    """Build the named images (all without names) and print their tars, one a line. Exit code 2: stderr says why."""
    try:
        for tar in build(names or list(IMAGES)):
            print(tar)
    except ClusterError as error:
        print(f"images: {error}", file=sys.stderr)
        return 2
    return 0


def build(names: Sequence[str]) -> list[Path]:
    """Return the tar of each named image, building those that are missing. Raises ClusterError."""
    if unknown := [name for name in names if name not in IMAGES]:
        raise ClusterError(f"no image is called {', '.join(unknown)}: choose from {', '.join(IMAGES)}")
    with lock(CACHE / "lock"):
        tars = {name: CACHE / f"{name}-{key(IMAGES[name], ROOT)}.tar" for name in names}
        build_all({name: tar for name, tar in tars.items() if not tar.exists()})
        for name, tar in tars.items():
            forget_old(name, tar)
    return [tars[name] for name in names]


def key(image: Image, root: Path) -> str:
    """Hash all that goes into the image: path, mode and content of its inputs below `root`, and the base's recipe."""
    digest = hashlib.sha256(f"{image}\0{BASE_RECIPE}".encode())
    for path in sorted({file for entry in image.inputs for file in files(root / entry)}):
        content = path.read_bytes()
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"\0{path.relative_to(root)}\0{executable}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def files(path: Path) -> Iterator[Path]:
    """Yield the file, or the files below the folder that a build looks at."""
    if not path.exists():
        raise ClusterError(f"{path} is missing, and an image is made from it")
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def build_all(missing: Mapping[str, Path]) -> None:
    """Build each named image into its tar."""
    if not missing:
        return
    builder = choose_builder()
    for name, tar in missing.items():
        with step(f"{name}: {builder.name} builds {IMAGES[name].tag}"):
            partial = tar.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            builder.build(IMAGES[name], partial)
            partial.rename(tar)


def choose_builder() -> Docker | Buildah:
    """Docker if its daemon and the registry of the default base answer, else buildah."""
    [base] = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("ARG BASE_IMAGE=")]
    manifest = ["timeout", "30", "docker", "manifest", "inspect", base.removeprefix("ARG BASE_IMAGE=")]
    return Docker() if succeeds(["docker", "info"]) and succeeds(manifest) else Buildah()


class Docker:
    """Docker with a reachable registry."""

    name = "docker"

    def build(self, image: Image, tar: Path) -> None:
        """Build the image and save it as `tar`."""
        run(["docker", "build", "-q", "-t", image.tag, "-f", ROOT / image.dockerfile, ROOT / image.context])
        run(["docker", "save", "-o", tar, image.tag])


class Buildah:
    """buildah on a base image that mmdebstrap makes, with storage of its own below the cache."""

    name = "buildah"

    def __init__(self) -> None:
        install_missing(["buildah", "mmdebstrap"])
        places = [f"--root={CACHE}/buildah/storage", f"--runroot={CACHE}/buildah/run"]
        self.command = ["buildah", "--storage-driver", "overlay", *places]
        self.base = f"localhost/poolbudget-base:{BASE_RECIPE}"
        if not succeeds([*self.command, "inspect", "--type", "image", self.base]):
            with step(f"base: mmdebstrap makes Debian {DEBIAN_SUITE}"), TemporaryDirectory(dir=CACHE) as folder:
                self.make_base(Path(folder))

    def build(self, image: Image, tar: Path) -> None:
        """Build the image and push it to `tar`."""
        chroot = ["--layers", "--isolation", "chroot", "--network", "host", "--build-arg", f"BASE_IMAGE={self.base}"]
        # The package index may be signed by an authority that only this machine trusts: it stays out of the image.
        authorities = ["--volume", f"{CA_BUNDLE}:{CA_BUNDLE}:ro"] if CA_BUNDLE.exists() else []
        options = ["build", "-q", *chroot, *authorities]
        run([*self.command, *options, "-t", image.tag, "-f", ROOT / image.dockerfile, ROOT / image.context])
        run([*self.command, "push", "-q", image.tag, f"docker-archive:{tar}:{image.tag}"])

    def make_base(self, context: Path) -> None:
        """Make the base image, using the empty folder `context`."""
        left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in DEBIAN_LEFT_OUT]
        packages = f"--include={','.join(DEBIAN_PACKAGES)}"
        run(["mmdebstrap", "--variant=minbase", packages, *left_out, DEBIAN_SUITE, context / "base.tar"])
        (context / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        run([*self.command, "build", "-q", "--isolation", "chroot", "-t", self.base, context])


def install_missing(commands: Sequence[str]) -> None:
    """Install the Debian packages of these names whose commands are missing."""
    missing = [command for command in commands if shutil.which(command) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"install {' and '.join(missing)}, or give access to Docker and a registry")
    with step(f"Debian packages {', '.join(missing)}"):
        apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run([*apt, "update"], quiet)
        run([*apt, "install", "-y", "--no-install-recommends", *missing], quiet)


def forget_old(name: str, newest: Path) -> None:
    """Remove the image's tars but the newest few."""
    others = [tar for tar in CACHE.glob(f"{name}-*.tar") if tar != newest]
    for tar in sorted(others, key=lambda other: other.stat().st_mtime, reverse=True)[TARS_KEPT - 1 :]:
        tar.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
