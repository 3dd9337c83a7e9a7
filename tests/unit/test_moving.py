"""Who is moved behind a pooler because direct pools no longer fit, and what is said where that cannot help."""

from typing import Any

import pytest

from poolbudget.planning.plan import plan_server
from tests.unit.planning_inputs import budget, plan, planned, target
from tests.unit.pooler_inputs import DATABASE, EXTERNAL, OWN, modes_of, routed, workers

MOVES: dict[str, tuple[dict[str, int], int, set[str]]] = {
    "nothing while all fit beside what the pooler has": ({"a": 100, "b": 60}, 30, set()),
    "the largest": ({"a": 100, "b": 60, "c": 1}, 30, {"a"}),
    "of equals the first by name": ({"b": 80, "a": 80, "c": 1}, 30, {"a"}),
    "one after another, until the rest fits": ({"a": 90, "b": 80, "c": 100}, 100, {"c", "a"}),
    "everything, if it must": ({"a": 90, "b": 80, "c": 100}, 190, {"a", "b", "c"}),
}


@pytest.mark.parametrize(("processes", "external", "moved"), MOVES.values(), ids=MOVES.keys())
def test_the_largest_are_moved_until_the_floors_fit(processes: dict[str, int], external: int, moved: set[str]) -> None:
    pooler = {"mode": "External", "external": {"host": "bouncer", "connections": external}}
    result = plan(budget(*workers(**processes), database=DATABASE, pooler=pooler), *(target(n) for n in processes))
    assert {name for name, mode in modes_of(result).items() if mode == "Pooled"} == moved
    assert result.fits
    assert result.planned <= result.usable == 190
    for name in moved:
        assert planned(result, name).reason == "DirectDoesNotFit"


def test_what_is_moved_says_what_would_not_fit() -> None:
    api = planned(plan(budget(*workers(api=200), database=DATABASE, pooler=EXTERNAL), target("api")))
    assert api.message.endswith("; direct pools would need 200 of 160 connections at the floor")


def test_what_cannot_be_moved_stays_and_the_next_largest_is_moved() -> None:
    fixed, rest = routed("fixed", route="None", processes=90, minPerProcess=1), workers(a=70, b=20)
    result = plan(budget(fixed, *rest, database=DATABASE, pooler=EXTERNAL), *(target(n) for n in ("fixed", "a", "b")))
    assert modes_of(result) == {"fixed": "Direct", "a": "Pooled", "b": "Direct"}


PERCENT: dict[str, tuple[int, dict[str, str]]] = {
    "nothing below it": (100, {"a": "Direct", "b": "Direct", "c": "Direct"}),
    "the largest first": (60, {"a": "Direct", "b": "Direct", "c": "Pooled"}),
    "until below": (20, {"a": "Pooled", "b": "Direct", "c": "Pooled"}),
    "all": (0, {"a": "Pooled", "b": "Pooled", "c": "Pooled"}),
}


@pytest.mark.parametrize(("percent", "modes"), PERCENT.values(), ids=PERCENT.keys())
def test_what_direct_pools_are_planned_with_moves_the_largest(percent: int, modes: dict[str, str]) -> None:
    most = {"maxPerProcess": 10}
    declared = [fields | most for fields in workers(a=3, b=2, c=10)]
    when = {"when": {"plannedAbovePercent": percent}}
    result = plan(budget(*declared, database=DATABASE, pooler=EXTERNAL | when), *(target(n) for n in "abc"))
    assert modes_of(result) == modes
    direct = sum(w.planned for w in result.workloads.values())
    assert direct * 100 <= percent * result.usable
    assert {w.reason for w in result.workloads.values() if w.mode == "Pooled"} <= {"PlannedAbovePercent"}


def test_a_trigger_counts_the_pools_of_its_own_budget() -> None:
    small = budget(
        *workers(a=1), name="small", database=DATABASE, pooler=EXTERNAL | {"when": {"plannedAbovePercent": 20}}
    )
    large = budget({"name": "b", "processes": 8}, name="large", created="2", database=DATABASE)
    result = plan_server([small, large], dict([target("a"), target("b")]), None)
    assert modes_of(result, "small") == {"a": "Direct"}


