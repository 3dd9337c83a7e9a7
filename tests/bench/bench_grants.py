"""How long a pod waits for its grant, and how many are granted per second beside the API server's bare PATCH rate.

    make bench, or inside `python -m tests.cluster exec`: python -m tests.bench.bench_grants

Needs the operator and the webhook installed. The pods never start: no node has the label that they ask for. Both sides
send the same patch to the same number of pods with the same number of requests in flight, one after the other.
"""

import asyncio
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from poolbudget.act.outbox import IN_FLIGHT
from poolbudget.kube import Kube

NAMESPACE = "poolbudget-bench"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
BUDGETS = f"/apis/poolbudget.dev/v1alpha1/namespaces/{NAMESPACE}/poolbudgets"
LEDGERS = "/api/v1/namespaces/poolbudget-system/configmaps"
GATE = "poolbudget.dev/grant"
LATENCY_COUNTS = (1, 100)
RATE_COUNTS = (10, 100, 500, 2000)
REPEATS = 3
SINGLES = 30


def pod(name: str, labels: Mapping[str, str], gated: bool = False) -> dict[str, Any]:
    """Return a pod that no node takes."""
    spec: dict[str, Any] = {
        "containers": [{"name": "app", "image": "registry.k8s.io/pause:3.10.1"}],
        "nodeSelector": {"poolbudget.dev/no-such-node": "true"},
        "terminationGracePeriodSeconds": 0,
    }
    if gated:
        spec["schedulingGates"] = [{"name": GATE}]
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


class Gates:
    """When each pod's gate was seen open, from one watch; times on the monotonic clock."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self.opened: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Watch for ever."""
        version = (await self._kube.get(PODS, limit=1))["metadata"]["resourceVersion"]
        async for event in self._kube.watch(PODS, version, 600):
            raw = event["object"]
            if event["type"] in {"ADDED", "MODIFIED"} and not raw["spec"].get("schedulingGates"):
                self.opened.setdefault(raw["metadata"]["name"], time.monotonic())
                self._changed.set()

    async def wait_for(self, names: list[str]) -> None:
        """Return once all these pods are past the gate."""
        while not all(name in self.opened for name in names):
            self._changed.clear()
            await self._changed.wait()


async def in_flight(requests: list[Any]) -> None:
    """Await all requests, as many at once as the operator sends."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(request: Any) -> None:
        async with slots:
            await request

    await asyncio.gather(*map(one, requests))


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
        await in_flight([create(each) for each in names])
        await gates.wait_for(names)
    waits = sorted(gates.opened[each] - created[each] for each in names)
    p99 = waits[min(len(waits) - 1, round(0.99 * len(waits)))]
    return {"pods_at_once": count, "p50_ms": round(1000 * statistics.median(waits)), "p99_ms": round(1000 * p99)}


class LedgerWrites:
    """How often each server's ledger was written, from one watch."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self.of: Counter[str] = Counter()

    async def follow(self) -> None:
        """Watch for ever."""
        version = (await self._kube.get(LEDGERS, limit=1))["metadata"]["resourceVersion"]
        async for event in self._kube.watch(LEDGERS, version, 600, labelSelector="poolbudget.dev/ledger"):
            if event["type"] in {"ADDED", "MODIFIED"}:
                self.of[event["object"]["metadata"]["annotations"]["poolbudget.dev/server"]] += 1


async def throughput(kube: Kube, gates: Gates, writes: LedgerWrites, count: int) -> dict[str, Any]:
    """Compare grants with bare patches of as many pods, in turns, since the machine may be busy."""
    rates = [
        (await granted(kube, gates, f"burst-{count}-{turn}", count), await bare(kube, f"bare-{count}-{turn}", count))
        for turn in range(REPEATS)
    ]
    ratio = statistics.median(ours / theirs for ours, theirs in rates)
    ours, theirs = (statistics.median(side) for side in zip(*rates, strict=True))
    written = sum(writes.of[f"{NAMESPACE}/burst-{count}-{turn}"] for turn in range(REPEATS))
    per_second = {"granted_per_s": round(ours), "bare_patches_per_s": round(theirs), "ratio": round(ratio, 2)}
    return {"pods": count, **per_second, "ledger_writes_per_grant": round(written / (count * REPEATS), 3)}


async def granted(kube: Kube, gates: Gates, name: str, count: int) -> float:
    """Let `count` pods wait, give them room at one stroke, and return how many were granted per second."""
    await kube.post(BUDGETS, budget(name, count, 1))
    labels = {"poolbudget.dev/budget": name, "poolbudget.dev/workload": "load"}
    await webhook_knows(kube, labels)
    names = [f"{name}-{i}" for i in range(count)]
    await in_flight([kube.post(PODS, pod(each, labels)) for each in names])
    started = time.monotonic()
    await kube.patch(f"{BUDGETS}/{name}", {"spec": {"maxConnections": 2 * count}})
    await gates.wait_for(names)
    rate = count / (max(gates.opened[each] for each in names) - started)
    await kube.delete(PODS)
    return rate


async def bare(kube: Kube, name: str, count: int) -> float:
    """Return how many bare patches of as many pods the API server carries out per second."""
    names = [f"{name}-{i}" for i in range(count)]
    await in_flight([kube.post(PODS, pod(each, {}, gated=True)) for each in names])
    patch = {"metadata": {"annotations": {"x/connections": "1", "x/mode": "Direct"}}, "spec": {"schedulingGates": None}}
    started = time.monotonic()
    await in_flight([kube.patch(f"{PODS}/{each}", patch) for each in names])
    rate = count / (time.monotonic() - started)
    await kube.delete(PODS)
    return rate


async def run() -> None:
    """Measure in a namespace of its own and remove it."""
    async with Kube.connect(os.environ.get("KUBECONFIG")) as kube:
        await kube.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        gates, writes = Gates(kube), LedgerWrites(kube)
        following = [asyncio.create_task(each.follow()) for each in (gates, writes)]
        try:
            for count in LATENCY_COUNTS:
                print(json.dumps({"grant_latency": await latency(kube, gates, count)}), flush=True)
            for count in RATE_COUNTS:
                print(json.dumps({"grant_rate": await throughput(kube, gates, writes, count)}), flush=True)
        finally:
            for each in following:
                each.cancel()
            await kube.delete(f"/api/v1/namespaces/{NAMESPACE}")


if __name__ == "__main__":
    asyncio.run(run())
