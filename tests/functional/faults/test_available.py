"""`admission: Available`: while no operator leads, pods start with the plan that the last leader has published."""

from typing import Any

from tests.functional.cluster import budget
from tests.functional.faults.operators import Operators
from tests.functional.manifests import controller, deployment, template
from tests.functional.space import Raw, Space, connections, is_gated

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
THREE_PODS = {"name": "api", "processes": 1, "maxPods": 3}


async def test_pods_start_without_an_operator_up_to_the_planned_ones_and_the_next_leader_takes_them_over(
    space: Space, operators: Operators
) -> None:
    leader = await operators.start()
    await space.apply(budget(space.name, {"name": "strict", "processes": 1, "maxPods": 1}, name="strict", **TWENTY))
    await space.status("strict", what="its plan is published, too")
    await space.apply(budget(space.name, THREE_PODS, admission="Available", **TWENTY), deployment("api", 1))
    await space.until_pods("api", granted=1)
    await space.status("orders", lambda s: s["workloads"][0]["pods"]["current"] == 1, what="the plan is published")

    await leader.kill()
    await space.apply(controller("ReplicaSet", "strict", 1, of_budget("strict")))
    await space.scale("Deployment", "api", 4)
    pods = await space.until("Pod", lambda pods: sum(not is_gated(p) for p in pods) == 3, what="three started")
    assert {pod["metadata"]["labels"]["app"]: connections(pod) for pod in pods if not is_gated(pod)} == {"api": 6}
    assert {entry.connections for entry in (await space.ledger()).values()} == {6}

    await operators.start()
    await space.until_pods("api", granted=3, waiting=1, reason="PodsBeyondPlan")
    await space.until_pods("strict", granted=1)
    await space.status("orders", lambda s: s["capacity"]["committed"] == 18, what="all that started is charged")


def of_budget(name: str) -> Raw:
    """Return a template of the workload `name` of the budget `name`."""
    made = template(name)
    made["metadata"]["labels"]["poolbudget.dev/budget"] = name
    return made
