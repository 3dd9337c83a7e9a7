"""Pods that vanished while nobody watched: what Postgres shows of them decides, also where no other pod is left."""

import asyncio

from tests.e2e.database import Shop
from tests.functional.cluster import kubectl, operator_away

LOAD = ("python", "-m", "load", "--url", "http://api/orders/7?hold_ms=100", "--concurrency", "4", "--seconds", "900")


async def test_pods_that_vanished_while_no_operator_watched_make_room_once_postgres_shows_none_of_them(
    shop: Shop,
) -> None:
    await shop.budget({"name": "api", "maxPods": 1})
    await shop.application("api", 1, surge=False)
    await shop.ready("api")
    (old,) = await shop.space.until_pods("api", granted=1)
    await shop.start("load", *LOAD)
    await shop.space.status("orders", lambda s: bool(s["workloads"][0]["connections"].get("inUse")), what="it is seen")

    with operator_away():
        name = old["metadata"]["name"]
        await asyncio.to_thread(kubectl, "delete", "pod", "-n", shop.space.name, name, "--force", "--grace-period=0")

    await shop.ready("api")
    (new,) = await shop.space.until_pods("api", granted=1)
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
