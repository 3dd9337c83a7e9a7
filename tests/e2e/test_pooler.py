"""The pooler that the operator runs: real PgBouncer, real Postgres, and what applications notice of it."""

import time
from datetime import UTC, datetime
from typing import Any

from poolbudget.act.authority import Validity, create
from tests.e2e.database import Shop
from tests.e2e.pooler import (
    AUTH,
    NAME,
    PASSWORD,
    pooler,
    poolers,
    psql,
    serve_tls,
    set_up,
    until_pooler,
    write_login,
    write_secret,
)
from tests.functional.space import Raw

WATCH = """
import asyncio, json, os, signal, time
import asyncpg

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connection = await asyncpg.connect(
        host="orders-db", user="postgres", password=os.environ["DB_PASSWORD"], database="orders",
        server_settings={"application_name": "watch"},
    )
    above = 0.0
    while not stop.is_set():
        if await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'") > 10:
            above = time.time()
        await asyncio.sleep(0.02)
    print(json.dumps({"above": above}))

asyncio.run(main())
"""
API: dict[str, Any] = {"name": "api", "route": "Env", "maxPerProcess": 20, "pool": {"recycleSeconds": 5}}
LOAD = ("python", "-m", "load", "--url", "http://api/orders/7?hold_ms=100", "--concurrency", "60", "--seconds", "300")
SAMPLER = ("python", "-m", "sampler", "--every-ms", "20", "--role", "shop", "--usable", "50", "--reserve", "7")
"""Of the 10 that the budget keeps for others the server keeps 3 for itself."""

UNREACHED = {"ClientConnectorError"}
"""A Service may lead to a pod a moment before or after it is there; such a request never came near the database."""

QUERY = """
import asyncio, json, os, ssl, sys
import asyncpg

async def main():
    trust = ssl.create_default_context(cadata=sys.argv[1])
    connection = await asyncpg.connect(
        host=sys.argv[2], port=6432, user="shop", password=os.environ["DB_PASSWORD"], database="orders", ssl=trust
    )
    print(json.dumps({"answers": [await connection.fetchval("SELECT $1::int + 1", n) for n in range(300)]}))
    await connection.close()

asyncio.run(main())
"""


