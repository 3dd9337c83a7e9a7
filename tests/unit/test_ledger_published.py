"""While no operator leads, pods start with the plan that the last one published, and with nothing else."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from poolbudget.api.conditions import NewCondition, merge
from poolbudget.api.v1alpha1 import (
    Database,
    PoolBudgetSpec,
    PoolBudgetStatus,
    Pooler,
    PoolerMode,
    Route,
    SecretReference,
    Workload,
    WorkloadMode,
)
from poolbudget.detection.podspec import PodSpec
from poolbudget.ledger.model import Pod, Reservation
from poolbudget.ledger.published import Start, starts
from poolbudget.planning.model import Budget
from poolbudget.planning.settings import setting_names
from poolbudget.planning.status import planned_status, workloads_fit
from tests.unit.ledger_builders import (
    API,
    BUDGET,
    app,
    ledger,
    pods,
    pooled,
    reservation,
    running,
    spec,
    target,
    waiting,
)
from tests.unit.ledger_builders import plan as plan_of

SPEC = spec(usable=16)


def with_own(values: Mapping[str, str]) -> PodSpec:
    """Return the pod spec of an application that sets these variables itself."""
    (container,) = app().containers
    env = tuple(replace(v, annotation=None, value=values[v.name]) if v.name in values else v for v in container.env)
    return PodSpec((replace(container, env=env),))


def published(budget: PoolBudgetSpec = SPEC, **template: str) -> PoolBudgetStatus:
    """Return what a leader would have written: 4 connections for each of 3 pods, and room for one rollout pod.

    `template`: the variables that it sets itself.
    """
    plan = plan_of(budget, target(template=with_own(template)))
    found = NewCondition("WorkloadsFit", *workloads_fit(Budget(BUDGET, budget), plan))
    conditions = merge([], [found], 1, "2024-01-01T00:00:00Z")
    return planned_status(Budget(BUDGET, budget), plan).model_copy(
        update={"observed_generation": 1, "conditions": conditions}
    )


FITS, REFUSED = NewCondition("WorkloadsFit", True, "WorkloadsFit", ""), NewCondition("Ready", False, "SameServer", "")
SAME_SERVER = merge([], [FITS, REFUSED], 1, "2024-01-01T00:00:00Z")


def started(*shown: Pod, held: Mapping[str, Reservation] | None = None, budget: PoolBudgetSpec = SPEC) -> list[Start]:
    return starts(Budget(BUDGET, budget), published(budget), held or {}, list(pods(*shown).values()))


def names(found: list[Start]) -> list[str]:
    return [start.pod.name for start in found]


def test_a_waiting_pod_gets_the_published_connections_and_settings() -> None:
    (start,) = started(waiting())
    assert start.reservation == Reservation("api-1", 4, "shop", "api-1", start.pod.workload)
    assert {name: start.annotations[f"poolbudget.dev/{name}"] for name in ("connections", "mode")} == {
        "connections": "4",
        "mode": "Direct",
    }
    assert {name: start.annotations[f"env.poolbudget.dev/{name}"] for name in ("DB_POOL_SIZE", "DB_MAX_OVERFLOW")} == {
        "DB_POOL_SIZE": "4",
        "DB_MAX_OVERFLOW": "0",
    }


OLD = [running(f"api-{n}", revision="old") for n in (1, 2, 3)]
SAME = [running(f"api-{n}") for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param([waiting("api-1"), waiting("api-2")], ["api-1", "api-2"], id="up to the steady pods"),
        pytest.param([*SAME, waiting("api-4")], [], id="none beyond the steady pods"),
        pytest.param([*OLD, waiting("api-4"), waiting("api-5")], ["api-4"], id="one more to replace an older revision"),
        pytest.param([*SAME[:2], replace(SAME[2], ended=True), waiting("api-4")], ["api-4"], id="an ended pod is none"),
        pytest.param([waiting(processes=2)], [], id="the plan was made for pods of another number of processes"),
        pytest.param([waiting(unresolved=True)], [], id="a pod that was born without settings"),
        pytest.param(
            [*SAME[:2], waiting("api-4", created="2024-01-02T00:00:00Z"), waiting("api-5", priority=9)],
            ["api-5"],
            id="by priority, then by age",
        ),
    ],
)
def test_pods_start_in_the_places_that_the_plan_has(shown: list[Pod], expected: list[str]) -> None:
    assert names(started(*shown)) == expected


MORE = [running(f"api-{n}", 5, revision="old") for n in (1, 2, 3)]
LESS = [running(f"api-{n}", 3, revision="old") for n in (1, 2, 3)]
OTHER = running("job-1", 8, workload=API._replace(workload="job"))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param([*MORE, waiting("api-4")], [], id="pods of an older plan hold more than the places are made for"),
        pytest.param([*MORE[:2], waiting("api-4")], ["api-4"], id="as many as can beside them"),
        pytest.param([*LESS, waiting("api-4"), waiting("api-5")], ["api-4"], id="no more pods where they hold less"),
        pytest.param([OTHER, *SAME[:2], waiting("api-4")], [], id="a workload that left the budget holds its own"),
        pytest.param([replace(OTHER, ended=True), *SAME[:2], waiting("api-4")], ["api-4"], id="until it has ended"),
        pytest.param([*MORE[:2], OTHER, pooled("api-3"), waiting("api-4")], [], id="whoever holds it"),
        pytest.param([running("api-1", None), *SAME[1:], waiting("api-4")], [], id="a pod without a grant has a place"),
    ],
)
def test_all_that_start_have_room_in_what_the_plan_takes_in_all(shown: list[Pod], expected: list[str]) -> None:
    assert names(started(*shown)) == expected


def test_what_is_written_down_for_a_pod_at_the_gate_is_taken() -> None:
    held = ledger(reservation("api-1", 9, node="", address=""), reservation("api-2", 4, node="", address=""))
    shown = [waiting("api-1"), waiting("api-2"), waiting("api-3", created="2024-01-02T00:00:00Z")]
    assert names(started(*shown, held=held)) == ["api-2"]


def test_a_place_behind_the_pooler_needs_no_room() -> None:
    budget = behind_pooler("Pooled")
    pod = replace(waiting(), spec=app(1, *setting_names(budget, budget.workloads[0])))
    assert names(started(*MORE[1:], pod, budget=budget)) == ["api-1"]


def test_a_pod_whose_grant_was_written_down_and_not_delivered_starts_with_it() -> None:
    held = ledger(reservation("api-1", 4, node="", address=""))
    assert names(started(*SAME[1:], waiting("api-1"), waiting("api-4"), held=held)) == ["api-1"]


def test_a_pod_that_was_reserved_another_amount_waits_for_the_operator() -> None:
    assert started(waiting("api-1"), held=ledger(reservation("api-1", 7, node="", address=""))) == []


@pytest.mark.parametrize(
    "outdated",
    [
        pytest.param(published().model_copy(update={"observed_generation": None}), id="made for an older spec"),
        pytest.param(published(spec(usable=4)), id="does not fit"),
        pytest.param(published().model_copy(update={"conditions": SAME_SERVER}), id="another name of a served server"),
        pytest.param(PoolBudgetStatus(), id="never published"),
    ],
)
def test_a_plan_that_cannot_be_trusted_starts_nothing(outdated: PoolBudgetStatus) -> None:
    assert starts(Budget(BUDGET, SPEC), outdated, {}, [waiting()]) == []


def test_settings_of_named_pools_come_from_the_published_pools() -> None:
    pools = [{"name": "read", "weight": 3}, {"name": "write"}]
    budget = spec(usable=16, workloads=[Workload.model_validate({"name": "api", "pools": pools})])
    injected = setting_names(budget, budget.workloads[0])
    (start,) = started(replace(waiting(), spec=app(1, *injected)), budget=budget)
    assert start.annotations["env.poolbudget.dev/READ_DB_POOL_SIZE"] == "3"
    assert start.annotations["env.poolbudget.dev/WRITE_DB_POOL_SIZE"] == "1"


@pytest.mark.parametrize(
    ("template", "own", "expected"),
    [
        pytest.param({}, {"DB_POOL_SIZE": "50"}, 0, id="a size that the plan does not know"),
        pytest.param({}, {"DB_MAX_OVERFLOW": "2"}, 0, id="an overflow beside the planned size"),
        pytest.param({}, {"DB_POOL_SIZE": "auto"}, 0, id="no number"),
        pytest.param({"DB_POOL_SIZE": "4"}, {"DB_POOL_SIZE": "4"}, 1, id="what the plan was made for"),
        pytest.param({"DB_POOL_SIZE": "4"}, {"DB_POOL_SIZE": "3"}, 0, id="not what the plan was made for"),
    ],
)
def test_a_pod_that_sets_a_size_itself_starts_only_if_the_plan_was_made_for_it(
    template: dict[str, str], own: dict[str, str], expected: int
) -> None:
    assert len(starts(Budget(BUDGET, SPEC), published(SPEC, **template), {}, [waiting(spec=with_own(own))])) == expected


def behind_pooler(mode: str) -> PoolBudgetSpec:
    declared = {"name": "api", "mode": mode, "route": "Env", "pool": {"maxOverflow": 2}}
    external = {"mode": "External", "external": {"host": "bouncer", "connections": 5}}
    return spec(
        usable=16,
        workloads=[Workload.model_validate(declared)],
        database=Database(host="db"),
        pooler=Pooler.model_validate(external),
    )


def test_a_pod_that_would_go_past_the_pooler_does_not_start() -> None:
    assert started(waiting(spec=with_own({"DB_HOST": "db", "DB_PORT": "5432"})), budget=behind_pooler("Pooled")) == []


@pytest.mark.parametrize(("mode", "size"), [("Pooled", "20"), ("NullPool", "1")])
def test_a_pod_behind_a_pooler_starts_with_its_settings_and_takes_nothing_of_the_server(mode: str, size: str) -> None:
    budget = behind_pooler(mode)
    (start,) = started(replace(waiting(), spec=app(1, *setting_names(budget, budget.workloads[0]))), budget=budget)
    assert (start.reservation.connections, start.annotations["poolbudget.dev/mode"]) == (0, mode)
    assert (start.annotations["env.poolbudget.dev/DB_POOL_SIZE"], start.annotations["env.poolbudget.dev/DB_HOST"]) == (
        size,
        "bouncer",
    )


ALWAYS = spec(
    16,
    database=Database(host="db"),
    pooler=Pooler(mode=PoolerMode.ALWAYS, auth_secret_ref=SecretReference(name="users")),
    workloads=[Workload(name="api", route=Route.ENV)],
)
"""Here mode Auto is Pooled."""
MOVED = replace(waiting(), spec=app(1, *setting_names(ALWAYS, ALWAYS.workloads[0])))


def test_a_pod_that_may_have_been_moved_is_written_down_as_not_seen() -> None:
    (start,) = started(MOVED, budget=ALWAYS)
    assert (start.reservation.connections, start.reservation.unseen) == (0, True)
    declared = behind_pooler("Pooled")
    (start,) = started(replace(MOVED, spec=app(1, *setting_names(declared, declared.workloads[0]))), budget=declared)
    assert not start.reservation.unseen


def test_what_a_leader_has_charged_for_a_moved_pod_stays_charged() -> None:
    held = ledger(reservation(connections=4, unseen=True, node="", address=""))
    (start,) = started(MOVED, held=held, budget=ALWAYS)
    assert ledger(start.reservation) == held
    assert start.annotations["poolbudget.dev/connections"] == "4"


def test_what_moved_pods_are_charged_is_not_of_the_room_of_direct_ones() -> None:
    moved = replace(OTHER, mode=WorkloadMode.POOLED)
    noted = ledger(reservation("job-1", 8, workload=OTHER.workload, unseen=True))
    for held in (noted, {}):
        assert names(started(moved, *SAME[:2], waiting("api-4"), held=held)) == ["api-4"]
