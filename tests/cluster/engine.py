"""A private Docker engine: Debian's dockerd in process, network and mount namespaces of its own.

Used by node/kit.py, which fills an image store with it, and by cluster.py, which runs kind on it. The network namespace
has no uplink, so nothing of the cluster's private ranges can leave the machine. The engine is found by its command
line, never by a remembered process id, and ending the first process of its process namespace ends everything in it:
dockerd, containerd, shims, containers and their mounts.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.console import ClusterError, succeeds
from tests.cluster.tools import popen_quiet

CGROUPS = Path("/sys/fs/cgroup")
START_SECONDS = 60
STOP_SECONDS = 60


@dataclass(frozen=True)
class Engine:
    """`programs`: the unpacked Debian packages; `home`: data, socket, log; `cgroup`: the parent of its containers'."""

    programs: Path
    home: Path
    cgroup: str

    @property
    def config(self) -> Path:
        """Its configuration file, which also is the mark by which its processes are found."""
        return self.home / "daemon.json"

    @property
    def environment(self) -> Mapping[str, str]:
        """What the docker and kind commands need to speak to this engine and to no other."""
        binaries = f"{self.programs}/usr/bin:{self.programs}/usr/sbin"
        return {
            "DOCKER_HOST": f"unix://{self.home}/docker.sock",
            "DOCKER_CONFIG": f"{self.home}/docker-config",
            "PATH": f"{binaries}:{os.environ['PATH']}:/usr/sbin:/sbin",
        }

    def inside(self, command: Sequence[str]) -> list[str]:
        """`command` in the engine's network namespace; a ClusterError if the engine does not run."""
        init = self.init_process()
        if init is None:
            raise ClusterError("the private Docker engine does not run: `make cluster-up` starts it")
        return ["nsenter", f"--net=/proc/{init}/ns/net", "--", *command]

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.config.write_text(json.dumps(self._settings(), indent=1))
        namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        log = self.home / "dockerd.log"
        process = popen_quiet(
            ["unshare", *namespaces, self.programs / "start", self.config], log, dict(self.environment)
        )
        deadline = time.monotonic() + START_SECONDS
        while not succeeds(["docker", "version"], self.environment):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
                raise ClusterError(f"the private Docker engine did not start; the end of {log}:\n{tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End every process of the engine, wait until they are gone, and remove the cgroups of its containers."""
        init = self.init_process()
        if init is not None:
            end_process(init)
        remove_cgroups(self.cgroup)

    def init_process(self) -> int | None:
        """The process that is number 1 in the engine's process namespace, or None when the engine does not run."""
        for pid in pids_with_argument(str(self.config)):
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                [namespaced] = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
                if len(namespaced) > 1 and namespaced[-1] == "1":
                    return pid
        return None

    def _settings(self) -> dict[str, object]:
        return {
            "data-root": str(self.home / "docker"),
            "hosts": [f"unix://{self.home}/docker.sock"],
            "storage-driver": "overlay2",
            "runtimes": {"runc-wrap": {"path": str(self.programs / "usr/sbin/runc-wrap")}},
            "default-runtime": "runc-wrap",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{self.cgroup}",
        }


def pids_with_argument(argument: str) -> Iterator[int]:
    """The processes that have exactly `argument` on their command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if argument.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    yield int(entry.name)


def end_process(pid: int) -> None:
    """Kill `pid` and wait until it is gone; for number 1 of a process namespace that is after everything in it."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            ended, _, _ = select.select([descriptor], [], [], STOP_SECONDS)
        finally:
            os.close(descriptor)
        if not ended:
            raise ClusterError(f"process {pid} does not end: look at /proc/{pid}/stack")


def remove_cgroups(name: str) -> None:
    """Remove the cgroup `name` and what is below it, in every hierarchy (v2 has one, v1 has several)."""
    deadline = time.monotonic() + STOP_SECONDS
    while folders := [folder for folder in (CGROUPS / name, *CGROUPS.glob(f"*/{name}")) if folder.is_dir()]:
        for folder in folders:
            subprocess.run(["find", str(folder), "-depth", "-type", "d", "-delete"], capture_output=True, check=False)
        if time.monotonic() > deadline:
            raise ClusterError(f"cgroups are left: {', '.join(map(str, folders))}; processes are still in them")
        time.sleep(0.05)
