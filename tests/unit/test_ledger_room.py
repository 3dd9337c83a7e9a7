"""How much of a server one more pod may take."""

from dataclasses import replace

import pytest

from poolbudget.api.v1alpha1 import Workload
from poolbudget.ledger.room import Room
from poolbudget.planning.model import PoolerPlan, ServerPlan, WorkloadKey
from tests.unit.ledger_builders import API, BUDGET, charges, ledger, plan, reservation, spec, target

WORKER = WorkloadKey("shop", "orders", "worker")


def two_workloads(usable: int = 32) -> ServerPlan:
    """`api` and `worker`: three pods of one process each and a rollout slot, floor 2, share 4."""
    both = spec(usable, workloads=[Workload(name="api"), Workload(name="worker")])
    return plan(both, target("api"), target("worker"))


def test_of_an_empty_server_all_but_the_rollout_slots_is_for_scale_ups() -> None:
    assert Room(two_workloads(), {}, 0).for_scale_up() == 32 - 2 - 2


def test_a_replacement_may_also_take_the_slot_of_its_workload() -> None:
    assert Room(two_workloads(), {}, 0).for_replacement(API) == 32 - 2


def test_what_a_doubtful_reading_would_take_is_not_granted() -> None:
    doubtful = replace(two_workloads(), grantable=20)
    assert Room(doubtful, {}, 0).for_scale_up() == 20 - 2 - 2


def test_what_strangers_hold_is_not_there() -> None:
    assert Room(two_workloads(), {}, 5).for_scale_up() == 32 - 2 - 2 - 5


def test_what_unmanaged_pods_hold_is_not_there_but_fills_no_place() -> None:
    room = Room(two_workloads(), {}, 0, charges(5, 2))
    assert (room.for_scale_up(), room.pods(API)) == (32 - 2 - 2 - 7, 0)
    assert [charge.connections for charge in room.unmanaged(API)] == [5, 2]
    assert room.unmanaged(WORKER) == []


@pytest.mark.parametrize(("external", "idle"), [(False, 6), (True, 0)])
def test_a_replacement_may_take_what_a_pooler_of_ours_has_yet_to_grow_into(external: bool, idle: int) -> None:
    """Else its old pod, which holds the rest, might never end."""
    pooler = PoolerPlan("pooler", 6432, 10, 9, 1, prepared_statements=True, external=external, held=4)
    room = Room(replace(two_workloads(), poolers={BUDGET: pooler}), {}, 0)
    assert (room.for_scale_up(), room.for_replacement(API)) == (32 - 10 - 2 - 2, 32 - 10 - 2 + idle)


def test_poolers_leave_the_rollout_slots() -> None:
    assert Room(two_workloads(), {}, 0).kept == 2 + 2


def test_an_overcommitted_server_has_less_than_nothing() -> None:
    assert Room(two_workloads(), ledger(reservation(connections=40)), 0).for_replacement(API) == -8 - 2


def test_a_grant_takes_room() -> None:
    room = Room(two_workloads(), {}, 0)
    room.take(API, 4)
    assert (room.for_scale_up(), room.pods(API), room.pods(WORKER)) == (24, 1, 0)


@pytest.mark.parametrize(
    ("held", "desired", "free"),
    [
        pytest.param(0, 3, True, id="no pod runs"),
        pytest.param(3, 3, True, id="as many as wanted"),
        pytest.param(4, 3, False, id="one more than wanted: a rollout uses it"),
        pytest.param(3, 2, False, id="one more than wanted, fewer than the autoscaler allows"),
        pytest.param(4, 9, False, id="one more than planned, fewer than wanted"),
    ],
)
def test_the_rollout_slot_is_free_until_a_pod_beyond_those_wanted_runs(held: int, desired: int, free: bool) -> None:
    server = plan(spec(), replace(target(), desired=desired))
    room = Room(server, ledger(*(reservation(f"api-{n}") for n in range(held))), 0)
    assert room.slot_is_free(API) is free


def test_a_workload_that_does_not_surge_has_no_slot() -> None:
    room = Room(plan(spec(), target(surges=False)), {}, 0)
    assert not room.slot_is_free(API)
    assert room.for_scale_up() == 16


def test_a_workload_that_does_not_fit_keeps_nothing() -> None:
    server = plan(spec(workloads=[Workload(name="api", max=1)]))
    assert Room(server, {}, 0).for_scale_up() == 16
