"""The pooler that the operator runs: real PgBouncer, real Postgres, and what applications notice of it."""

import time
from datetime import UTC, datetime

from poolbudget.act.authority import Validity, create
from tests.e2e.database import Shop
from tests.e2e.pooler import (
    API,
    AUTH,
    LOAD,
    NAME,
    PASSWORD,
    SAMPLER,
    SERVER,
    USERS,
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


def names(objects: list[Raw]) -> list[str]:
    return [found["metadata"]["name"] for found in objects]
