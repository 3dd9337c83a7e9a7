"""Signals to processes inside the cluster's node, by their process id. `faults` uses it.

The node is a container of the Docker engine that kind uses, which `python -m tests.cluster exec` puts in reach.
"""

import asyncio
import subprocess
from dataclasses import dataclass

from tests.functional.space import Raw

# A line for each process of the container $1: its id in the node, its id in the container, and resident kB.
# Zombies have no memory and are left out.
PROCESSES = r"""
for cgroup in $(grep -ls "$1" /proc/[0-9]*/cgroup); do
  process=${cgroup%/cgroup}
  inner=$(sed -n 's/^NSpid:.*[\t ]//p' "$process/status")
  resident=$(sed -n 's/^VmRSS:[\t ]*\([0-9]*\).*/\1/p' "$process/status")
  [ -z "$resident" ] || echo "${process#/proc/} $inner $resident"
done 2> /dev/null
"""


class NodeError(Exception):
    """The node did not do what it was told; the text says why."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a container: its id in the node and in the container, and its resident memory in kB."""

    id: int
    inner_id: int
    resident: int


class Node:
    """The machine that the cluster's pods run on."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def processes(self, pod: Raw) -> list[Process]:
        """Return the processes of a pod's first container; none if it does not run."""
        if not (container := _container(pod)):
            return []
        said = await self._run("sh", "-c", PROCESSES, "sh", container)
        return [_process(line) for line in said.splitlines()]

    async def main_process(self, pod: Raw) -> int | None:
        """Return the id of the main process of a pod's first container, if it runs."""
        return next((process.id for process in await self.processes(pod) if process.inner_id == 1), None)

    async def named(self, name: str) -> list[int]:
        """Return the ids of the node's processes with this name."""
        said = await self._run("sh", "-c", f"pidof {name} || true")
        return [int(word) for word in said.split()]

    async def signal(self, signal: str, *ids: int) -> None:
        """Send a signal (`KILL`, `STOP`, `CONT`); one that has ended by now is no error."""
        for each in ids:
            await self._run("sh", "-c", f"kill -{signal} {each} || ! [ -d /proc/{each} ]")

    async def _run(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "docker", "exec", self._name, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        stdout, stderr = await process.communicate()
        if process.returncode:
            raise NodeError(f"docker exec {self._name} {words[0]}: {stderr.decode().strip()}")
        return stdout.decode()


def node_name() -> str:
    """Return the name of the only node of the kind cluster that the current context names."""
    context = subprocess.run(["kubectl", "config", "current-context"], capture_output=True, text=True, check=False)
    cluster = context.stdout.strip().removeprefix("kind-")
    if not cluster:
        raise NodeError("no current context: run it by make, or inside `python -m tests.cluster exec`")
    return f"{cluster}-control-plane"


def _container(pod: Raw) -> str:
    """Return the id of the first container; "" before it runs."""
    statuses = pod["status"].get("containerStatuses") or [{}]
    return str(statuses[0].get("containerID", "").rpartition("/")[2])


def _process(line: str) -> Process:
    outer, inner, resident = map(int, line.split())
    return Process(outer, inner, resident)
