"""The pooler that the operator runs: real PgBouncer, real Postgres, and what applications notice of it."""

import time
from datetime import UTC, datetime
from typing import Any

from poolbudget.act.authority import Validity, create
from tests.e2e.database import Shop
from tests.e2e.pooler import (
    API,
    AUTH,
    LOAD,
    NAME,
    PASSWORD,
    REPLICAS,
    SAMPLER,
    SERVER,
    UNREACHED,
    USERS,
    is_ready,
    pooler,
    poolers,
    psql,
    refuse,
    serve_tls,
    set_up,
    until,
    until_pooler,
    until_replaced,
    write_login,
    write_secret,
)
from tests.functional.space import Raw, connections, notice

SLOW_LOAD = tuple(word.replace("=100", "=400") for word in LOAD)
"""It wants as many connections, and leaves the processor to forty processes that start."""

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
    misnamed = await serve_tls(shop, "customers-db")
    outsider = create(("elsewhere",), datetime.now(UTC), Validity())
    tls = {"mode": "VerifyFull", "caSecretRef": {"name": "orders-db-ca"}}
    await shop.budget(API, pooler=pooler(maxConnections=10, tls=tls, serverPodSelector=SERVER))
    await until_pooler(shop, "SecretNotFound", "create the Secret")

    await write_login(shop, "wrong")
    await write_secret(shop, "orders-db-ca", {"ca.crt": outsider.bundle})
    await until_pooler(shop, "TlsFailed", "certificate verify failed")

    await write_secret(shop, "orders-db-ca", {"ca.crt": misnamed.bundle})
    await until_pooler(shop, "TlsFailed", "Hostname mismatch")

    held = await serve_tls(shop)
    await write_secret(shop, "orders-db-ca", {"ca.crt": held.bundle})
    await until_pooler(shop, "AuthenticationFailed", "correct the Secret")

    await set_up(shop, PASSWORD)
    await psql(shop, "DROP FUNCTION poolbudget.pooler_auth")
    await write_login(shop, PASSWORD)
    await until_pooler(shop, "AuthFunctionMissing", "run deploy/sql/setup.sql")

    second = (await poolers(shop))[1]
    await refuse(shop, second["status"]["podIP"])
    await set_up(shop, PASSWORD)
    await until_pooler(shop, "LoginPending", f"{NAME}-1 does not log in yet")

    await refuse(shop)
    await until_pooler(shop, "Ready", "2 of 2 PgBouncer pods serve")

    trusted = (await shop.space.get("ConfigMap", NAME))["data"]["ca.crt"]
    told = await shop.run("query", "python", "-c", QUERY, trusted, f"{NAME}.{shop.space.name}.svc")
    assert told["answers"] == [n + 1 for n in range(300)]
    assert await psql(shop, "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                            "WHERE usename = 'shop'") == "t"  # fmt: skip

    assert sorted(names(await shop.space.all("NetworkPolicy"))) == [NAME, f"{NAME}-server"]
    await shop.budget(API, pooler={"mode": "Never"})
    await shop.space.until("StatefulSet", lambda sets: NAME not in names(sets), what="the pooler is gone")
    await shop.space.status("orders", lambda s: s["capacity"]["committed"] == 0, what="nothing is kept for it")
    assert await shop.space.all("NetworkPolicy") == []

    stranger = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": f"{NAME}-server"}}
    await shop.space.apply(stranger | {"spec": {"podSelector": SERVER}})
    await shop.budget(API, pooler=pooler(maxConnections=10))
    await shop.space.until("Service", lambda services: NAME in names(services), what="the pooler is back", seconds=5)
    await until_pooler(shop, "Ready")
    assert sorted(names(await shop.space.all("NetworkPolicy"))) == [NAME, f"{NAME}-server"]


async def test_a_share_shrinks_and_pods_go_under_load_and_no_request_fails(shop: Shop) -> None:
    await write_secret(shop, AUTH, USERS)
    await shop.budget(API, pooler=pooler(maxConnections=40, serverPodSelector=SERVER))
    await shop.application("api", 2, drains=True, without=("DB_HOST",))
    await shop.ready("api")
    await until_pooler(shop, "Ready")
    closed = await shop.space.get("NetworkPolicy", f"{NAME}-server")
    assert closed["spec"]["podSelector"] == SERVER
    behind = ",".join(closed["spec"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]["values"])
    pods = await shop.space.all("Pod", labelSelector=f"poolbudget.dev/workload=api,poolbudget.dev/mode in ({behind})")
    assert len(pods) == 2
    await shop.start("sampler", *SAMPLER, role="postgres")
    await shop.start("load", *LOAD)
    await until(shop, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'", 40)

    await shop.start("watch", "python", "-c", WATCH, role="postgres")
    await until(shop, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'watch'", 1)
    began = time.time()
    await shop.budget(API, pooler=pooler(maxConnections=10))
    lent = await shop.space.status("orders", lambda s: s["capacity"]["committed"] == 10, what="the room is free")
    await shop.space.until("NetworkPolicy", lambda found: names(found) == [NAME], what="the direct way is open")
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


async def test_a_workload_that_outgrows_its_budget_goes_behind_the_pooler_and_comes_back_by_itself(shop: Shop) -> None:
    """From 4 processes to 40 and back. At the floor 2 pods need 16 connections and 11 need 88; the pooler leaves 48."""
    await write_secret(shop, AUTH, USERS)
    await shop.budget({**API, "minPerProcess": 2}, pooler=pooler(mode="Auto"), updateMode="Recreate")
    await shop.application("api", 1, drains=True, options=("--workers", "4"), without=("DB_HOST",))
    await until_all(shop, 1, "Direct")
    await until_pooler(shop, "Ready")
    await shop.start("sampler", *SAMPLER, role="postgres")
    await shop.start("load", *SLOW_LOAD)

    await shop.space.scale("Deployment", "api", 10)
    await until_all(shop, 10, "Pooled")
    moved = await shop.space.status(
        "orders", lambda s: charged(s) == s["pooler"]["connections"], what="only the pooler"
    )
    assert (moved["workloads"][0]["mode"], moved["workloads"][0]["reason"]) == ("Pooled", "DirectDoesNotFit")
    await until(shop, await sessions_of(shop, "api"), 0)

    await shop.space.scale("Deployment", "api", 1)
    pods = await until_all(shop, 1, "Direct")
    granted = sum(map(connections, pods))
    back = await shop.space.status(
        "orders", lambda s: charged(s) == granted + s["pooler"]["connections"], what="the pooler gave back", seconds=60
    )
    assert (back["workloads"][0]["mode"], back["workloads"][0]["reason"]) == ("Direct", "FitsDirectly")
    assert back["pooler"]["connections"] == REPLICAS
    load, seen = await shop.stop("load"), await shop.stop("sampler")
    print(f"moved: {moved['capacity']}\nback: {back['capacity']}\nload: {load}\nsampler: {seen}")
    assert load["failures"].keys() <= UNREACHED
    assert load["ok"] > 1000
    assert seen["over_usable"] == 0


async def test_what_was_moved_and_does_not_go_there_stays_charged_and_holds_back_the_others(shop: Shop) -> None:
    """At the floor 3 pods need 60 connections: of the 50 that are usable the pooler lends 40 to the first two."""
    await write_secret(shop, AUTH, USERS)
    moved: dict[str, Any] = {"pooler": pooler(mode="Auto")}
    api = {**API, "minPerProcess": 20, "env": {"names": {"host": "UNREAD_HOST", "port": "UNREAD_PORT"}}}
    one: dict[str, Any] = {"surge": False, "options": ("--workers", "1")}
    await shop.budget(api, **moved)
    await until_pooler(shop, "Ready")
    await shop.application("api", 3, **one)
    *granted, waiting = await shop.space.until_pods("api", granted=2, waiting=1, reason="NotSeenYet")
    assert [connections(pod) for pod in granted] == [20, 20]
    assert "needs 20, free 8, until a pod of its workload is seen behind the pooler" in notice(waiting)["message"]

    few = (*LOAD, "--concurrency", "8")
    await shop.start("before", *few)
    await shop.space.status("orders", lambda s: s["workloads"][0]["reason"] == "Bypassed", what="it is seen there")
    assert len(await shop.space.until_pods("api", granted=2, waiting=1)) == 3

    await shop.stop("before")
    await shop.budget({**api, "env": {}}, **moved)
    await shop.application("api", 3, **one, without=("DB_HOST",))
    await shop.space.until("Pod", lambda pods: sum(map(takes_its_host, pods)) == 2, what="two that go there serve")
    await shop.start("after", *few)
    await until_all(shop, 3, "Pooled")
    await shop.space.status("orders", lambda s: charged(s) == s["pooler"]["connections"] == 50, what="only the pooler")
    assert (await shop.stop("after"))["ok"] > 0


def takes_its_host(pod: Raw) -> bool:
    return is_ready(pod) and "env.poolbudget.dev/DB_HOST" in pod["metadata"].get("annotations", {})


def charged(status: Raw) -> int:
    """Return what is charged of the server."""
    found: int = status["capacity"]["committed"]
    return found


async def until_all(shop: Shop, count: int, mode: str) -> list[Raw]:
    """Wait until so many pods of `api` serve, all of this mode, and no other is left; return them."""

    def api(pods: list[Raw]) -> list[Raw]:
        return [pod for pod in pods if pod["metadata"].get("labels", {}).get("app") == "api"]

    def are_there(pods: list[Raw]) -> bool:
        modes = [pod["metadata"]["annotations"].get("poolbudget.dev/mode") for pod in api(pods) if is_ready(pod)]
        return len(api(pods)) == count and modes == [mode] * count

    return api(await shop.space.until("Pod", are_there, what=f"{count} pods of api are {mode}", seconds=240))


async def sessions_of(shop: Shop, app: str) -> str:
    """Return the query that counts the sessions which pods of an application hold themselves."""
    pods = await shop.space.all("Pod", labelSelector=f"app={app}")
    addresses = ", ".join(f"'{pod['status']['podIP']}'" for pod in pods)
    return f"SELECT count(*) FROM pg_stat_activity WHERE client_addr IN ({addresses})"


def names(objects: list[Raw]) -> list[str]:
    return [found["metadata"]["name"] for found in objects]
