"""Which waiting pods start, with how much, in which order; and why the others wait."""

from dataclasses import replace
from typing import Any

import pytest

from poolbudget.api.v1alpha1 import PoolBudgetSpec, Workload
from poolbudget.detection.podspec import PodSpec, Variable
from poolbudget.ledger.decide import decide
from poolbudget.ledger.model import MOST_ENTRIES, Decision, Ledger, Pod
from poolbudget.planning.model import ServerPlan, WorkloadKey
from tests.unit.ledger_builders import (
    app,
    granted,
    ledger,
    plan,
    pods,
    reservation,
    running,
    snapshot,
    spec,
    stateful,
    target,
    waiting,
    waits,
)

BUDGET = spec(16)


def decided(server: ServerPlan, charged: Ledger, *shown: Pod, budget: PoolBudgetSpec = BUDGET) -> Decision:
    return decide(snapshot(budget, server, ledger=charged, pods=pods(*shown)))


@pytest.mark.parametrize(
    ("held", "pod", "connections"),
    [
        pytest.param((), waiting("api-9"), 4, id="the planned share, with room for it"),
        pytest.param((13,), waiting("api-9", revision="old"), None, id="nothing where the floor does not fit"),
        pytest.param((11,), waiting("api-9"), 3, id="the largest share that fits beside the rollout slot"),
        pytest.param((12,), waiting("api-9"), 2, id="the floor at the least"),
        pytest.param((), waiting("api-9", processes=2), 4, id="no more than the plan has for a pod"),
        pytest.param((), waiting("api-9", processes=3), 6, id="but its own floor, if that is more"),
    ],
)
def test_the_size_of_a_grant(held: tuple[int, ...], pod: Pod, connections: int | None) -> None:
    charged = ledger(*(reservation(f"api-{n}", size) for n, size in enumerate(held)))
    old = [running(f"api-{n}", size) for n, size in enumerate(held)]
    assert granted(decided(plan(BUDGET), charged, pod, *old)) == ({"api-9": connections} if connections else {})


def with_own(name: str, **variables: str) -> Pod:
    (container,) = app().containers
    own = tuple(Variable(variable, value) for variable, value in variables.items())
    env = (*(variable for variable in container.env if variable.name not in variables), *own)
    return waiting(name, spec=PodSpec((replace(container, env=env),)))


OWN = {
    "a size above the share, though the template has none": ({"DB_POOL_SIZE": "9"}, 9),
    "a size below the floor": ({"DB_POOL_SIZE": "1"}, 1),
    "an overflow: the size is ours": ({"DB_MAX_OVERFLOW": "2"}, 4),
    "an overflow that the share cannot hold": ({"DB_MAX_OVERFLOW": "6"}, 7),
    "asyncpg's largest size": ({"DB_POOL_MAX_SIZE": "12"}, 12),
}


@pytest.mark.parametrize(("variables", "connections"), OWN.values(), ids=OWN)
def test_what_a_pod_sets_itself_is_what_it_is_charged(variables: dict[str, str], connections: int) -> None:
    assert granted(decided(plan(BUDGET), {}, with_own("api-9", **variables))) == {"api-9": connections}


def test_a_pod_whose_own_size_does_not_fit_waits() -> None:
    decision = decided(plan(BUDGET), {}, with_own("api-9", DB_POOL_SIZE="15"))
    assert [(wait.reason, wait.message) for wait in decision.waits] == [("NoRoom", "needs 15, free 14")]


def test_a_pod_whose_own_size_bounds_nothing_waits_and_says_what_to_write() -> None:
    (wait,) = decided(plan(BUDGET), {}, with_own("api-9", DB_POOL_SIZE="0")).waits
    assert wait.reason == "OverrideUnknown"
    assert "container app sets DB_POOL_SIZE itself to '0'" in wait.message


def test_the_repeated_grant_of_a_pod_with_a_size_of_its_own_keeps_its_amount() -> None:
    charged = ledger(reservation("api-9", 9))
    assert granted(decided(plan(BUDGET), charged, with_own("api-9", DB_POOL_SIZE="9"))) == {"api-9": 9}
    (wait,) = decided(plan(BUDGET), charged, with_own("api-9", DB_POOL_SIZE="10")).waits
    assert wait.reason == "GrantOutdated"


def three_running(revision: str) -> tuple[Ledger, list[Pod]]:
    names = ("api-1", "api-2", "api-3")
    return ledger(*map(reservation, names)), [running(name, revision=revision) for name in names]


def test_a_pod_beyond_steady_starts_while_it_replaces_an_older_revision() -> None:
    charged, old = three_running("old")
    assert granted(decided(plan(BUDGET), charged, *old, waiting("api-4"))) == {"api-4": 4}


def test_only_one_pod_at_a_time_uses_the_rollout_slot() -> None:
    charged, old = three_running("old")
    decision = decided(plan(BUDGET), charged, *old, waiting("api-4"), waiting("api-5"))
    assert granted(decision) == {"api-4": 4}
    assert waits(decision) == {"api-5": "PodsBeyondPlan"}


