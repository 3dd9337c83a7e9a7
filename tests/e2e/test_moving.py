"""Workloads that Auto moves behind the pooler that the operator runs, and back: what applications and Postgres see."""

from typing import Any

from tests.e2e.database import Shop
from tests.e2e.pooler import (
    API,
    AUTH,
    LOAD,
    REPLICAS,
    SAMPLER,
    UNREACHED,
    USERS,
    is_ready,
    pooler,
    until,
    until_pooler,
    write_secret,
)
from tests.functional.space import Raw, connections, notice

SLOW_LOAD = tuple(word.replace("=100", "=400") for word in LOAD)
"""It wants as many connections, and leaves the processor to forty processes that start."""


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