def messages(workloads: list[dict[str, Any]], pooler: dict[str, Any], **spec: Any) -> str:
    one = budget(*workloads, **{"database": DATABASE, "pooler": pooler, **spec})
    result = plan(one, *(target(fields["name"]) for fields in workloads))
    (message,) = {w.message for w in result.workloads.values()}
    assert not result.fits
    assert result.poolers == {}
    return message


@pytest.mark.parametrize(
    ("workloads", "pooler", "message"),
    [
        pytest.param(
            [{"name": "a", "processes": 100}],
            EXTERNAL,
            "orders would need 230 of 190 connections at the floor, 40 too many: lower replicas, processes or "
            "minPerProcess, or raise maxConnections; or set `route: Env` of a, to be moved behind the pooler",
            id="a route",
        ),
        pytest.param(
            [{"name": "a", "processes": 100}],
            OWN,
            "or set `route: Env` of a, to be moved behind the pooler",
            id="a route, where nothing is behind the pooler yet",
        ),
        pytest.param(
            [routed("a", processes=100)],
            {},
            "a would be moved behind a pooler: set pooler.authSecretRef",
            id="credentials",
        ),
        pytest.param(
            [routed("a", processes=60), {"name": "b", "processes": 90}, {"name": "c", "processes": 5}],
            OWN,
            "would need 192 of 190 connections at the floor with a behind the pooler, 2 too many: lower replicas, "
            "processes or minPerProcess, or raise maxConnections; or set `route: Env` of b, c, to be moved",
            id="a route for more",
        ),
    ],
)
def test_what_does_not_fit_says_what_would_be_moved_with(
    workloads: list[dict[str, Any]], pooler: dict[str, Any], message: str
) -> None:
    assert message in messages(workloads, pooler)


@pytest.mark.parametrize(
    ("workloads", "pooler"),
    [
        pytest.param([{"name": "a", "processes": 100}], {"mode": "Never"}, id="without a pooler"),
        pytest.param([{"name": "a", "processes": 100}], {}, id="with neither route nor credentials"),
        pytest.param(
            [{"name": "a", "processes": 100, "mode": "Direct"}, {"name": "b", "processes": 1}],
            OWN,
            id="where the rest would not fit either",
        ),
    ],
)
def test_no_move_is_promised_that_would_not_help(workloads: list[dict[str, Any]], pooler: dict[str, Any]) -> None:
    message = messages(workloads, pooler)
    assert "pooler" not in message


def test_credentials_without_a_server_to_go_back_to_are_not_enough() -> None:
    assert "set `database` and pooler.authSecretRef" in messages([routed("a", processes=100)], {}, database=None)


def test_a_younger_budget_that_does_not_fit_moves_nothing_of_the_older() -> None:
    old = budget(*workers(a=100), name="old", created="1", database=DATABASE, pooler=EXTERNAL)
    for maximum in (200, 50):
        young = budget(
            {"name": "b", "processes": 90}, name="young", created="2", maxConnections=maximum, database=DATABASE
        )
        result = plan_server([young, old], dict([target("a"), target("b")]), None)
        assert modes_of(result, "old") == {"a": "Direct"}
        assert result.conflicts | {young.key} == {young.key}
        assert not planned(result, "b", "young").fits
        assert result.poolers.keys() == {old.key}


def test_a_younger_budget_that_fits_with_what_is_moved_moves_it() -> None:
    old = budget(*workers(a=100), name="old", created="1", database=DATABASE, pooler=EXTERNAL)
    young = budget({"name": "b", "processes": 75}, name="young", created="2", database=DATABASE)
    result = plan_server([young, old], dict([target("a"), target("b")]), None)
    assert (modes_of(result, "old"), modes_of(result, "young")) == ({"a": "Pooled"}, {"b": "Direct"})
    assert result.fits