@pytest.mark.parametrize(
    ("running_revision", "waiting_revision"),
    [
        pytest.param("new", "new", id="of the same revision"),
        pytest.param("new", "old", id="of an older revision"),
    ],
)
def test_another_pod_beyond_steady_waits(running_revision: str, waiting_revision: str) -> None:
    charged, shown = three_running(running_revision)
    decision = decided(plan(BUDGET), charged, *shown, waiting("api-4", revision=waiting_revision))
    assert waits(decision) == {"api-4": "PodsBeyondPlan"}


def test_a_scale_up_leaves_the_rollout_slot_free() -> None:
    two = ledger(reservation("api-1", 7), reservation("api-2", 6))
    shown = (running("api-1"), running("api-2"), waiting("api-3"))
    decision = decided(plan(BUDGET), two, *shown)
    assert waits(decision) == {"api-3": "NoRoom"}
    assert decision.waits[0].message == "needs 2, free 1; api-1 holds 7"


def test_a_full_ledger_takes_no_further_pod_and_repeats_what_it_holds() -> None:
    """Its entries fit into one object; one more might not."""
    most = MOST_ENTRIES - 1
    held = ledger(reservation("api-1"), *(reservation(f"gone-{n}", 0) for n in range(most)))
    room_for_all = spec(100)
    decision = decided(plan(room_for_all), held, waiting("api-1"), waiting("api-2"), budget=room_for_all)
    assert granted(decision) == {"api-1": 4}
    assert waits(decision) == {"api-2": "LedgerFull"}
    assert "holds 5000 pods, which is the most: run fewer pods" in decision.waits[0].message


def test_a_stateful_pod_whose_plan_has_shrunk_starts_with_the_smaller_bound() -> None:
    """What pods of the older plan hold above the plan is not kept back once more from what became free."""
    budget = spec(24, workloads=[stateful("api"), Workload(name="worker", weight=3)])
    server = plan(budget, target("api", "StatefulSet"), target("worker", steady=1))
    charged = ledger(reservation("api-1", 8), reservation("api-2", 8))
    shown = (running("api-1", 8), running("api-2", 8), waiting("api-0", owner="StatefulSet"))
    assert granted(decided(server, charged, *shown, budget=budget)) == {
        "api-0": server.workloads[shown[0].workload].per_pod
    }


def test_workloads_that_lack_pods_do_not_wait_for_each_other() -> None:
    """`api` holds more than an older plan gave it; the other two both fit in what is free, one after the other."""
    names = ("api", "job", "web")
    budget = spec(20, workloads=[stateful(name, max_per_process=4) for name in names])
    server = plan(budget, *(target(name, "StatefulSet", steady=1) for name in names))
    other = [replace(waiting(f"{n}-0"), workload=replace_name(n), owner="StatefulSet") for n in ("job", "web")]
    decision = decided(server, ledger(reservation("api-0", 14)), running("api-0", 14), *other, budget=budget)
    assert granted(decision) == {"job-0": 4, "web-0": 2}


def test_a_stateful_pod_does_not_wait_for_the_ones_above_it_that_wait_for_it() -> None:
    budget = spec(16, workloads=[stateful("api")])
    server = plan(budget, target("api", "StatefulSet", steady=1))
    surplus = ledger(reservation("api-1", 4))
    shown = (running("api-1"), waiting("api-0", owner="StatefulSet"))
    assert granted(decided(server, surplus, *shown, budget=budget)).keys() == {"api-0"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"created": "2024-01-01T00:00:00Z"}, {"created": "2024-01-01T00:00:01Z"}, id="age"),
        pytest.param({"priority": 10, "created": "2024-02-01T00:00:00Z"}, {}, id="priority before age"),
        pytest.param({"created": "2024-02-01T00:00:00Z"}, {"revision": "old", "priority": 10}, id="replacements first"),
    ],
)
def test_the_order_of_grants(first: dict[str, Any], second: dict[str, Any]) -> None:
    charged = ledger(reservation("api-1", 10))
    shown = (running("api-1", revision="old"), waiting("api-2", **second), waiting("api-3", **first))
    decision = decided(plan(BUDGET), charged, *shown)
    assert [grant.pod.name for grant in decision.grants][:1] == ["api-3"]
    assert decision.grants[0].connections >= 2


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        pytest.param(
            replace(waiting(), spec=PodSpec((replace(app().containers[0], command=()),))),
            "ProcessesUnknown",
            id="processes that nobody knows",
        ),
        pytest.param(replace(waiting(), gates=("other", *waiting().gates)), None, id="at another gate it is not ours"),
    ],
)
def test_a_pod_that_cannot_be_sized_waits(pod: Pod, reason: str | None) -> None:
    decision = decided(plan(BUDGET), {}, pod)
    assert waits(decision) == ({"api-1": reason} if reason else {})
    assert decision.grants == ()


def test_a_workload_whose_floor_does_not_fit_says_so() -> None:
    budget = spec(16, workloads=[Workload(name="api", max=1)])
    assert waits(decided(plan(budget), {}, waiting(), budget=budget)) == {"api-1": "CeilingBelowFloor"}


def replace_name(name: str) -> WorkloadKey:
    return WorkloadKey("shop", "orders", name)
