"""What the status and the conditions of a budget say of its server and its pods."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from poolbudget.api.conditions import NewCondition
from poolbudget.api.v1alpha1 import PoolBudgetSpec, TargetReference, UpdateMode, Workload, WorkloadMode, WorkloadStatus
from poolbudget.ledger.books import audit
from poolbudget.ledger.decide import decide
from poolbudget.ledger.model import Pod
from poolbudget.ledger.release import Sessions
from poolbudget.planning.model import Budget, Observed, ServerPlan
from poolbudget.planning.plan import plan_server
from poolbudget.pooler.layout import PoolerState
from poolbudget.report import Findings, conditions, live_status
from tests.unit.ledger_builders import (
    BUDGET,
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
)

SPEC = spec(16)
DIRECT = plan(SPEC)
MOVED = moved(DIRECT, "api")


@pytest.mark.parametrize(("checks", "advised"), [(True, False), (False, True)])
def test_a_server_that_does_not_notice_vanished_clients_is_named(checks: bool, advised: bool) -> None:
    assert ("client_connection_check_interval" in observed_message(checks)) is advised
    assert observed_message(checks).startswith("the server accepts 16 connections")


def observed_message(checks_clients: bool) -> str:
    api = target()
    plan = plan_server([Budget(BUDGET, spec())], {api.key: api}, Observed(16, 0))
    picture = snapshot(spec(), plan, ledger=ledger(reservation()), pods=pods(running()))
    found = Findings(picture, decide(picture), None, checks_clients=checks_clients)
    return next(c.message for c in conditions(Budget(BUDGET, spec()), found) if c.type == "CapacityObserved")


def findings(server: ServerPlan, shown: Sequence[Pod], sessions: Sessions | None = None, **fields: Any) -> Findings:
    """Return what a round finds out whose ledger holds what the pods were granted."""
    held = ledger(*(reservation(pod.name, pod.connections) for pod in shown if pod.connections is not None))
    books = audit(held, pods(*shown), sessions) if sessions else None
    exceeding = books.exceeding if books else ()
    picture = snapshot(SPEC, server, ledger=held, pods=pods(*shown))
    return Findings(picture, decide(picture), books, exceeding, **fields)


def status_of(server: ServerPlan, *shown: Pod, budget: PoolBudgetSpec = SPEC, **fields: Any) -> WorkloadStatus:
    (workload,) = live_status(Budget(BUDGET, budget), findings(server, shown, **fields)).workloads
    return workload


def within_budget(server: ServerPlan, *shown: Pod, **fields: Any) -> NewCondition:
    found = conditions(Budget(BUDGET, SPEC), findings(server, shown, **fields))
    return next(c for c in found if c.type == "WithinBudget")


def test_what_poolers_may_take_is_committed() -> None:
    status = live_status(Budget(BUDGET, SPEC), findings(MOVED, [running(), pooled("api-2")]))
    assert status.capacity is not None
    assert status.capacity.committed == 4 + 6
    (workload,) = status.workloads
    assert workload.connections is not None
    assert workload.connections.committed == 4
    assert workload.pods is not None
    assert workload.pods.current == 2


def test_the_committed_share_of_a_pooler_counts_against_what_is_usable() -> None:
    assert within_budget(MOVED, running(connections=10)).status is True
    found = within_budget(MOVED, running(connections=11))
    assert (found.reason, found.message.partition(":")[0]) == (
        "OverCommitted",
        "17 of 16 usable connections are committed, 1 too many",
    )


OLD = (running("api-1"), running("api-2"))
OF_JOB = plan(
    spec(16, workloads=[Workload(name="api", target_ref=TargetReference(kind="Job", name="api"))]), target(kind="Job")
)
OF_REPLICA_SET = plan(
    spec(16, workloads=[Workload(name="api", target_ref=TargetReference(kind="ReplicaSet", name="api"))]),
    target(kind="ReplicaSet"),
)

ROLLOUTS: dict[str, tuple[ServerPlan, tuple[Pod, ...], str]] = {
    "pods of before the move": (
        MOVED,
        OLD,
        "2 pods were started Direct and hold 8 connections: run kubectl rollout restart deployment/api -n shop for",
    ),
    "pods of before the way back": (
        DIRECT,
        (pooled("api-1"), running("api-2")),
        "pod api-1 was started Pooled: run kubectl rollout restart deployment/api -n shop for mode Direct",
    ),
    "pods of two other modes": (
        moved(DIRECT, "api", mode=WorkloadMode.NULL_POOL),
        (pooled("api-1"), running("api-2")),
        "2 pods were started Direct and Pooled and hold 4 connections: ",
    ),
    "a kind that kubectl does not restart": (
        moved(OF_REPLICA_SET, "api"),
        OLD[:1],
        "pod api-1 was started Direct and holds 4 connections: roll the ReplicaSet api for mode Pooled",
    ),
}


@pytest.mark.parametrize(("server", "shown", "told"), ROLLOUTS.values(), ids=ROLLOUTS.keys())
def test_pods_of_another_mode_need_a_rollout(server: ServerPlan, shown: tuple[Pod, ...], told: str) -> None:
    status = status_of(server, *shown)
    assert (status.reason, status.message[: len(told)]) == ("RolloutRequired", told)


NOTHING: dict[str, tuple[ServerPlan, tuple[Pod, ...], dict[str, Any]]] = {
    "pods of the planned mode": (MOVED, (pooled(),), {}),
    "a pod that ends": (MOVED, (running(deleting=True),), {}),
    "a pod that has ended": (MOVED, (running(ended=True),), {}),
    "a pod at the gate": (MOVED, (waiting(connections=4),), {}),
    "a pod without a grant": (MOVED, (running(connections=None),), {}),
    "pods of a Job, which end by themselves": (moved(OF_JOB, "api"), OLD, {}),
    "pods that update mode Recreate rolls": (
        MOVED,
        OLD,
        {"budget": SPEC.model_copy(update={"update_mode": UpdateMode.RECREATE})},
    ),
}


@pytest.mark.parametrize(("server", "shown", "fields"), NOTHING.values(), ids=NOTHING.keys())
def test_no_rollout_is_asked_for(server: ServerPlan, shown: tuple[Pod, ...], fields: dict[str, Any]) -> None:
    assert status_of(server, *shown, **fields).reason == server.workloads[waiting().workload].reason


def test_a_pod_that_bypasses_the_pooler_is_named() -> None:
    """Also while others of its workload were not even moved yet."""
    shown, seen = (pooled("api-1"), running("api-2")), Sessions({"10.0.0.1": 3, "10.0.0.2": 4})
    status = status_of(MOVED, *shown, sessions=seen)
    told = "pod api-1 holds 3 connections at the server itself and was granted a place behind the pooler: "
    assert (status.reason, status.message[: len(told)]) == ("Bypassed", told)
    found = within_budget(MOVED, *shown, sessions=seen)
    assert (found.status, found.reason, found.message[: len(told)]) == (False, "Bypassed", told)


def test_a_pod_behind_the_pooler_that_finds_no_node_holds_up_nobody() -> None:
    lost = pooled(node="", unschedulable=True)
    assert status_of(MOVED, lost, unscheduled=(lost,)).reason == MOVED.workloads[lost.workload].reason


def test_a_pooler_that_waits_for_room_has_committed_only_what_it_is_charged() -> None:
    ours = replace(MOVED.poolers[BUDGET], connections=14, external=False)
    found = findings(replace(MOVED, poolers={BUDGET: ours}), [running()], charged={BUDGET: 12})
    assert found.committed == 4 + 12
    assert within_budget(replace(MOVED, poolers={BUDGET: ours}), running(), charged={BUDGET: 12}).status


@pytest.mark.parametrize(
    ("state", "ready", "speaks"),
    [
        (PoolerState(True, "Ready", "2 of 2 PgBouncer pods serve"), True, "Ready"),
        (PoolerState(None, "Starting", "not looked at yet"), None, "Ready"),
        (PoolerState(False, "SecretNotFound", "create the Secret shop/users"), False, "SecretNotFound"),
    ],
)
def test_how_the_pooler_is_is_a_condition_and_what_is_wrong_of_it_is_what_is_wrong_of_the_budget(
    state: PoolerState, ready: bool | None, speaks: str
) -> None:
    found = findings(DIRECT, [running()], poolers={BUDGET: state})
    shown = {condition.type: condition for condition in conditions(Budget(BUDGET, SPEC), found)}
    assert shown["PoolerReady"] == NewCondition("PoolerReady", ready, state.reason, state.message)
    assert shown["Ready"].reason == speaks


def test_a_budget_without_a_pooler_of_the_operators_own_says_nothing_of_one() -> None:
    assert "PoolerReady" not in [c.type for c in conditions(Budget(BUDGET, SPEC), findings(DIRECT, [running()]))]
