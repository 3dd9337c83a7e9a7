"""Workloads behind a PgBouncer that somebody else runs: what Postgres sees of them, and of one that goes past it."""

import asyncio
import json
from typing import Any

from tests.e2e.database import USABLE, Shop, labels
from tests.e2e.pgbouncer import CONNECTIONS, EXTERNAL, start_pgbouncer
from tests.functional.cluster import kubectl
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space, condition, connections

SAMPLER = ("python", "-m", "sampler", "--every-ms", "20", "--role", "shop", "--usable", str(USABLE))
LOAD = ("python", "-m", "load", "--concurrency", "40")
UNREACHED = {"ClientConnectorError"}
"""A Service may lead to a pod a moment before or after it is there; such a request never came near the database."""

JOBS = 30
BARRIER = """
import asyncio, sys

async def main(count):
    waiting, released = [], asyncio.Event()

    async def join(reader, writer):
        waiting.append(writer)
        if len(waiting) == count:
            released.set()
        await released.wait()
        writer.write(b"go")
        writer.close()
        await writer.wait_closed()
        waiting.remove(writer)

    async with await asyncio.start_server(join, "0.0.0.0", 7000):
        await released.wait()
        while waiting:
            await asyncio.sleep(0.1)
    print('{"released": %d}' % count)

asyncio.run(main(int(sys.argv[1])))
"""
"""Holds every connection until all have come, and then lets all go at once."""

SHORT_LIVED = """
import asyncio, json, os, socket
from collections import Counter
from settings.sqlalchemy_async import make_engine
from sqlalchemy import text

async def main():
    engine = make_engine(os.environ["DATABASE_URL"], os.environ)
    opened, failures = 0, Counter()
    for _ in range(20):
        try:
            async with engine.connect() as connection:
                opened += (await connection.execute(text("SELECT 1"))).scalar_one()
        except Exception as error:
            failures[type(error).__name__] += 1
    return {"pool": type(engine.pool).__name__, "opened": opened, "failures": failures}

with socket.create_connection(("barrier", 7000), timeout=120) as barrier:
    assert barrier.recv(2) == b"go"
open("/dev/termination-log", "w").write(json.dumps(asyncio.run(main())))
"""


async def test_a_running_workload_moves_behind_the_pooler_without_a_failed_request(shop: Shop) -> None:
    pooler = await start_pgbouncer(shop)
    api: dict[str, Any] = {"name": "api", "route": "Env"}
    await shop.budget({**api, "mode": "Direct"}, pooler=EXTERNAL)
    await shop.application("api", 1, drains=True, without=("DB_HOST",))
    await shop.ready("api")
    (direct,) = await shop.space.until_pods("api", granted=1)
    assert connections(direct) > CONNECTIONS
    await shop.start("sampler", *SAMPLER, role="postgres")
    await shop.start("load", *LOAD, "--url", "http://api/orders/7?hold_ms=20", "--seconds", "300")

    await shop.budget({**api, "mode": "Pooled"}, pooler=EXTERNAL)
    waiting = await shop.space.status("orders", lambda s: reason(s) == "RolloutRequired", what="a rollout is asked for")
    command = f"kubectl rollout restart deployment/api -n {shop.space.name}"
    assert command in waiting["workloads"][0]["message"]
    assert waiting["capacity"]["committed"] == CONNECTIONS + connections(direct)
    await asyncio.to_thread(kubectl, *command.split()[1:])
    await shop.ready("api")
    moved = await shop.space.status("orders", lambda s: s["capacity"]["committed"] == CONNECTIONS, what="all moved")
    assert (moved["workloads"][0]["mode"], moved["workloads"][0]["connections"]["perPod"]) == ("Pooled", 0)
    whole = await shop.stop("sampler")
    after = await shop.run("sampler-after", *SAMPLER, "--seconds", "3", role="postgres")
    load = await shop.stop("load")
    print(f"load: {load}\nall the time: {whole}\nbehind the pooler: {after}")
    assert load["failures"].keys() <= UNREACHED
    assert load["ok"] > 100
    assert whole["over_usable"] == 0
    assert 0 < after["peak_by_role"]["shop"] <= CONNECTIONS
    assert after["peak_by_address"].keys() <= {pooler, *await operators(shop)}
    assert [connections(pod) for pod in await shop.space.until_pods("api", granted=1)] == [0]


