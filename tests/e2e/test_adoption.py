"""A running system is taken over, one workload after another, while its users go on using it."""

from tests.e2e.database import USABLE, Shop
from tests.functional.space import Raw, condition, connections

CLIENTS = {"api": 4, "reports": 3, "worker": 3}
"""A process holds no more connections than there are clients: 4 x 4 of api, 2 x 3 of reports, 3 x 3 of worker, 31."""

PODS = {"api": 2, "reports": 1, "worker": 1}
GRANTS = {"api": range(4, 7), "reports": range(4, 7), "worker": range(6, 10)}
"""From the floor, 2 a process, to the plan's 3: a pod gets what old ones have left free when it is born."""

UNREACHED = {"ClientConnectorError"}
"""A Service may lead to a pod a moment before or after it is there; such a request never came near the database."""

SAMPLER = ("python", "-m", "sampler", "--every-ms", "20", "--role", "shop", "--usable", str(USABLE))


def reasons(status: Raw) -> dict[str, str]:
    return {workload["name"]: workload["reason"] for workload in status["workloads"]}


async def until_adopted(shop: Shop, name: str) -> Raw:
    return await shop.space.status("orders", lambda s: reasons(s)[name] == "FitsDirectly", what=f"{name} is adopted")


async def test_three_workloads_are_adopted_one_after_another_without_a_refused_connection(shop: Shop) -> None:
    """By their defaults, 15 a process, they may open 4 x 15 + 2 x 15 + 3 x 15 = 135 connections of 50."""
    await shop.application("api", PODS["api"], labelled=False, drains=True)
    await shop.application("reports", PODS["reports"], like="api", labelled=False, drains=True)
    await shop.application("worker", PODS["worker"], labelled=False, drains=True)
    workloads = [{"name": name} for name in CLIENTS]
    await shop.budget(*workloads, updateMode="Off")
    await shop.start("sampler", *SAMPLER, role="postgres")
    for name, clients in CLIENTS.items():
        await shop.ready(name)
        load = ("python", "-m", "load", "--url", f"http://{name}/orders/7?hold_ms=100", "--seconds", "300")
        await shop.start(f"load-{name}", *load, "--concurrency", str(clients))

    off = await shop.space.status(
        "orders", lambda s: all(w["connections"].get("inUse") for w in s["workloads"]), what="all are seen at work"
    )
    assert set(reasons(off).values()) == {"Unmanaged"}
    assert {w["name"]: w["pods"]["current"] for w in off["workloads"]} == PODS
    assert off["capacity"]["committed"] == sum(w["connections"]["inUse"] for w in off["workloads"])

    await shop.budget(*workloads)
    for name in CLIENTS:
        await shop.adopt(name)
        await shop.ready(name)
        adopted = await until_adopted(shop, name)
        print(f"{name} is adopted: {adopted['capacity']}")

    loads = {name: await shop.stop(f"load-{name}") for name in CLIENTS}
    seen = await shop.stop("sampler")
    print(f"loads: {loads}\nsampler: {seen}")
    assert {failure for load in loads.values() for failure in load["failures"]} <= UNREACHED
    assert all(load["ok"] > 50 for load in loads.values())
    assert seen["over_usable"] == 0

    granted = {name: await shop.space.until_pods(name, granted=pods) for name, pods in PODS.items()}
    held = {name: [connections(pod) for pod in pods] for name, pods in granted.items()}
    assert all(grant in GRANTS[name] for name, grants in held.items() for grant in grants), held
    status = await shop.space.status(
        "orders", lambda s: s["capacity"]["committed"] == sum(map(sum, held.values())), what="grants are all there is"
    )
    assert (condition(status, "Ready")["status"], condition(status, "WithinBudget")["status"]) == ("True", "True")
