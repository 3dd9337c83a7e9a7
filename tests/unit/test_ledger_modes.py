"""Workloads that are moved behind a pooler and back: what their pods are charged, and what is there for others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolbudget.api.v1alpha1 import PoolBudgetSpec, UpdateMode, Workload, WorkloadMode
from poolbudget.detection.podspec import PodSpec, Variable
from poolbudget.ledger.decide import decide
from poolbudget.ledger.model import Decision, Grant, Ledger, Pod
from poolbudget.ledger.modes import with_poolers_in_use
from poolbudget.ledger.release import restored
from poolbudget.ledger.rollouts import Applied, Rollouts, decide_rollouts
from poolbudget.ledger.room import Room
from poolbudget.ledger.settings import grant_annotations
from poolbudget.planning.model import Budget, Rollout, ServerPlan, Target
from tests.unit.ledger_builders import (
    API,
    BUDGET,
    EXTERNAL,
    app,
    ledger,
    moved,
    plan,
    pods,
    pooled,
    reservation,
    running,
    snapshot,
    spec,
    target,
    waiting,
    waits,
)

WITHOUT = spec(22, workloads=[Workload(name="api"), Workload(name="worker")])
SPEC = WITHOUT.model_copy(update={"pooler": EXTERNAL})
DIRECT = plan(WITHOUT, target(), target("worker"))
"""Three pods each, and a slot for a rollout: one of `api` gets 3 connections, one of `worker` 2."""
MOVED = moved(DIRECT, "api")
NULL = moved(DIRECT, "api", mode=WorkloadMode.NULL_POOL)
BACK = replace(DIRECT, poolers=MOVED.poolers)
WORKER = API._replace(workload="worker")


def decided(
    server: ServerPlan, charged: Ledger, *shown: Pod, budget: PoolBudgetSpec = SPEC, elsewhere: int = 0
) -> Decision:
    return decide(snapshot(budget, server, ledger=charged, pods=pods(*shown), elsewhere=elsewhere))


def given(decision: Decision) -> dict[str, tuple[int, WorkloadMode]]:
    return {grant.pod.name: (grant.connections, grant.mode) for grant in decision.grants}


def worker(name: str) -> Pod:
    return waiting(name, workload=WORKER)


@pytest.mark.parametrize("mode", [WorkloadMode.POOLED, WorkloadMode.NULL_POOL])
def test_a_pod_behind_the_pooler_is_charged_nothing_and_has_its_line_in_the_ledger(mode: WorkloadMode) -> None:
    decision = decided(moved(DIRECT, "api", mode=mode), {}, waiting())
    assert given(decision) == {"api-1": (0, mode)}
    assert decision.ledger == ledger(reservation("api-1", 0, node="", address=""))


def test_it_starts_whatever_is_free() -> None:
    full = ledger(reservation("worker-2", 40, workload=WORKER))
    assert given(decided(MOVED, full, waiting(), elsewhere=9)) == {"api-1": (0, WorkloadMode.POOLED)}


def test_a_pod_that_would_go_past_the_pooler_waits() -> None:
    (container,) = app().containers
    own = replace(container, env=(*container.env, Variable("DB_HOST", "orders-db")))
    (wait,) = decided(MOVED, {}, waiting(spec=PodSpec((own,)))).waits
    told = "container app sets DB_HOST itself: remove it there, so that it can be moved"
    assert (wait.reason, wait.message) == ("Unroutable", told)


def test_it_starts_only_where_the_plan_has_a_place() -> None:
    """The pooler accepts the clients of as many pods as are planned."""
    charged = ledger(*(reservation(f"api-{n}", 0) for n in (1, 2, 3)))
    shown = [pooled(f"api-{n}") for n in (1, 2, 3)]
    assert waits(decided(MOVED, charged, *shown, waiting("api-4"))) == {"api-4": "PodsBeyondPlan"}
    old = [replace(pod, revision="old") for pod in shown]
    decision = decided(MOVED, charged, *old, waiting("api-4"), waiting("api-5"))
    assert given(decision) == {"api-4": (0, WorkloadMode.POOLED)}
    assert waits(decision) == {"api-5": "PodsBeyondPlan"}


@pytest.mark.parametrize(
    ("reserved", "planned", "repeated"),
    [
        pytest.param(0, MOVED, (0, WorkloadMode.POOLED), id="behind the pooler"),
        pytest.param(
            3, MOVED, (3, WorkloadMode.DIRECT), id="connections of its own, also after its workload was moved"
        ),
        pytest.param(0, DIRECT, None, id="not behind the pooler once its workload has come back"),
    ],
)
def test_a_grant_is_repeated_in_its_own_mode(
    reserved: int, planned: ServerPlan, repeated: tuple[int, WorkloadMode] | None
) -> None:
    """The patch may have arrived unseen: what it gave must be charged."""
    charged = ledger(reservation(connections=reserved, node="", address=""))
    decision = decided(planned, charged, waiting())
    assert given(decision) == ({"api-1": repeated} if repeated else {})
    assert waits(decision) == ({} if repeated else {"api-1": "GrantOutdated"})
    assert decision.ledger == charged


def test_a_place_behind_a_pooler_that_is_gone_is_not_given_again() -> None:
    charged = ledger(reservation(connections=0, node="", address=""))
    assert waits(decided(MOVED, charged, waiting(), budget=WITHOUT)) == {"api-1": "GrantOutdated"}


def annotations(grant: Grant, server: ServerPlan) -> dict[str, str]:
    written = grant_annotations(grant, {BUDGET: SPEC}, server)
    return {key.partition("/")[2]: value for key, value in written.items()}


def test_what_is_written_is_of_the_mode_of_the_grant() -> None:
    (of_pooler,) = decided(MOVED, {}, waiting()).grants
    written = annotations(of_pooler, MOVED)
    assert {key: written[key] for key in ("connections", "mode", "DB_POOL_SIZE", "DB_POOL_CLASS")} == {
        "connections": "0",
        "mode": "Pooled",
        "DB_POOL_SIZE": "20",
        "DB_POOL_CLASS": "AsyncAdaptedQueuePool",
    }
    (repeated,) = decided(MOVED, ledger(reservation(connections=3, node="", address="")), waiting()).grants
    written = annotations(repeated, MOVED)
    assert [written[key] for key in ("connections", "mode", "DB_POOL_SIZE")] == ["3", "Direct", "3"]


def test_what_the_pooler_may_take_is_lent_to_nobody() -> None:
    slot = 2  # of worker; api has none, since its pods take nothing
    assert Room(MOVED, {}, 0).for_scale_up() == 22 - 6 - slot


def test_a_pooler_stays_charged_while_pods_of_a_budget_that_gets_nothing_are_behind_it() -> None:
    budget = Budget(BUDGET, SPEC)
    refused = replace(MOVED, poolers={})
    behind = with_poolers_in_use(refused, [budget], ledger(reservation(connections=0)))
    assert [(key, pooler.connections) for key, pooler in behind.poolers.items()] == [(BUDGET, 6)]
    for charged in ({}, ledger(reservation())):
        assert with_poolers_in_use(refused, [budget], charged).for_poolers == 0
    assert with_poolers_in_use(refused, [Budget(BUDGET, WITHOUT)], ledger(reservation(connections=0))).for_poolers == 0
    restarted = restored({}, pods(pooled()))
    assert with_poolers_in_use(refused, [budget], restarted).for_poolers == 6, "the ledger was deleted"
    larger = replace(MOVED, poolers={BUDGET: replace(MOVED.poolers[BUDGET], connections=9)})
    assert with_poolers_in_use(larger, [budget], ledger(reservation(connections=0))) == larger


def test_sessions_of_nobody_may_be_those_of_an_external_pooler() -> None:
    ours = replace(MOVED, ordinary_reserve=3, poolers={BUDGET: replace(MOVED.poolers[BUDGET], external=False)})
    assert (replace(MOVED, ordinary_reserve=3).for_unnamed, ours.for_unnamed) == (3 + 6, 3)


def test_pods_of_before_the_move_keep_their_room_until_they_end() -> None:
    """22 usable: 6 for the pooler, 12 held by old pods, 2 for a rollout of `worker`, 2 for one pod of it."""
    old = [running(f"api-{n}", 4, revision="old") for n in (1, 2, 3)]
    charged = ledger(*(reservation(pod.name, 4) for pod in old))
    new = [worker(f"worker-{n}") for n in (4, 5)]
    decision = decided(MOVED, charged, *old, *new, waiting("api-9"))
    assert given(decision) == {"api-9": (0, WorkloadMode.POOLED), "worker-4": (2, WorkloadMode.DIRECT)}
    assert waits(decision) == {"worker-5": "NoRoom"}
    ended = [replace(pod, ended=True) for pod in old]
    assert given(decided(MOVED, charged, *ended, *new)).keys() == {"worker-4", "worker-5"}


def test_the_way_back_is_granted_from_free_room_only() -> None:
    """Pods behind the pooler leave no room when they end: a direct one starts where there is some."""
    behind = [pooled(f"api-{n}", revision="old") for n in (1, 2, 3)]
    charged = ledger(*(reservation(pod.name, 0) for pod in behind))
    of_worker = ledger(reservation("worker-4", 20, workload=WORKER))
    assert given(decided(BACK, charged, *behind, waiting("api-9"))) == {"api-9": (3, WorkloadMode.DIRECT)}
    assert waits(decided(BACK, charged | of_worker, *behind, waiting("api-9"))) == {"api-9": "NoRoom"}


ROOMY = replace(BACK, workloads={**BACK.workloads, WORKER: replace(BACK.workloads[WORKER], planned=4)})
RECREATE = SPEC.model_copy(update={"update_mode": UpdateMode.RECREATE})


def controls(**fields: Any) -> Target:
    """Return the Deployment of `api` at rest; its rollout may end one pod first."""
    labels = {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"}
    rest = Rollout("uid-api", 1, labels, "", 0, "", outdated=False, desired=3, pods=3, available=3, spare=1)
    return target(rollout=replace(rest, **fields))


def of_api(pod: Pod) -> Pod:
    return replace(pod, controller=target().key)


def rolled(server: ServerPlan, *shown: Pod, elsewhere: int = 0, **fields: Any) -> Rollouts:
    held = ledger(*(reservation(pod.name, pod.connections or 0, workload=pod.workload) for pod in shown))
    picture = snapshot(RECREATE, server, ledger=held, pods=pods(*shown), elsewhere=elsewhere)
    now, cooldown = datetime(2024, 1, 1, 1, tzinfo=UTC), timedelta(seconds=60)
    api = controls(**fields)
    return decide_rollouts(picture, decide(picture), {api.key: api}, Applied({}, {}, {}), now, cooldown)


ROLLED: dict[str, tuple[ServerPlan, tuple[Pod, ...], str]] = {
    "a direct pod of a workload behind the pooler": (MOVED, (of_api(running("api-1", 3)),), "ModeChanged"),
    "also one that holds too little to matter": (MOVED, (of_api(running("api-1", 1)),), "ModeChanged"),
    "a pool where none is planned": (NULL, (of_api(pooled("api-1")),), "ModeChanged"),
    "a pod behind the pooler of a workload that is back": (
        ROOMY,
        (of_api(pooled("api-1")), of_api(running("api-2", 3))),
        "ModeChanged",
    ),
    "all are as planned": (MOVED, (of_api(pooled("api-1")),), ""),
    "one that is not is ending": (MOVED, (of_api(running("api-1", 3, deleting=True)),), ""),
    "one that is not is of another controller": (MOVED, (running("api-1", 3),), ""),
}


@pytest.mark.parametrize(("server", "shown", "reason"), ROLLED.values(), ids=ROLLED.keys())
def test_update_mode_recreate_rolls_a_workload_to_its_mode(
    server: ServerPlan, shown: tuple[Pod, ...], reason: str
) -> None:
    restart = rolled(server, *shown).restart
    assert (restart.reason if restart else "") == reason


def test_a_move_behind_the_pooler_begins_also_on_an_overcommitted_server() -> None:
    restart = rolled(MOVED, *(of_api(running(f"api-{n}", 9)) for n in (1, 2, 3)), spare=0).restart
    assert restart is not None
    assert restart.message == "3 of its pods run in another mode than Pooled, which is planned"


def test_it_does_not_begin_where_the_plan_has_no_place_for_a_new_pod() -> None:
    four = [of_api(running(f"api-{n}", 3)) for n in (1, 2, 3, 4)]
    rollouts = rolled(MOVED, *four, spare=0)
    assert rollouts.restart is None
    assert "a rollout could not begin: the plan has no place for a new pod" in rollouts.notes[API].message


def test_a_workload_comes_back_only_where_all_its_pods_fit_at_once() -> None:
    """They leave no room when they end: 4 pods of 3, 6 for the pooler, 4 of `worker` leave nothing of 22."""
    behind = [of_api(pooled(f"api-{n}")) for n in (1, 2, 3)]
    assert rolled(ROOMY, *behind).restart is not None
    rollouts = rolled(ROOMY, *behind, elsewhere=1)
    assert rollouts.restart is None
    assert rollouts.notes[API].message.endswith("; waits until there is room for all of them at once")
