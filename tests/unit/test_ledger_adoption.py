"""What is said of pods that never passed admission."""

import pytest

from poolbudget.api.v1alpha1 import ConnectionsStatus, PodsStatus, Workload, WorkloadStatus
from poolbudget.ledger.adoption import TO_NONE, adoption_blocked, mention_unmanaged, with_unmanaged
from poolbudget.ledger.decide import decide
from poolbudget.ledger.model import Wait
from poolbudget.ledger.unmanaged import Charge
from tests.unit.ledger_builders import (
    charges,
    granted,
    ledger,
    plan,
    pods,
    reservation,
    running,
    snapshot,
    spec,
    target,
    waiting,
    waits,
)

ENDING = charges(9, deleting=True)


@pytest.mark.parametrize(
    ("needed", "free", "own", "remedy"),
    [
        pytest.param(4, 0, (), None, id="nobody of its own is there"),
        pytest.param(4, -6, charges(5, 4), None, id="all of its own together hold too little"),
        pytest.param(4, -5, charges(5, 4), "to 0, and back once its pods are gone", id="all of them must go"),
        pytest.param(4, 0, charges(5, 4), "to 1 first", id="one may stay, whichever it is"),
        pytest.param(4, 1, charges(5, 4, 0), "to 1 first", id="it is not known which ones a controller ends"),
        pytest.param(4, 0, ENDING, None, id="one that is ending makes room by itself"),
        pytest.param(
            14,
            0,
            (*ENDING, *charges(1, 6)),
            "to 0, and back once its pods are gone",
            id="one that is ending does not suffice",
        ),
    ],
)
def test_adoption_is_blocked_by_ones_own_pods_only(
    needed: int, free: int, own: tuple[Charge, ...], remedy: str | None
) -> None:
    wait = adoption_blocked(waiting("api-9"), needed, free, 0, own)
    assert (wait is None) == (remedy is None)
    if wait is not None and remedy is not None:
        assert wait.reason == "AdoptionBlocked"
        assert wait.message.endswith(f": scale the Deployment {remedy}")


@pytest.mark.parametrize(
    ("owner", "remedy"),
    [
        ("ReplicaSet", "scale the Deployment to 1 first"),
        ("StatefulSet", "scale the StatefulSet to 1 first"),
        ("DaemonSet", "delete old pods until 1 are left"),
    ],
)
def test_the_remedy_is_one_that_the_controller_has(owner: str, remedy: str) -> None:
    wait = adoption_blocked(waiting("api-9", owner=owner), 4, 0, 0, charges(5, 4))
    assert wait is not None
    assert wait.message == f"needs 4, free 0; 2 pods without a grant hold 9 (api-1 5, api-2 4): {remedy}"


@pytest.mark.parametrize(
    ("slot", "owner", "remedy"),
    [
        pytest.param(1, "StatefulSet", "scale the StatefulSet to 0 first", id="there is room for it alone"),
        pytest.param(2, "StatefulSet", None, id="only beside old pods"),
        pytest.param(None, "DaemonSet", None, id="no place but a rollout's"),
        pytest.param(2, "ReplicaSet", TO_NONE, id="pods that are born later need no rollout's slot"),
    ],
)
def test_a_pod_that_would_lose_its_rollout_slot_is_not_told_to_be_left_alone(
    slot: int | None, owner: str, remedy: str | None
) -> None:
    wait = adoption_blocked(waiting("api-9", owner=owner), 4, 0, slot, charges(5))
    assert (wait.message if wait else "").count(remedy or "AdoptionBlocked") == (remedy is not None)


def test_a_long_list_of_holders_is_cut() -> None:
    wait = adoption_blocked(waiting("api-9"), 4, 0, 0, charges(5, 4, 3, 2))
    assert wait is not None
    assert "4 pods without a grant hold 14 (api-1 5, api-2 4, api-3 3, ...)" in wait.message


def test_a_pod_that_lacks_room_is_told_of_the_unmanaged_pods_of_others() -> None:
    lacking, other = Wait(waiting(), "NoRoom", "needs 4, free 0"), Wait(waiting(), "ProcessesUnknown", "?")
    told, untold = mention_unmanaged([lacking, other], charges(7))
    assert told.message == "needs 4, free 0; 1 pod without a grant holds 7 (api-1 7)"
    assert untold == other
    assert mention_unmanaged([lacking], charges(0)) == (lacking,)


def test_what_unmanaged_pods_hold_is_not_granted() -> None:
    budget = spec(16)
    decision = decide(snapshot(budget, plan(budget), pods=pods(waiting("api-9")), unmanaged=charges(5, 5, 3)))
    assert granted(decision) == {"api-9": 3}
    decision = decide(snapshot(budget, plan(budget), pods=pods(waiting("api-9")), unmanaged=charges(5, 5, 5)))
    assert waits(decision) == {"api-9": "AdoptionBlocked"}


def test_unmanaged_pods_of_another_workload_do_not_block_an_adoption_but_leave_no_room() -> None:
    budget = spec(16, workloads=[Workload(name="api"), Workload(name="worker")])
    others = charges(15, workload=("shop", "orders", "worker"))
    server = plan(budget, target(steady=1), target("worker", steady=1))
    decision = decide(snapshot(budget, server, pods=pods(waiting("api-9")), unmanaged=others))
    assert [(wait.reason, wait.message) for wait in decision.waits] == [
        ("NoRoom", "needs 2, free -3; 1 pod without a grant holds 15 (api-1 15)")
    ]


def test_the_first_replacement_of_unmanaged_pods_may_use_the_rollout_slot() -> None:
    """It goes before the pods of a scale-up, and nobody else can have the slot's room."""
    budget = spec(16)
    three = ledger(*(reservation(f"api-{n}") for n in (4, 5, 6)))
    shown = pods(waiting("api-9"), *(running(f"api-{n}") for n in (4, 5, 6)))
    without = decide(snapshot(budget, plan(budget), ledger=three, pods=shown))
    assert waits(without) == {"api-9": "PodsBeyondPlan"}
    beside = decide(snapshot(budget, plan(budget), ledger=three, pods=shown, unmanaged=charges(2)))
    assert granted(beside) == {"api-9": 2}


def shown(reason: str = "FitsDirectly", message: str = "each gets 4") -> WorkloadStatus:
    return WorkloadStatus(
        name="api",
        mode="Direct",
        reason=reason,
        message=message,
        pods=PodsStatus(current=1, steady=3, peak=4),
        connections=ConnectionsStatus(per_pod=4, planned=16, committed=4),
    )


def test_the_status_counts_unmanaged_pods_and_says_so() -> None:
    status = with_unmanaged(shown(), charges(5, 7))
    assert status.pods is not None
    assert status.connections is not None
    assert (status.reason, status.pods.current, status.connections.committed) == ("Unmanaged", 3, 16)
    assert status.message == "2 pods without a grant hold 12 (api-2 7, api-1 5); each gets 4"


def test_the_status_of_a_workload_without_unmanaged_pods_stays() -> None:
    assert with_unmanaged(shown(), ()) == shown()


def test_a_plan_that_has_a_problem_keeps_its_reason() -> None:
    status = with_unmanaged(shown("DoesNotFit", "40 of 20"), charges(5))
    assert (status.reason, status.message) == ("DoesNotFit", "1 pod without a grant holds 5 (api-1 5); 40 of 20")
