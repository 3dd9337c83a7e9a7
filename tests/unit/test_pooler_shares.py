"""What the operator's own pooler gets of a server: what is set aside for it, and its part beside direct pools."""

from typing import Any

import pytest

from tests.unit.planning_inputs import planned
from tests.unit.pooler_inputs import ORDERS, plan_with_own_pooler, routed, workers

POOLERS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], tuple[int, int, int]]] = {
    "a connection for each replica is set aside": (workers(api=2), {}, (2, 2, 0)),
    "as many as declared": (workers(api=2), {"minConnections": 20}, (20, 2, 0)),
    "as many as declared, the same for each replica": (
        workers(api=2),
        {"minConnections": 20, "replicas": 3},
        (21, 3, 0),
    ),
    "never more than declared": (
        workers(api=2),
        {"minConnections": 20, "maxConnections": 20, "replicas": 3},
        (18, 3, 0),
    ),
    "what everything behind it can use": (workers(api=2), {"mode": "Always"}, (40, 2, 40)),
    "what is left, the same for each replica": (workers(api=200), {"replicas": 3}, (189, 3, 4_000)),
    "its most": (workers(api=200), {"maxConnections": 51}, (50, 2, 4_000)),
}


@pytest.mark.parametrize(("workloads", "pooler", "expected"), POOLERS.values(), ids=POOLERS.keys())
def test_the_connections_of_an_own_pooler(
    workloads: list[dict[str, Any]], pooler: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    found = plan_with_own_pooler(*workloads, **pooler).poolers[ORDERS]
    assert (found.connections, found.replicas, found.clients) == expected
    assert (found.host, found.port, found.external) == ("orders-pooler.shop.svc", 6432, False)


def test_a_pooler_is_divided_with_like_the_direct_pools_of_what_is_behind_it() -> None:
    """36 processes behind it and 9 beside it: it gets four times as much as these."""
    result = plan_with_own_pooler(*workers(moved=36, direct=9), when={"processesAbove": 35})
    assert planned(result, "direct").planned == 9 * 4
    assert result.poolers[ORDERS].connections == 190 - 9 * 4


def test_no_pooler_is_set_aside_for_what_cannot_be_moved() -> None:
    result = plan_with_own_pooler(routed("api", route="None"), routed("other", mode="Direct"))
    assert (result.poolers, result.needed) == ({}, 4)


def test_direct_pools_grow_only_beside_what_is_set_aside() -> None:
    result = plan_with_own_pooler(*workers(api=19), minConnections=100)
    assert (planned(result).planned, result.planned) == (4 * 19, 176)
