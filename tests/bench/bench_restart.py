"""How long the operator takes to start, to fail over, and what it uses while nothing happens, among thousands of pods.

    make bench, or inside `python -m tests.cluster exec`: python -m tests.bench.bench_restart [PODS [SERVERS]]

Needs the operator installed; its Deployment rests meanwhile. The pods stand on nodes that kwok plays, and carry their
grants already (the webhook and the policy rest, too). The operators measured are processes of this machine that work
under the operator's own service account. Ready means: every server has had a complete round with all pods charged.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from poolbudget.kube import Kube
from tests.bench.kwok import nodes
from tests.bench.load import at_once, remove_ledgers, remove_pods
from tests.bench.operators import LEASE_SECONDS, Operator, resting, start
from tests.functional.faults.operators import Access, access_as_operator

NAMESPACE = "poolbudget-restart"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
BUDGETS = f"/apis/poolbudget.dev/v1alpha1/namespaces/{NAMESPACE}/poolbudgets"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
GUARDS = (f"{ADMISSION}/mutatingwebhookconfigurations", f"{ADMISSION}/validatingadmissionpolicybindings")
PODS_PER_NODE = 1000
CONNECTIONS = 2
IDLE_SECONDS = 60
RESTARTS = 3
IN_FLIGHT = 32


def pod(name: str, budget: str, node: str) -> dict[str, Any]:
    """Return a pod of some 6 KB that runs with its grant."""
    own = [{"name": f"SETTING_{n:02}", "value": f"value-{n:02}-of-the-application"} for n in range(40)]
    reference = {"fieldRef": {"fieldPath": "metadata.annotations['env.poolbudget.dev/DB_POOL_SIZE']"}}
    env = [{"name": "DB_POOL_SIZE", "valueFrom": reference}, *own]
    container = {"name": "app", "image": "registry.example.com/shop/api:1.2.3", "env": env}
    grant = {"connections": str(CONNECTIONS), "mode": "Direct"}
    annotations = {f"poolbudget.dev/{key}": value for key, value in grant.items()}
    annotations["env.poolbudget.dev/DB_POOL_SIZE"] = str(CONNECTIONS)
    labels = {"poolbudget.dev/budget": budget, "poolbudget.dev/workload": "load", "app": "load"}
    spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def budget(name: str, pods: int) -> dict[str, Any]:
    """Return a budget that is a server of its own and holds `pods` pods."""
    workload = {"name": "load", "processes": 1, "maxPods": pods, "maxPerProcess": CONNECTIONS}
    spec = {"maxConnections": CONNECTIONS * pods + 100, "workloads": [workload]}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "poolbudget.dev/v1alpha1", "kind": "PoolBudget", "metadata": metadata, "spec": spec}


def serves(operator: Operator, expected: int) -> Callable[[], Awaitable[bool]]:
    """Return the condition that every server has had its first complete round: all connections are charged."""

    async def condition() -> bool:
        return await operator.committed() >= expected

    return condition


async def restarts(config: Path, expected: int) -> dict[str, Any]:
    """Start operators, one after another; the first writes the ledgers and is not counted."""
    ready, peaks = [], []
    for _ in range(1 + RESTARTS):
        started = time.monotonic()
        operator = await start(config)
        ready.append(await operator.until(serves(operator, expected)) - started)
        cpu, _, peak = operator.used()
        peaks.append(peak)
        await operator.stop()
    return {"ready_s": round(statistics.median(ready[1:]), 1), "cpu_s": round(cpu, 1), "peak_mb": round(max(peaks))}


async def idle(config: Path, expected: int) -> dict[str, Any]:
    """Measure what a leader uses while nothing changes."""
    operator = await start(config)
    await operator.until(serves(operator, expected))
    before = operator.used()[0]
    await asyncio.sleep(IDLE_SECONDS)
    after, memory, _ = operator.used()
    await operator.stop()
    return {"cpu_percent": round(100 * (after - before) / IDLE_SECONDS, 1), "memory_mb": round(memory)}


async def fail_over(config: Path, expected: int) -> dict[str, Any]:
    """Kill a leader that has a standby; the standby is done when it has had a round of every server."""
    leader = await start(config)
    await leader.until(serves(leader, expected))
    standby = await start(config)
    await standby.until(standby.watches)
    killed = time.monotonic()
    leader.process.kill()
    await leader.process.wait()
    taken = await standby.until(serves(standby, expected)) - killed
    await standby.stop()
    return {"lease_s": LEASE_SECONDS, "seconds": round(taken, 1)}


@asynccontextmanager
async def unguarded(kube: Kube) -> AsyncIterator[None]:
    """Neither the webhook nor the policy is asked."""
    guards = [(path, item) for path in GUARDS for item in (await kube.get(path))["items"] if _is_ours(item)]
    for path, item in guards:
        await kube.delete(f"{path}/{item['metadata']['name']}")
    try:
        yield
    finally:
        for path, item in guards:
            del item["metadata"]["resourceVersion"], item["metadata"]["uid"]
            await kube.post(path, item)


def _is_ours(item: dict[str, Any]) -> bool:
    return str(item["metadata"]["name"]).startswith("poolbudget")


@asynccontextmanager
async def populated(kube: Kube, pods: int, servers: int) -> AsyncIterator[None]:
    """Let `pods` pods run, spread over `servers` budgets."""
    await kube.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    names = [f"fake-{n}" for n in range(-(-pods // PODS_PER_NODE))]
    async with nodes(kube, names):
        try:
            for n in range(servers):
                await kube.post(BUDGETS, budget(f"server-{n}", -(-pods // servers)))
            made = [pod(f"load-{n}", f"server-{n % servers}", names[n % len(names)]) for n in range(pods)]
            started = time.monotonic()
            await at_once((kube.post(PODS, body) for body in made), IN_FLIGHT)
            await _running(kube)
            print(f"{pods} pods on {len(names)} nodes run after {time.monotonic() - started:.0f} s", flush=True)
            yield
        finally:
            await remove_pods(kube, PODS, IN_FLIGHT)
            await kube.delete(f"/api/v1/namespaces/{NAMESPACE}")
            await remove_ledgers(kube, NAMESPACE)


async def _running(kube: Kube) -> None:
    """Return once all pods run."""
    query: dict[str, str | int] = {"fieldSelector": "status.phase!=Running", "limit": 1}
    while (await kube.get(PODS, **query))["items"]:  # noqa: ASYNC110 - kwok's process tells us nothing
        await asyncio.sleep(1)


async def run(pods: int, servers: int) -> None:
    """Measure and print."""
    async with Kube.connect(os.environ.get("KUBECONFIG")) as kube:
        access: Access = await access_as_operator(kube)
        expected = CONNECTIONS * pods
        with tempfile.TemporaryDirectory() as folder:
            config = access.kubeconfig(Path(folder, "operator.kubeconfig"), access.server)
            async with resting(), unguarded(kube), populated(kube, pods, servers):
                size = {"pods": pods, "servers": servers}
                print(json.dumps({"restart": size | await restarts(config, expected)}), flush=True)
                print(json.dumps({"idle": size | await idle(config, expected)}), flush=True)
                print(json.dumps({"fail_over": size | await fail_over(config, expected)}), flush=True)


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]]
    asyncio.run(run(*(arguments + [20_000, 20][len(arguments) :])))
