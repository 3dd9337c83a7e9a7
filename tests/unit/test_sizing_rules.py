"""Published rules of thumb, each as the workload that expresses it."""

from typing import Any

import pytest

from tests.unit.planning_inputs import budget, plan, planned, target

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[int, int]]]] = {
    "max_connections less reserved, over 4 workers, less overflow": (
        {},
        {"processes": 4, "maxPerProcess": 100, "pool": {"maxOverflow": 5}},
        [(42, 5)],
    ),
    "max_connections less reserved, over 8 workers, less overflow": (
        {},
        {"processes": 8, "maxPerProcess": 100, "pool": {"maxOverflow": 5}},
        [(18, 5)],
    ),
    "Little's law: 400 requests a second hold a connection for 50 ms": (
        {},
        {"processes": 1, "demand": {"requestsPerSecond": 400, "holdMilliseconds": 50, "headroomPercent": 0}},
        [(20, 0)],
    ),
    "peak concurrency over workers, plus 20 percent": (
        {},
        {"processes": 4, "maxPerProcess": 100, "demand": {"concurrency": 100}, "pool": {"maxOverflow": 10}},
        [(20, 10)],
    ),
    "at most half of max_connections for one service": (
        {"maxConnections": 100},
        {"processes": 4, "max": "50%"},
        [(12, 0)],
    ),
    "concurrency over queries per request, times 1.5": (
        {},
        {
            "processes": 1,
            "maxPerProcess": 100,
            "demand": {"concurrency": 100, "requestsPerConnection": 3, "headroomPercent": 50},
        },
        [(50, 0)],
    ),
    "several connections per request": (
        {},
        {
            "processes": 1,
            "maxPerProcess": 100,
            "demand": {"concurrency": 20, "connectionsPerRequest": 5, "headroomPercent": 0},
        },
        [(100, 0)],
    ),
    "cores x 2 + spindles for the whole service": (
        {},
        {"processes": 1, "max": 9},
        [(9, 0)],
    ),
    "a read pool four times the write pool": (
        {},
        {"processes": 1, "pools": [{"name": "read", "weight": 4}, {"name": "write", "weight": 1}]},
        [(16, 0), (4, 0)],
    ),
    "pool_size and max_overflow times workers below max_connections less reserved": (
        {},
        {"processes": 4, "maxPerProcess": 1000, "pool": {"maxOverflow": 10}},
        [(37, 10)],
    ),
}


@pytest.mark.parametrize(("spec", "fields", "pools"), CASES.values(), ids=CASES.keys())
def test_rule_of_thumb(spec: dict[str, Any], fields: dict[str, Any], pools: list[tuple[int, int]]) -> None:
    result = plan(budget({"name": "api", **fields}, **spec), target("api"))
    assert [(pool.size, pool.overflow) for pool in planned(result).pools] == pools
    assert result.fits
