"""When what was moved behind a pooler comes back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolbudget.api.v1alpha1 import PoolBudgetStatus
from poolbudget.planning.memory import STABILIZATION, Memory, Remembered, moved_before
from poolbudget.planning.model import Budget, BudgetKey, WorkloadPlan
from poolbudget.planning.plan import plan_server
from poolbudget.planning.status import planned_status
from tests.unit.planning_inputs import NAMESPACE, budget, planned, target

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORDERS = BudgetKey(NAMESPACE, "orders")
POOLER = {"mode": "External", "external": {"host": "bouncer", "connections": 40}}
ROOM = 150
"""What the pooler leaves of 190 usable connections."""


def api(
    processes: int | None, memory: Memory | None, pooler: dict[str, Any] | None = None, **fields: Any
) -> WorkloadPlan:
    """Plan a workload whose floor is a connection for each of its processes."""
    declared = {"name": "api", "minPerProcess": 1, "route": "Env", **fields, "processes": processes}
    one = budget(declared, database={"host": "db"}, pooler=pooler or POOLER)
    return planned(plan_server([one], dict([target("api")]), None, memory=memory))


def behind(since: timedelta | None) -> Memory:
    key = api(1, None).key
    return Memory({key: None if since is None else NOW - since}, NOW)


LONG = STABILIZATION
SHORT = STABILIZATION - timedelta(seconds=1)

BACK: dict[str, tuple[int, timedelta | None, tuple[str, str, datetime | None]]] = {
    "its floor does not fit": (151, LONG, ("Pooled", "DirectDoesNotFit", None)),
    "its floor fits": (150, LONG, ("Pooled", "Stabilizing", None)),
    "1.5 times its floor do not fit": (101, LONG, ("Pooled", "Stabilizing", None)),
    "1.5 times its floor fit since now": (100, None, ("Pooled", "Stabilizing", NOW)),
    "1.5 times its floor fit, and have for a while": (100, SHORT, ("Pooled", "Stabilizing", NOW - SHORT)),
    "1.5 times its floor fit, and have for long": (100, LONG, ("Direct", "FitsDirectly", None)),
}


@pytest.mark.parametrize(("processes", "since", "expected"), BACK.values(), ids=BACK.keys())
def test_a_workload_comes_back_once_there_was_room_for_long(
    processes: int, since: timedelta | None, expected: tuple[str, str, datetime | None]
) -> None:
    assert processes <= ROOM + 1
    result = api(processes, behind(since))
    assert (result.mode, result.reason, result.clear_since) == expected


def test_what_was_never_moved_stays() -> None:
    assert api(150, Memory({}, NOW)).mode == "Direct"


def test_without_a_memory_only_the_floors_count() -> None:
    assert api(150, None).mode == "Direct"


@pytest.mark.parametrize(
    ("fields", "pooler"),
    [
        pytest.param({"mode": "Direct"}, POOLER, id="declared direct"),
        pytest.param({"route": "None"}, POOLER, id="it can no longer be sent there"),
        pytest.param({}, {"mode": "Never"}, id="there is no pooler any more"),
    ],
)
def test_what_must_not_be_behind_a_pooler_comes_back_at_once(fields: dict[str, Any], pooler: dict[str, Any]) -> None:
    assert api(1, behind(None), pooler, **fields).mode == "Direct"


def test_what_a_trigger_moved_comes_back_in_the_same_way() -> None:
    above = POOLER | {"when": {"processesAbove": 10}}
    assert (api(11, behind(LONG), above).reason, api(11, behind(LONG), above).clear_since) == ("ProcessesAbove", None)
    assert api(10, behind(None), above).clear_since == NOW
    assert api(10, behind(LONG), above).mode == "Direct"


def test_a_trigger_by_the_plan_keeps_the_same_margin() -> None:
    percent = POOLER | {"when": {"plannedAbovePercent": 50}}
    sizes = {one: api(5, behind(LONG), percent, maxPerProcess=one) for one in (12, 13, 19, 20)}
    assert {one: result.reason for one, result in sizes.items()} == {
        12: "FitsDirectly",
        13: "Stabilizing",
        19: "Stabilizing",
        20: "PlannedAbovePercent",
    }


def test_the_smallest_comes_back_first() -> None:
    names = {"a": 100, "b": 60, "c": 10}
    declared = [{"name": n, "processes": p, "minPerProcess": 1, "route": "Env"} for n, p in names.items()]
    one = budget(*declared, database={"host": "db"}, pooler=POOLER)
    targets = dict(target(n) for n in names)
    keys = plan_server([one], targets, None).workloads.keys()
    back = plan_server([one], targets, None, memory=Memory(dict.fromkeys(keys, NOW - LONG), NOW))
    assert {n: planned(back, n).reason for n in names} == {
        "a": "DirectDoesNotFit",
        "b": "FitsDirectly",
        "c": "FitsDirectly",
    }


@pytest.mark.parametrize(
    ("processes", "fields"),
    [
        pytest.param(1, {"max": 1, "minPerProcess": 2}, id="its max is too small for now"),
        pytest.param(None, {"targetRef": {"name": "elsewhere"}}, id="its target is gone for now"),
    ],
)
def test_what_does_not_fit_for_now_is_not_taken_back(processes: int | None, fields: dict[str, Any]) -> None:
    result = api(processes, behind(LONG), **fields)
    assert (result.fits, result.mode, result.per_pod, result.clear_since) == (False, "Pooled", 0, None)


@pytest.mark.parametrize("since", [None, SHORT])
def test_the_status_is_the_memory(since: timedelta | None) -> None:
    one = budget(
        {"name": "api", "processes": 100, "minPerProcess": 1, "route": "Env"}, database={"host": "db"}, pooler=POOLER
    )
    planned_now = plan_server([one], dict([target("api")]), None, memory=behind(since))
    status = planned_status(one, planned_now)
    assert moved_before(ORDERS, status) == {api(1, None).key: NOW - (since or timedelta())}


def test_a_status_of_direct_workloads_remembers_nothing() -> None:
    one = budget({"name": "api", "processes": 1}, database={"host": "db"})
    assert moved_before(ORDERS, planned_status(one, plan_server([one], dict([target("api")]), None))) == {}


def behind_by_status(since: timedelta) -> tuple[Budget, PoolBudgetStatus]:
    one = budget(
        {"name": "api", "processes": 100, "minPerProcess": 1, "route": "Env"}, database={"host": "db"}, pooler=POOLER
    )
    return one, planned_status(one, plan_server([one], dict([target("api")]), None, memory=behind(since)))


def test_a_new_operator_knows_by_the_status_what_was_moved() -> None:
    one, status = behind_by_status(SHORT)
    memory = Remembered().before({one.key: status}, NOW)
    assert memory == Memory({api(1, None).key: NOW - SHORT}, NOW)
    later = Memory(memory.moved, NOW + timedelta(seconds=1))
    assert (api(100, memory).mode, api(100, later).mode) == ("Pooled", "Direct")


def test_what_was_planned_goes_before_the_status_which_is_written_later() -> None:
    one, status = behind_by_status(SHORT)
    remembered = Remembered()
    remembered.after(plan_server([one], dict([target("api")]), None))
    assert remembered.before({one.key: status}, NOW).moved == {}
    remembered.after(plan_server([one], dict([target("api")]), None, memory=behind(None)))
    assert remembered.before({one.key: PoolBudgetStatus()}, NOW).moved == {api(1, None).key: NOW}


def test_only_budgets_that_are_there_count() -> None:
    one, status = behind_by_status(SHORT)
    remembered = Remembered(timedelta(seconds=5))
    assert remembered.before({}, NOW) == Memory({}, NOW, timedelta(seconds=5))
    remembered.after(plan_server([budget({"name": "api"}, name="other")], {}, None))
    assert remembered.before({one.key: status}, NOW).moved == {api(1, None).key: NOW - SHORT}
