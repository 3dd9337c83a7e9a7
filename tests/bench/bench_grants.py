"""How long a pod waits for its grant, and how many are granted per second beside the API server's bare PATCH rate.

    make bench, or inside `python -m tests.cluster exec`: python -m tests.bench.bench_grants [PODS...]

Needs the operator and the webhook installed; the operator's Deployment rests meanwhile, and operators of this machine
are measured. The pods never start: no node has the label that they ask for. Both sides send the same patches, under the
same service account, to the same pods (the webhook's), with as many requests in flight, in turns. No operator runs
beside the bare patches.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from poolbudget.act.outbox import IN_FLIGHT
from poolbudget.act.pods import pod_path, start_patch
from poolbudget.kube import JSON_PATCH, Kube
from poolbudget.ledger.model import CONNECTIONS_ANNOTATION, MODE_ANNOTATION, Pod
from poolbudget.ledger.triage import setting_annotations
from poolbudget.observe.pods import parse_pod
from tests.bench.load import LedgerWrites, at_once, changes, remove_ledgers, remove_pods
from tests.bench.operators import PATIENCE_SECONDS, resting, running
from tests.functional.faults.operators import access_as_operator

NAMESPACE = "poolbudget-bench"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
BUDGETS = f"/apis/poolbudget.dev/v1alpha1/namespaces/{NAMESPACE}/poolbudgets"
LATENCY_COUNTS = (1, 100)
RATE_COUNTS = (10, 100, 500, 2000)
REPEATS = 5
SINGLES = 30


def pod(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return a pod that no node takes."""
    spec: dict[str, Any] = {
        "containers": [{"name": "app", "image": "registry.k8s.io/pause:3.10.1"}],
        "nodeSelector": {"poolbudget.dev/no-such-node": "true"},
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": dict(labels)}, "spec": spec}


def budget(name: str, pods: int, max_connections: int) -> dict[str, Any]:
    """Return a budget of one workload with up to `pods` pods of one connection each."""
    workload = {"name": "load", "processes": 1, "maxPods": pods, "minPerProcess": 1, "maxPerProcess": 1}
    spec = {"maxConnections": max_connections, "reservedConnections": 0, "workloads": [workload]}
    return {
        "apiVersion": "poolbudget.dev/v1alpha1",
        "kind": "PoolBudget",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


@dataclass(frozen=True)
class Sides:
    """Who sends: the bench itself, and with this kubeconfig operators, and a bare client with their rights."""

    kube: Kube
    config: Path


class Rate(NamedTuple):
    """Grants per second, and the operator's processor time for each."""

    per_second: float
    cpu_ms: float


class Gates:
    """When each pod's gate was seen open, from one watch; times on the monotonic clock."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self.opened: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Watch for ever."""
        async for event in changes(self._kube, PODS):
            raw = event["object"]
            if event["type"] in {"ADDED", "MODIFIED"} and not raw["spec"].get("schedulingGates"):
                self.opened.setdefault(raw["metadata"]["name"], time.monotonic())
                self._changed.set()

    async def wait_for(self, names: list[str]) -> None:
        """Return once all these pods are past the gate."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not all(name in self.opened for name in names):
                self._changed.clear()
                await self._changed.wait()


async def webhook_knows(kube: Kube, labels: Mapping[str, str]) -> None:
    """Return once a dry run shows that the webhook has seen the budget: earlier pods would be born unresolved."""
    for _ in range(200):
        born = await kube.post(PODS, pod("probe", labels), dryRun="All")
        if "poolbudget.dev/unresolved" not in (born["metadata"].get("annotations") or {}):
            return
    raise AssertionError("the webhook has not seen the budget in 200 dry runs")


async def latency(kube: Kube, gates: Gates, count: int) -> dict[str, Any]:
    """Create `count` pods at once (a count of 1: one after another); time each until its gate is seen open."""
    name = f"latency-{count}"
    await kube.post(BUDGETS, budget(name, max(count, SINGLES), 2000))
    labels = {"poolbudget.dev/budget": name, "poolbudget.dev/workload": "load"}
    await shown(kube, name, 0)
    created: dict[str, float] = {}

    async def create(pod_name: str) -> None:
        await kube.post(PODS, pod(pod_name, labels))
        created[pod_name] = time.monotonic()

    await webhook_knows(kube, labels)
    names = [f"{name}-{i}" for i in range(max(count, SINGLES if count == 1 else 0))]
    if count == 1:
        for each in names:
            await create(each)
            await gates.wait_for([each])
    else:
        await at_once([create(each) for each in names], IN_FLIGHT)
        await gates.wait_for(names)
    waits = sorted(gates.opened[each] - created[each] for each in names)
    p99 = waits[min(len(waits) - 1, round(0.99 * len(waits)))]
    return {"pods_at_once": count, "p50_ms": round(1000 * statistics.median(waits)), "p99_ms": round(1000 * p99)}


async def throughput(sides: Sides, gates: Gates, writes: LedgerWrites, count: int) -> dict[str, Any]:
    """Compare grants with bare patches of as many pods, in turns, since the machine may be busy."""
    rates = [
        (await granted(sides, gates, f"burst-{count}-{turn}", count), await bare(sides, f"bare-{count}-{turn}", count))
        for turn in range(REPEATS)
    ]
    granting, patching = (statistics.median(side) for side in zip(*((o.per_second, t) for o, t in rates), strict=True))
    ratio = statistics.median(ours.per_second / theirs for ours, theirs in rates)
    cpu = statistics.median(ours.cpu_ms for ours, _ in rates)
    written = sum(writes.of[f"{NAMESPACE}/burst-{count}-{turn}"] for turn in range(REPEATS))
    rounded = {"granted_per_s": round(granting), "bare_patches_per_s": round(patching), "ratio": round(ratio, 2)}
    per_grant = {"cpu_ms_per_grant": round(cpu, 2), "ledger_writes_per_grant": round(written / (count * REPEATS), 3)}
    return {"pods": count, **rounded, **per_grant}


@asynccontextmanager
async def waiting(kube: Kube, name: str, count: int) -> AsyncIterator[list[str]]:
    """Let `count` pods wait at the gate for room in a budget; the value is their names."""
    await kube.post(BUDGETS, budget(name, count, 1))
    labels = {"poolbudget.dev/budget": name, "poolbudget.dev/workload": "load"}
    await webhook_knows(kube, labels)
    names = [f"{name}-{i}" for i in range(count)]
    await at_once([kube.post(PODS, pod(each, labels)) for each in names], IN_FLIGHT)
    yield names
    await remove_pods(kube, PODS, IN_FLIGHT)
    await kube.delete(f"{BUDGETS}/{name}")


async def granted(sides: Sides, gates: Gates, name: str, count: int) -> Rate:
    """Let `count` pods wait, give them room at one stroke, and return how fast they were granted."""
    kube = sides.kube
    async with running(sides.config) as operator, waiting(kube, name, count) as names:
        await shown(kube, name, count)
        before, started = operator.used()[0], time.monotonic()
        await kube.patch(f"{BUDGETS}/{name}", {"spec": {"maxConnections": 2 * count}})
        await gates.wait_for(names)
        used = operator.used()[0] - before
    return Rate(count / (max(gates.opened[each] for each in names) - started), 1000 * used / count)


async def shown(kube: Kube, name: str, count: int) -> None:
    """Return once the operator works, and the budget's status says that `count` pods wait."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await kube.get(f"{BUDGETS}/{name}")).get("status", {}).get("waiting") != count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def bare(sides: Sides, name: str, count: int) -> float:
    """Return how many of the same patches per second a client gets through that does nothing else."""
    async with waiting(sides.kube, name, count), Kube.connect(str(sides.config)) as client:
        pods = [parsed[1] async for page in client.pages(PODS) for raw in page["items"] if (parsed := parse_pod(raw))]
        patches = [(pod_path(pod), start_patch(pod, annotations(pod))) for pod in pods]
        started = time.monotonic()
        await at_once([client.patch(path, patch, JSON_PATCH) for path, patch in patches], IN_FLIGHT)
        return count / (time.monotonic() - started)


def annotations(pod: Pod) -> dict[str, str]:
    """Return what a grant of one connection writes."""
    return dict.fromkeys(setting_annotations(pod), "1") | {CONNECTIONS_ANNOTATION: "1", MODE_ANNOTATION: "Direct"}


async def run(counts: Sequence[int]) -> None:
    """Measure in a namespace of its own and remove it."""
    async with Kube.connect(os.environ.get("KUBECONFIG")) as kube, resting():
        await remove_ledgers(kube, NAMESPACE)  # of a run that was cut short
        await kube.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        gates, writes = Gates(kube), LedgerWrites(kube)
        following = [asyncio.create_task(each.follow()) for each in (gates, writes)]
        try:
            async with both_sides(kube) as sides:
                async with running(sides.config):
                    for count in LATENCY_COUNTS:
                        print(json.dumps({"grant_latency": await latency(kube, gates, count)}), flush=True)
                    await remove_pods(kube, PODS, IN_FLIGHT)
                for count in counts:
                    print(json.dumps({"grant_rate": await throughput(sides, gates, writes, count)}), flush=True)
        finally:
            for each in following:
                each.cancel()
            await remove_pods(kube, PODS, IN_FLIGHT)
            await remove_ledgers(kube, NAMESPACE)
            await kube.delete(f"/api/v1/namespaces/{NAMESPACE}")


@asynccontextmanager
async def both_sides(kube: Kube) -> AsyncIterator[Sides]:
    """Prepare what both sides are sent with: the identity, too, decides what a request costs the API server."""
    with tempfile.TemporaryDirectory() as folder:
        access = await access_as_operator(kube)
        config = access.kubeconfig(Path(folder, "operator.kubeconfig"), access.server)
        yield Sides(kube, config)


if __name__ == "__main__":
    asyncio.run(run([int(word) for word in sys.argv[1:]] or RATE_COUNTS))
