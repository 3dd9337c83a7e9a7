"""A granted pod that finds no node is named, and makes way for others; its controller makes it anew behind them."""

from typing import Any

from tests.functional.cluster import budget
from tests.functional.faults.operators import Operators
from tests.functional.manifests import deployment
from tests.functional.space import Raw, Space, connections

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
GREEDY = {"name": "api", "processes": 1, "minPerProcess": 12, "maxPerProcess": 12, "maxPods": 1}
LATE = {"name": "worker", "processes": 1, "minPerProcess": 10, "maxPods": 1}


async def test_a_granted_pod_without_a_node_is_reported_and_makes_way_for_one_that_waits(
    space: Space, operators: Operators
) -> None:
    await operators.start("", "--cooldown=2s")
    await space.apply(budget(space.name, GREEDY, **TWENTY), deployment("api", 1))
    (stuck,) = await space.until_pods("api", granted=1)
    name = stuck["metadata"]["name"]
    status = await space.status("orders", lambda s: reason(s) == "Unscheduled", what="the stuck pod is reported")
    assert f"pod {name} holds 12 connections without a node" in status["workloads"][0]["message"]
    (still_there,) = await space.all("Pod")
    assert still_there["metadata"]["uid"] == stuck["metadata"]["uid"], "nobody waits for its connections"

    smaller = GREEDY | {"minPerProcess": 10, "maxPerProcess": 10}
    await space.apply(budget(space.name, smaller, LATE, **TWENTY), deployment("worker", 1, parked=False))
    (worker,) = await space.until_pods("worker", granted=1)
    (again,) = await space.until_pods("api", granted=1)
    assert (connections(worker), connections(again)) == (10, 10)
    assert again["metadata"]["uid"] != stuck["metadata"]["uid"]
    events = await space.until("Event", lambda found: any(tells(e, stuck) for e in found), what="an Event says why")
    assert any(tells(e, stuck) and "others wait for its connections" in e["note"] for e in events)


def reason(status: Raw) -> str | None:
    return status["workloads"][0].get("reason") if status.get("workloads") else None


def tells(event: Raw, pod: Raw) -> bool:
    return bool(event["reason"] == "Unscheduled" and event["regarding"].get("uid") == pod["metadata"]["uid"])
