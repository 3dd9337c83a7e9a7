"""How long the operator takes to start, to fail over, and what it uses while nothing happens, among thousands of pods.

    make bench, or inside `python -m tests.cluster exec`: python -m tests.bench.bench_restart [PODS [SERVERS]]

Needs the operator installed; its Deployment rests meanwhile. The pods stand on nodes that kwok plays, and carry their
grants already (the webhook and the policy rest, too). The operators measured are processes of this machine that work
under the operator's own service account. Ready means: every server has had a complete round with all pods charged.
"""

import asyncio
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from poolbudget.kube import Kube
from tests.bench.kwok import nodes
from tests.functional.cluster import kubectl
from tests.functional.faults.operators import PROGRAM, Access, access_as_operator
from tests.functional.space import OPERATOR_NAMESPACE

NAMESPACE = "poolbudget-restart"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
BUDGETS = f"/apis/poolbudget.dev/v1alpha1/namespaces/{NAMESPACE}/poolbudgets"
LEDGERS = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/configmaps"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
GUARDS = (f"{ADMISSION}/mutatingwebhookconfigurations", f"{ADMISSION}/validatingadmissionpolicybindings")
DEPLOYMENT = ("deployment/poolbudget-operator", "-n", OPERATOR_NAMESPACE)
PODS_PER_NODE = 1000
CONNECTIONS = 2
LEASE_SECONDS = 15
IDLE_SECONDS = 60
RESTARTS = 3
IN_FLIGHT = 32
PATIENCE_SECONDS = 300


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


@dataclass(frozen=True)
class Operator:
    """One operator process; `expected` connections are charged once it is ready."""

    process: asyncio.subprocess.Process
    port: int
    expected: int

    async def serves(self) -> bool:
        """Whether every server has had its first complete round."""
        total = 0.0
        for line in (await self._get("metrics") or "").splitlines():
            if line.startswith("poolbudget_committed_connections{"):
                total += float(line.split()[-1])
        return total >= self.expected

    async def watches(self) -> bool:
        """Whether it has listed the cluster: as a standby it can take over."""
        return await self._get("readyz") is not None

    async def until(self, condition: Any) -> float:
        """Return when the condition held first, on the monotonic clock."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():
                if self.process.returncode is not None:
                    raise RuntimeError(f"the operator has ended with {self.process.returncode}")
                await asyncio.sleep(0.05)
        return time.monotonic()

    def used(self) -> tuple[float, float, float]:
        """Return its processor seconds, its memory and the most that it ever had (MB)."""
        proc = Path(f"/proc/{self.process.pid}")
        user, system = (proc / "stat").read_text().rpartition(")")[2].split()[11:13]
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        memory, peak = (int(status[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), memory, peak

    async def stop(self) -> None:
        """End it as Kubernetes does: it gives the lease up."""
        self.process.terminate()
        await self.process.wait()

    async def _get(self, path: str) -> str | None:
        try:
            async with aiohttp.request("GET", f"http://127.0.0.1:{self.port}/{path}") as answer:
                return await answer.text() if answer.status == 200 else None
        except aiohttp.ClientError:
            return None


async def start(config: Path, expected: int) -> Operator:
    """Start an operator."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = [f"--namespace={OPERATOR_NAMESPACE}", f"--kubeconfig={config}", f"--health-port={port}"]
    with config.with_suffix(f".{port}.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "operator", *where, f"--lease-duration={LEASE_SECONDS}s", stdout=output, stderr=output
        )
    return Operator(process, port, expected)


async def restarts(config: Path, expected: int) -> dict[str, Any]:
    """Start operators, one after another; the first writes the ledgers and is not counted."""
    ready, peaks = [], []
    for _ in range(1 + RESTARTS):
        started = time.monotonic()
        operator = await start(config, expected)
        ready.append(await operator.until(operator.serves) - started)
        cpu, _, peak = operator.used()
        peaks.append(peak)
        await operator.stop()
    return {"ready_s": round(statistics.median(ready[1:]), 1), "cpu_s": round(cpu, 1), "peak_mb": round(max(peaks))}


async def idle(config: Path, expected: int) -> dict[str, Any]:
    """Measure what a leader uses while nothing changes."""
    operator = await start(config, expected)
    await operator.until(operator.serves)
    before = operator.used()[0]
    await asyncio.sleep(IDLE_SECONDS)
    after, memory, _ = operator.used()
    await operator.stop()
    return {"cpu_percent": round(100 * (after - before) / IDLE_SECONDS, 1), "memory_mb": round(memory)}


async def fail_over(config: Path, expected: int) -> dict[str, Any]:
    """Kill a leader that has a standby; the standby is done when it has had a round of every server."""
    leader = await start(config, expected)
    await leader.until(leader.serves)
    standby = await start(config, expected)
    await standby.until(standby.watches)
    killed = time.monotonic()
    leader.process.kill()
    await leader.process.wait()
    taken = await standby.until(standby.serves) - killed
    await standby.stop()
    return {"lease_s": LEASE_SECONDS, "seconds": round(taken, 1)}


@asynccontextmanager
async def resting(kube: Kube) -> AsyncIterator[None]:
    """No operator runs in the cluster, and neither the webhook nor the policy is asked."""
    replicas = kubectl("get", *DEPLOYMENT, "-o", "jsonpath={.spec.replicas}").stdout
    guards = [(path, item) for path in GUARDS for item in (await kube.get(path))["items"] if _is_ours(item)]
    kubectl("scale", *DEPLOYMENT, "--replicas=0")
    for path, item in guards:
        await kube.delete(f"{path}/{item['metadata']['name']}")
    try:
        yield
    finally:
        for path, item in guards:
            del item["metadata"]["resourceVersion"], item["metadata"]["uid"]
            await kube.post(path, item)
        kubectl("scale", *DEPLOYMENT, f"--replicas={replicas}")


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
            places = asyncio.Semaphore(IN_FLIGHT)

            async def create(body: dict[str, Any]) -> None:
                async with places:
                    await kube.post(PODS, body)

            started = time.monotonic()
            await asyncio.gather(*map(create, made))
            await _running(kube)
            print(f"{pods} pods on {len(names)} nodes run after {time.monotonic() - started:.0f} s", flush=True)
            yield
        finally:
            await kube.delete(PODS, {"gracePeriodSeconds": 0})
            await kube.delete(f"/api/v1/namespaces/{NAMESPACE}")
            async for page in kube.pages(LEDGERS, labelSelector="poolbudget.dev/ledger"):
                for ledger in page["items"]:
                    if ledger["metadata"]["annotations"]["poolbudget.dev/server"].startswith(f"{NAMESPACE}/"):
                        await kube.delete(f"{LEDGERS}/{ledger['metadata']['name']}")


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
            async with resting(kube), populated(kube, pods, servers):
                size = {"pods": pods, "servers": servers}
                print(json.dumps({"restart": size | await restarts(config, expected)}), flush=True)
                print(json.dumps({"idle": size | await idle(config, expected)}), flush=True)
                print(json.dumps({"fail_over": size | await fail_over(config, expected)}), flush=True)


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]]
    asyncio.run(run(*(arguments + [20_000, 20][len(arguments) :])))
