"""One snapshot, one decision: what is released, repeated, granted, opened and recreated."""

from dataclasses import replace

import pytest

from poolbudget.api.v1alpha1 import UpdateMode, Workload
from poolbudget.ledger.decide import decide
from poolbudget.ledger.model import Pod
from tests.unit.ledger_builders import (
    granted,
    ledger,
    plan,
    pods,
    reservation,
    running,
    snapshot,
    spec,
    waiting,
    waits,
)

BUDGET = spec(16)
PLAN = plan(BUDGET)


def test_the_same_snapshot_gives_the_same_decision() -> None:
    picture = snapshot(BUDGET, PLAN, pods=pods(waiting("api-1"), waiting("api-2"), running("api-3")))
    assert decide(picture) == decide(picture)


def test_a_grant_is_in_the_ledger_before_it_is_carried_out() -> None:
    decision = decide(snapshot(BUDGET, PLAN, pods=pods(waiting())))
    assert decision.ledger == ledger(reservation(node="", address=""))
    assert decision.committed == 4


def test_the_snapshot_is_left_as_it_was() -> None:
    before = ledger(reservation("api-2"))
    decide(snapshot(BUDGET, PLAN, ledger=before, pods=pods(waiting(), running("api-2", ended=True))))
    assert before == ledger(reservation("api-2"))


def test_what_is_released_can_be_granted_in_the_same_round() -> None:
    full = ledger(reservation("api-2", 16))
    shown = pods(waiting(), running("api-2", 16, ended=True))
    assert granted(decide(snapshot(BUDGET, PLAN, ledger=full, pods=shown))) == {"api-1": 4}


def test_many_grants_of_one_round_never_spend_a_connection_twice() -> None:
    budget = spec(9, workloads=[Workload(name="api", max_pods=8, min_per_process=1)])
    decision = decide(snapshot(budget, plan(budget), pods=pods(*(waiting(f"api-{n}") for n in range(10)))))
    assert len(decision.grants) == 8
    assert decision.committed == 8


@pytest.mark.parametrize("reserved", [pytest.param(3, id="smaller"), pytest.param(9, id="larger")])
def test_a_reserved_pod_at_the_gate_is_granted_what_the_ledger_holds(reserved: int) -> None:
    entries = ledger(reservation(connections=reserved, node="", address=""))
    decision = decide(snapshot(BUDGET, PLAN, ledger=entries, pods=pods(waiting())))
    assert granted(decision) == {"api-1": reserved}
    assert decision.ledger == entries


def test_a_reserved_pod_starts_even_if_the_plan_no_longer_fits() -> None:
    """It is charged in any case: waiting it would keep others out."""
    budget = spec(16, workloads=[Workload(name="api", max=1)])
    entries = ledger(reservation(node="", address=""))
    decision = decide(snapshot(budget, plan(budget), ledger=entries, pods=pods(waiting(), waiting("api-2"))))
    assert granted(decision) == {"api-1": 4}
    assert waits(decision) == {"api-2": "CeilingBelowFloor"}


def test_a_reservation_below_the_floor_of_today_is_kept_but_not_repeated() -> None:
    """Else its share would be 0, which pools read as no limit."""
    budget = spec(16, workloads=[Workload(name="api", processes=4, min_per_process=1)])
    entries = ledger(reservation(connections=2, node="", address=""))
    decision = decide(snapshot(budget, plan(budget), ledger=entries, pods=pods(waiting())))
    assert waits(decision) == {"api-1": "GrantOutdated"}
    assert decision.grants == ()
    assert decision.ledger == entries


def test_an_overcommitted_server_grants_nothing_and_forgets_nothing() -> None:
    entries = ledger(reservation("api-2", 40))
    decision = decide(snapshot(BUDGET, PLAN, ledger=entries, pods=pods(waiting(), running("api-2", 40))))
    assert waits(decision) == {"api-1": "NoRoom"}
    assert decision.ledger == entries


def test_what_strangers_hold_is_not_granted() -> None:
    decision = decide(snapshot(BUDGET, PLAN, pods=pods(waiting()), elsewhere=13))
    assert waits(decision) == {"api-1": "NoRoom"}


def test_running_pods_of_a_deleted_ledger_are_charged_before_anything_is_granted() -> None:
    old = [running(f"api-{n}", 7, revision="old") for n in (2, 3)]
    decision = decide(snapshot(BUDGET, PLAN, pods=pods(waiting(), *old)))
    assert decision.ledger.keys() >= {"api-2", "api-3"}
    assert decision.committed <= 16


@pytest.mark.parametrize(
    ("pod", "opened", "recreated"),
    [
        pytest.param(waiting(), ("api-1",), (), id="update mode Off opens the gate"),
        pytest.param(replace(waiting(), unresolved=True), ("api-1",), (), id="also of a pod that was born unresolved"),
        pytest.param(replace(waiting(), deleting=True), (), (), id="but not of one that is being deleted"),
    ],
)
def test_update_mode_off(pod: Pod, opened: tuple[str, ...], recreated: tuple[str, ...]) -> None:
    budget = spec(16, update_mode=UpdateMode.OFF)
    decision = decide(snapshot(budget, plan(budget), pods=pods(pod)))
    assert tuple(p.name for p in decision.opened) == opened
    assert tuple(p.name for p in decision.recreated) == recreated
    assert (decision.ledger, decision.grants) == ({}, ())


def test_a_pod_born_before_its_budget_is_born_anew() -> None:
    decision = decide(snapshot(BUDGET, PLAN, pods=pods(replace(waiting(), unresolved=True))))
    assert [pod.name for pod in decision.recreated] == ["api-1"]
    assert decision.grants == ()


def test_a_pod_that_waits_for_one_that_vanished_names_it_and_the_way_out() -> None:
    full = ledger(reservation("api-2", 16))
    decision = decide(snapshot(BUDGET, PLAN, ledger=full, pods=pods(waiting()), gone={"api-2": None}))
    message = next(wait.message for wait in decision.waits)
    assert "16 connections are held for pods that vanished without proof of their end (shop/api-2)" in message
    assert "poolbudget forget" in message


def test_a_controller_that_wants_more_than_the_plan_is_told_what_to_change() -> None:
    budget = spec(16, workloads=[Workload(name="api", max_pods=1)])
    decision = decide(
        snapshot(
            budget,
            plan(budget),
            ledger=ledger(reservation("api-2")),
            pods=pods(waiting(revision="old"), running("api-2", revision="old")),
        )
    )
    (message,) = (wait.message for wait in decision.waits)
    assert message.endswith("the controller wants 3: raise maxPods of the workload, or scale to 1")


def test_pods_of_a_deleted_budget_are_left_alone() -> None:
    stranger = replace(waiting(), workload=waiting().workload._replace(budget="deleted"))
    decision = decide(snapshot(BUDGET, PLAN, pods=pods(stranger)))
    assert (decision.grants, decision.waits) == ((), ())