async def test_what_is_wrong_is_named_until_it_is_right(shop: Shop) -> None:
    held = await serve_tls(shop)
    stranger = create(("elsewhere",), datetime.now(UTC), Validity())
    tls = {"mode": "VerifyFull", "caSecretRef": {"name": "orders-db-ca"}}
    await shop.budget(API, pooler=pooler(maxConnections=10, tls=tls))
    await until_pooler(shop, "SecretNotFound", "create the Secret")

    await write_login(shop, "wrong")
    await write_secret(shop, "orders-db-ca", {"ca.crt": stranger.bundle})
    await until_pooler(shop, "TlsFailed", "certificate verify failed")

    await write_secret(shop, "orders-db-ca", {"ca.crt": held.bundle})
    await until_pooler(shop, "AuthenticationFailed", "correct the Secret")

    await set_up(shop, PASSWORD)
    await psql(shop, "DROP FUNCTION poolbudget.pooler_auth")
    await write_login(shop, PASSWORD)
    await until_pooler(shop, "AuthFunctionMissing", "run deploy/sql/setup.sql")

    await set_up(shop, PASSWORD)
    await until_pooler(shop, "Ready", "2 of 2 PgBouncer pods serve")

    trusted = (await shop.space.get("ConfigMap", NAME))["data"]["ca.crt"]
    told = await shop.run("query", "python", "-c", QUERY, trusted, f"{NAME}.{shop.space.name}.svc")
    assert told["answers"] == [n + 1 for n in range(300)]
    assert await psql(shop, "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                            "WHERE usename = 'shop'") == "t"  # fmt: skip

    await shop.budget(API, pooler={"mode": "Never"})
    await shop.space.until("StatefulSet", lambda sets: NAME not in names(sets), what="the pooler is gone")
    await shop.space.status("orders", lambda s: s["capacity"]["committed"] == 0, what="nothing is kept for it")


async def test_a_share_shrinks_and_pods_go_under_load_and_no_request_fails(shop: Shop) -> None:
    await write_secret(shop, AUTH, {"userlist.txt": b'"shop" "shop-demo"'})
    await shop.budget(API, pooler=pooler(maxConnections=40))
    await shop.application("api", 2, drains=True, without=("DB_HOST",))
    await shop.ready("api")
    await until_pooler(shop, "Ready")
    await shop.start("sampler", *SAMPLER, role="postgres")
    await shop.start("load", *LOAD)
    await until(shop, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'", 40)

    await shop.start("watch", "python", "-c", WATCH, role="postgres")
    await until(shop, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'watch'", 1)
    began = time.time()
    await shop.budget(API, pooler=pooler(maxConnections=10))
    lent = await shop.space.status("orders", lambda s: s["capacity"]["committed"] == 10, what="the room is free")
    took = (await shop.stop("watch"))["above"] - began
    print(f"above 10 of 40 backends for {took:.2f} s; {lent['capacity']}")
    assert -1 < took < 2  # it was above when it was told

    before = await poolers(shop)
    await shop.budget(API, pooler=pooler(maxConnections=10, tls={"mode": "Disable"}))  # a running pod keeps its mode
    for pod in before:
        await until_replaced(shop, pod)
    await until_pooler(shop, "Ready", "2 of 2 PgBouncer pods serve")

    load, seen = await shop.stop("load"), await shop.stop("sampler")
    print(f"load: {load}\nsampler: {seen}")
    assert load["failed"] == 0
    assert load["ok"] > 1000
    assert seen["over_usable"] == 0


async def test_a_workload_that_outgrows_its_budget_moves_behind_the_pooler_by_itself(shop: Shop) -> None:
    await write_secret(shop, AUTH, {"userlist.txt": b'"shop" "shop-demo"'})
    await shop.budget({**API, "minPerProcess": 6}, pooler=pooler(mode="Auto"), updateMode="Recreate")
    await shop.application("api", 2, drains=True, without=("DB_HOST",))
    await shop.ready("api")
    few = await shop.space.status(
        "orders", lambda s: s["workloads"][0]["reason"] == "FitsDirectly", what="it is direct"
    )
    await until_pooler(shop, "Ready")
    await shop.start("sampler", *SAMPLER, role="postgres")
    await shop.start("load", *LOAD)

    await shop.space.scale("Deployment", "api", 4)
    moved = await shop.space.status("orders", all_behind_the_pooler, what="4 pods are behind the pooler", seconds=120)
    assert moved["workloads"][0]["mode"] == "Pooled"
    load, seen = await shop.stop("load"), await shop.stop("sampler")
    print(f"before: {few['capacity']}\nafter: {moved['capacity']}\nload: {load}\nsampler: {seen}")
    assert load["failures"].keys() <= UNREACHED
    assert load["ok"] > 100
    assert seen["over_usable"] == 0


def all_behind_the_pooler(status: Raw) -> bool:
    """Whether 4 pods run, and the pooler's share is all that is charged."""
    (workload,) = status["workloads"]
    running = (workload["reason"], workload["pods"]["current"], workload["pods"]["waiting"])
    return running == ("DirectDoesNotFit", 4, 0) and status["capacity"]["committed"] == status["pooler"]["connections"]


async def until(shop: Shop, query: str, count: int, seconds: float = 30) -> None:
    """Wait until a query of one number gives this one."""
    until = time.monotonic() + seconds
    while (found := int(await psql(shop, query))) != count:
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {query} gives {found}, not {count}"


async def until_replaced(shop: Shop, pod: Raw) -> None:
    """Wait until another pod of the same name is ready."""
    metadata = pod["metadata"]

    def holds(pods: list[Raw]) -> bool:
        same = [p for p in pods if p["metadata"]["name"] == metadata["name"]]
        return any(p["metadata"]["uid"] != metadata["uid"] and is_ready(p) for p in same)

    await shop.space.until("Pod", holds, what=f"{metadata['name']} is replaced", seconds=60)


def is_ready(pod: Raw) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def names(objects: list[Raw]) -> list[str]:
    return [found["metadata"]["name"] for found in objects]
