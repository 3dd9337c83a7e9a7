"""A workload that was moved behind a pooler stays there until direct pools have fitted for long, whoever leads."""

from typing import Any

from tests.functional.cluster import budget
from tests.functional.faults.operators import Operators
from tests.functional.space import Raw, Space

POOLER = {"mode": "External", "external": {"host": "bouncer", "connections": 20}}


def of(space: Space, pods: int) -> Raw:
    """Return a budget that leaves 40 connections for direct pods, of 8 at the floor; one is added for a rollout."""
    api = {"name": "api", "processes": 4, "minPerProcess": 2, "route": "Env", "maxPods": pods}
    return budget(space.name, api, maxConnections=70, database={"host": "db"}, pooler=POOLER)


async def shown(space: Space, *, mode: str, reason: str, pods: int) -> Raw:
    def says(status: Raw) -> bool:
        found = status.get("workloads") or [{}]
        return (found[0].get("mode"), found[0].get("reason"), found[0].get("pods", {}).get("steady")) == (
            mode,
            reason,
            pods,
        )

    status = await space.status("orders", says, what=f"{pods} pods are {mode}, {reason}")
    workload: dict[str, Any] = status["workloads"][0]
    return workload


async def test_what_was_moved_comes_back_after_a_while_even_if_operators_change(
    space: Space, operators: Operators
) -> None:
    first = await operators.start("", "--stabilization=1h")
    await space.apply(of(space, 1))
    await shown(space, mode="Direct", reason="FitsDirectly", pods=1)
    await space.apply(of(space, 20))
    await shown(space, mode="Pooled", reason="DirectDoesNotFit", pods=20)
    await space.apply(of(space, 4))
    assert "clearSince" not in await shown(space, mode="Pooled", reason="Stabilizing", pods=4)
    await space.apply(of(space, 2))
    clear = await shown(space, mode="Pooled", reason="Stabilizing", pods=2)
    await first.kill()

    second = await operators.start("", "--stabilization=1h")
    await space.apply(of(space, 1))
    still = await shown(space, mode="Pooled", reason="Stabilizing", pods=1)
    assert still["clearSince"] == clear["clearSince"]
    await second.kill()

    await operators.start("", "--stabilization=1s")
    assert "clearSince" not in await shown(space, mode="Direct", reason="FitsDirectly", pods=1)