async def test_thirty_jobs_that_are_released_at_once_are_refused_nothing(shop: Shop) -> None:
    pooler = await start_pgbouncer(shop)
    target = {"apiVersion": "batch/v1", "kind": "Job", "name": "batch"}
    await shop.budget({"name": "batch", "processes": 1, "route": "Env", "targetRef": target}, pooler=EXTERNAL)
    await start_barrier(shop)
    await shop.start("sampler", *SAMPLER, role="postgres")
    await shop.space.apply(short_lived_job("batch"))
    ended = await until_ended(shop.space, "batch", JOBS)
    seen = await shop.stop("sampler")

    assert {pod["metadata"]["annotations"]["poolbudget.dev/mode"] for pod in ended} == {"NullPool"}
    told = [json.loads(pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]) for pod in ended]
    print(f"{sum(t['opened'] for t in told)} connections to the pooler\nsampler: {seen}")
    assert {t["pool"] for t in told} == {"NullPool"}
    assert [(t["opened"], t["failures"]) for t in told] == [(20, {})] * JOBS
    assert seen["peak_by_role"]["shop"] <= CONNECTIONS
    assert seen["peak_by_address"].keys() <= {pooler, *await operators(shop)}


async def test_a_pod_that_goes_past_the_pooler_is_named_and_charged(shop: Shop) -> None:
    await start_pgbouncer(shop)
    unread = {"host": "UNREAD_HOST", "port": "UNREAD_PORT"}
    api = {"name": "api", "mode": "Pooled", "route": "Env", "env": {"names": unread}}
    await shop.budget(api, pooler=EXTERNAL)
    await shop.application("api", 1, surge=False)
    await shop.ready("api")
    (pod,) = await shop.space.until_pods("api", granted=1)
    await shop.start("load", *LOAD, "--url", "http://api/orders/7?hold_ms=300", "--seconds", "120")
    status = await shop.space.status(
        "orders", lambda s: reason(s) == "Bypassed", what="it is seen at the server", seconds=90
    )
    assert status["workloads"][0]["message"].startswith(f"pod {pod['metadata']['name']} holds ")
    assert condition(status, "WithinBudget")["reason"] == "Bypassed"
    assert status["capacity"]["committed"] == CONNECTIONS + status["workloads"][0]["connections"]["inUse"]


def reason(status: Raw) -> str:
    """Return the reason of the first workload."""
    said: str = status["workloads"][0]["reason"]
    return said


async def operators(shop: Shop) -> set[str]:
    """Return the addresses of the operator's replicas, one of which reads the server."""
    return {pod["status"].get("podIP", "") for pod in await Space(shop.space.kube, OPERATOR_NAMESPACE).all("Pod")}


async def start_barrier(shop: Shop) -> None:
    """Start what lets all pods of the Job begin at one moment."""
    container = {"name": "app", "image": "poolbudget/example:dev", "command": ["python", "-c", BARRIER, str(JOBS)]}
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    await shop.space.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "barrier", "labels": {"app": "barrier"}},
            "spec": spec,
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "barrier"},
            "spec": {"selector": {"app": "barrier"}, "ports": [{"port": 7000}]},
        },
    )
    await shop.phase("barrier", "Running")


def short_lived_job(name: str) -> Raw:
    """Return a Job whose pods are there all at once; their application knows nothing but a DATABASE_URL."""
    password = {"secretKeyRef": {"name": "orders-db", "key": "APPLICATION_PASSWORD"}}
    url = "postgresql+asyncpg://shop:$(DB_PASSWORD)@$(DB_HOST):$(DB_PORT)/orders"
    container = {
        "name": "app",
        "image": "poolbudget/example:dev",
        "command": ["python", "-c", SHORT_LIVED],
        "env": [{"name": "DB_PASSWORD", "valueFrom": password}, {"name": "DATABASE_URL", "value": url}],
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "parallelism": JOBS,
            "completions": JOBS,
            "backoffLimit": 0,
            "template": {"metadata": {"labels": labels(name)}, "spec": spec},
        },
    }


async def until_ended(space: Space, workload: str, count: int) -> list[Raw]:
    """Wait until so many pods of the workload have ended well; return them."""

    def of(pods: list[Raw]) -> list[Raw]:
        return [pod for pod in pods if pod["metadata"].get("labels", {}).get("poolbudget.dev/workload") == workload]

    def ended(pods: list[Raw]) -> bool:
        phases = [pod["status"].get("phase") for pod in of(pods)]
        assert "Failed" not in phases
        return phases.count("Succeeded") == count

    return of(await space.until("Pod", ended, what=f"{count} pods of {workload} have ended", seconds=120))
