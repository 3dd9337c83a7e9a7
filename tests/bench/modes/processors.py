"""The processor time of pods, read from the cgroups of the cluster's node.

The kubelet's own figures are up to 15 s old, and gone with the pod; here every pod is looked at twice a second, so a
pod that ends in between loses at most half a second of its time. `cell` takes the difference of two readings.
"""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from poolbudget.kube import Kube
from tests.bench.modes.programs import UNTIL_STDIN_ENDS
from tests.functional.space import OPERATOR_NAMESPACE, Raw

# Both versions of cgroups; of a pod the file holds nanoseconds, or `usage_usec` and microseconds. A line for each pod,
# and `end` when all have been read.
SWEEP = r"""
groups=/sys/fs/cgroup/
[ ! -d /sys/fs/cgroup/cpuacct/ ] || groups=/sys/fs/cgroup/cpuacct/
while :; do
  find "$groups" -maxdepth 5 -type d -name '*pod[0-9a-f]*[-_][0-9a-f]*' 2> /dev/null | while read -r pod; do
    if read -r nanoseconds < "$pod/cpuacct.usage"; then echo "$pod $nanoseconds ns"
    elif read -r key microseconds < "$pod/cpu.stat"; then echo "$pod $microseconds us"
    fi 2> /dev/null
  done
  echo end
  sleep 0.5
done
"""
SECONDS = {"ns": 1e-9, "us": 1e-6}
GROUPS = {"api": "application", "orders-db": "postgres", "pgbouncer": "pooler"}
"""What a pod counts as, by its label `app`."""

PATIENCE_SECONDS = 30.0

Readings = Mapping[str, float]
"""Processor seconds since its start, by the uid of a pod."""


def parse(line: str) -> tuple[str, float] | None:
    """Return uid and seconds of a line of SWEEP; None if it is of no pod's own cgroup."""
    folder, amount, unit = line.split()
    _, found, uid = folder.rpartition("/")[2].removesuffix(".slice").rpartition("pod")
    if not found or len(uid) != 36:
        return None
    return uid.replace("_", "-"), int(amount) * SECONDS[unit]


def group_of(pod: Raw, namespace: str) -> str:
    """Return what the time of a pod is counted as; "" for pods that have nothing to do with the bench."""
    metadata = pod["metadata"]
    if metadata["namespace"] == OPERATOR_NAMESPACE:
        return "operator"
    if metadata["namespace"] != namespace:
        return ""
    labels: dict[str, str] = metadata.get("labels", {})
    if "poolbudget.dev/pooler" in labels:
        return "pooler"
    return GROUPS.get(labels.get("app", ""), str(metadata["name"]))


@dataclass
class Processors:
    """The newest reading of each pod, those that have ended included."""

    kube: Kube
    namespace: str
    seconds: dict[str, float] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    _sweep: asyncio.Event = field(default_factory=asyncio.Event)

    async def reading(self) -> Readings:
        """Return a reading that began after this call."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in ("the sweep under way", "the next one"):
                self._sweep.clear()
                await self._sweep.wait()
        return dict(self.seconds)

    def since(self, before: Readings) -> dict[str, float]:
        """Return the processor seconds of each group since that reading; groups that used none are left out."""
        used: defaultdict[str, float] = defaultdict(float)
        for uid, seconds in self.seconds.items():
            if group := self.groups.get(uid):
                used[group] += seconds - before.get(uid, 0.0)
        return {group: round(seconds, 2) for group, seconds in sorted(used.items()) if seconds}

    async def follow(self, lines: asyncio.StreamReader) -> None:
        """Take in the sweeps for ever."""
        while line := (await lines.readline()).decode().strip():
            if line == "end":
                if unknown := self.seconds.keys() - self.groups.keys():
                    self.groups |= dict.fromkeys(unknown, "") | await self._ask()
                self._sweep.set()
            elif found := parse(line):
                self.seconds[found[0]] = found[1]

    async def _ask(self) -> dict[str, str]:
        """Ask the API server what the pods are that there are now."""
        listed = (await self.kube.get("/api/v1/pods"))["items"]
        return {pod["metadata"]["uid"]: group_of(pod, self.namespace) for pod in listed}


@asynccontextmanager
async def watching(kube: Kube, namespace: str, node: str) -> AsyncIterator[Processors]:
    """Read the cgroups of a node, a container of the Docker engine in reach, all the time."""
    words = ("exec", "-i", node, "sh", "-c", UNTIL_STDIN_ENDS, "sh", "sh", "-c", SWEEP)
    process = await asyncio.create_subprocess_exec("docker", *words, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    assert process.stdout
    processors = Processors(kube, namespace)
    following = asyncio.create_task(processors.follow(process.stdout))
    try:
        yield processors
    finally:
        following.cancel()
        process.terminate()
        await process.wait()
