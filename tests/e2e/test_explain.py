"""`poolbudget explain` shows what Postgres sees of each pod, as the leading operator read it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.database import Shop
from tests.functional.cluster import eventually, kubectl
from tests.functional.space import connections

POOLBUDGET = Path(sys.executable).with_name("poolbudget")
LOAD = ("python", "-m", "load", "--url", "http://api/orders/7?hold_ms=300", "--concurrency", "60", "--seconds", "60")
BY_ADDRESS = "SELECT host(client_addr), count(*) FROM pg_stat_activity WHERE client_addr IS NOT NULL GROUP BY 1"


async def test_the_sessions_of_each_pod_are_those_that_postgres_shows(shop: Shop) -> None:
    await shop.budget({"name": "api"})
    await shop.application("api", 2)
    await shop.ready("api")
    pods = await shop.space.until_pods("api", granted=2)
    await shop.start("load", *LOAD)

    def all_in_use() -> bool:
        shown = in_use(shop.space.name)
        return shown == {pod["metadata"]["name"]: connections(pod) for pod in pods}

    await asyncio.to_thread(eventually, all_in_use, "each pod uses all that it was granted, and explain shows it", 30)
    psql = ("psql", "-U", "postgres", "-d", "orders", "-AtF=", "-c", BY_ADDRESS)
    seen = dict(
        line.split("=")
        for line in kubectl("exec", "-n", shop.space.name, "statefulset/orders-db", "--", *psql).stdout.splitlines()
    )
    assert {pod["status"]["podIP"]: str(connections(pod)) for pod in pods}.items() <= seen.items()


def in_use(namespace: str) -> dict[str, int | None]:
    """Return the sessions of each pod as the command prints them."""

    done = subprocess.run(
        [POOLBUDGET, "explain", "orders", "-n", namespace, "-o", "json"], capture_output=True, text=True, check=True
    )
    return {row["name"]: row.get("inUse") for row in json.loads(done.stdout)["pods"]}
