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
from collections.abc import Mapping
from typing import Any

from poolbudget.act.outbox import IN_FLIGHT
from poolbudget.kube import Kube

NAMESPACE = "poolbudget-bench"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
BUDGETS = f"/apis/poolbudget.dev/v1alpha1/namespaces/{NAMESPACE}/poolbudgets"
GATE = "poolbudget.dev/grant"
COUNTS = (1, 100, 500)
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


async def throughput(kube: Kube, gates: Gates, count: int) -> dict[str, Any]:
    """Let `count` pods wait, give them room at one stroke, and compare with as many bare patches."""
    name = f"burst-{count}"
    await kube.post(BUDGETS, budget(name, count, 1))
    labels = {"poolbudget.dev/budget": name, "poolbudget.dev/workload": "load"}
    await webhook_knows(kube, labels)
    names = [f"{name}-{i}" for i in range(count)]
    await in_flight([kube.post(PODS, pod(each, labels)) for each in names])
    started = time.monotonic()
    await kube.patch(f"{BUDGETS}/{name}", {"spec": {"maxConnections": 2 * count}})
    await gates.wait_for(names)
    granted = count / (max(gates.opened[each] for each in names) - started)

    bare = [f"bare-{count}-{i}" for i in range(count)]
    await in_flight([kube.post(PODS, pod(each, {}, gated=True)) for each in bare])
    patch = {"metadata": {"annotations": {"x/connections": "1", "x/mode": "Direct"}}, "spec": {"schedulingGates": None}}
    started = time.monotonic()
    await in_flight([kube.patch(f"{PODS}/{each}", patch) for each in bare])
    raw = count / (time.monotonic() - started)
    ratio = round(granted / raw, 2)
    return {"pods": count, "granted_per_s": round(granted), "bare_patches_per_s": round(raw), "ratio": ratio}


async def run() -> None:
    """Measure in a namespace of its own and remove it."""
    async with Kube.connect(os.environ.get("KUBECONFIG")) as kube:
        await kube.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        gates = Gates(kube)
        following = asyncio.create_task(gates.follow())
        try:
            for count in COUNTS[:2]:
                print(json.dumps({"grant_latency": await latency(kube, gates, count)}), flush=True)
            for count in COUNTS[1:]:
                print(json.dumps({"grant_rate": await throughput(kube, gates, count)}), flush=True)
        finally:
            following.cancel()
            await kube.delete(f"/api/v1/namespaces/{NAMESPACE}")


if __name__ == "__main__":
    asyncio.run(run())
