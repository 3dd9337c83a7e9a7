"""What ends behind an application, and begins again: Postgres, a PgBouncer, the operator, for which nobody waits."""

import asyncio
import inspect
import time
from itertools import count

import pytest

from poolbudget.kube import ApiError
from tests.chaos import sampler
from tests.e2e.database import USABLE, Shop
from tests.e2e.pooler import (
    API,
    AUTH,
    LOAD,
    USERS,
    is_ready,
    pooler,
    poolers,
    psql,
    until,
    until_pooler,
    until_replaced,
    write_secret,
)
from tests.functional.cluster import kubectl, operator_away
from tests.functional.space import Raw

SAMPLER = ("python", "-c", inspect.getsource(sampler), "--role", "shop", "--usable", str(USABLE), "--reserve", "7")
"""One that connects anew when the server comes back."""
SOME_LOAD = ("python", "-m", "load", "--url", "http://api/orders/7?hold_ms=20", "--concurrency", "10", "--seconds", "2")
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'"
RESTART_POSTGRES = 'kill -INT "$(head -1 "$PGDATA/postmaster.pid")"'
END_PGBOUNCER = "kill -QUIT 1"
"""It ends at once, whatever its clients do."""


async def test_requests_are_served_again_by_themselves_whatever_began_anew(shop: Shop) -> None:
    await write_secret(shop, AUTH, USERS)
    await shop.budget(API, pooler=pooler(maxConnections=40))
    await shop.application("api", 2, drains=True, without=("DB_HOST",))
    await shop.ready("api")
    await until_pooler(shop, "Ready", "2 of 2 PgBouncer pods serve")
    await shop.start("sampler", *SAMPLER, role="postgres")

    await under_load(shop, "postgres")
    await in_its_place(shop, "orders-db-0", RESTART_POSTGRES)
    await until_served(shop, "postgres")
    print(f"Postgres was restarted: {await shop.stop('load-postgres')}")

    with operator_away():
        await under_load(shop, "eviction")
        first, second = await poolers(shop)
        await evict(shop, second)
        with pytest.raises(ApiError, match="disruption budget"):
            await evict(shop, first)
        await until_replaced(shop, second)
        moved = await shop.stop("load-eviction")
        print(f"a PgBouncer was evicted: {moved}")
        assert moved["failed"] == 0
        assert moved["ok"] > 100

        await under_load(shop, "crash")
        await in_its_place(shop, first["metadata"]["name"], END_PGBOUNCER)
        await until_served(shop, "crash")
        print(f"a PgBouncer ended at once: {await shop.stop('load-crash')}")

    await under_load(shop, "after")
    await shop.budget(API, pooler=pooler(maxConnections=10))
    await shop.space.status("orders", lambda s: s["capacity"]["committed"] == 10, what="the room is free", seconds=60)
    assert int(await psql(shop, SESSIONS)) <= 10
    after, seen = await shop.stop("load-after"), await shop.stop("sampler")
    print(f"all is as before: {after}\nsampler: {seen}")
    assert after["failed"] == 0
    assert seen["over"] == 0
    assert seen["connects"] >= 2


async def under_load(shop: Shop, name: str) -> None:
    """Start to load, and wait until all of the pooler's connections are at work."""
    await shop.start(f"load-{name}", *LOAD)
    await until(shop, SESSIONS, 40, seconds=60)


async def in_its_place(shop: Shop, name: str, end: str) -> None:
    """End the process of a pod by a line of shell, and wait until the kubelet has started it anew."""
    await asyncio.to_thread(kubectl, "exec", "-n", shop.space.name, name, "--", "sh", "-c", end)

    def is_back(pods: list[Raw]) -> bool:
        (pod,) = [pod for pod in pods if pod["metadata"]["name"] == name]
        return pod["status"]["containerStatuses"][0]["restartCount"] == 1 and is_ready(pod)

    await shop.space.until("Pod", is_back, what=f"{name} has begun anew", seconds=60)


async def evict(shop: Shop, pod: Raw) -> None:
    """Ask for its end as `kubectl drain` does."""
    metadata = {"name": pod["metadata"]["name"], "namespace": shop.space.name}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    await shop.space.kube.post(f"{shop.space.path('Pod', metadata['name'])}/eviction", body)


async def until_served(shop: Shop, after: str, seconds: float = 90) -> None:
    """Wait until none of the requests of two seconds fails."""
    until = time.monotonic() + seconds
    for number in count():
        came = await shop.run(f"after-{after}-{number}", *SOME_LOAD)
        if came["failed"] == 0 < came["ok"]:
            return
        assert time.monotonic() < until, f"not within {seconds:.0f} s: all is served again; last: {came}"
