"""What a pooler leaves to pods that were not seen behind it yet."""

from dataclasses import replace

import pytest

from poolbudget.api.v1alpha1 import Route, Workload
from poolbudget.ledger.model import Ledger
from poolbudget.ledger.unseen import Loan, Loans, lending
from poolbudget.planning.model import Budget, ServerPlan, WorkloadKey
from tests.unit.ledger_builders import (
    API,
    BUDGET,
    ledger,
    reservation,
    target,
)
from tests.unit.ledger_builders import plan as planned
from tests.unit.moved_inputs import JOBS, PLAN, POOLED, SPEC, api, lent, unseen


def test_the_case() -> None:
    workload, pooler = PLAN.workloads[API], PLAN.poolers[BUDGET]
    assert (workload.mode, workload.reason, workload.processes, workload.floor) == (POOLED, "DirectDoesNotFit", 2, 2)
    assert (pooler.connections, pooler.replicas) == (20, 2)


def test_those_that_are_believed_take_no_loan_from_another_workload() -> None:
    """`jobs` is moved, too; `api` has been seen, and has pods that are idle."""
    both = SPEC.model_copy(update={"workloads": [*SPEC.workloads, Workload(name="jobs", route=Route.ENV)]})
    plan = planned(both, target(steady=6, processes=2), target("jobs", steady=6, processes=2))
    assert {workload.mode for workload in plan.workloads.values()} == {POOLED}
    idle = [reservation(f"api-{n}", 0, unseen=True) for n in (2, 3, 4, 5)]
    charged = ledger(reservation("api-1", 0), *idle)
    lends = lending(plan, [Budget(BUDGET, both)], charged, {BUDGET: 20})
    assert Loans(lends, charged).to(JOBS) == Loan(4, 4)


@pytest.mark.parametrize(
    ("held", "charged", "connections"),
    [
        pytest.param(0, {}, 2, id="it does not grow beyond its minimum while all of its pods may need it"),
        pytest.param(10, {}, 10, id="it keeps what it has"),
        pytest.param(20, {}, 16, id="but leaves room for the first pod"),
        pytest.param(2, unseen(), 2, id="a pod that was not seen changes nothing"),
        pytest.param(2, ledger(reservation(connections=0)), 20, id="once one was seen it grows"),
        pytest.param(
            2,
            ledger(reservation(connections=0), reservation("api-2", 4, unseen=True)),
            16,
            id="but for what the others are charged that were not seen yet",
        ),
    ],
)
def test_what_the_pooler_leaves_to_pods_that_were_not_seen(held: int, charged: Ledger, connections: int) -> None:
    pooler = lent(charged, held)
    assert (pooler.connections, pooler.connections + pooler.lent) == (connections, 20)


def test_it_also_leaves_what_direct_pods_of_before_the_move_hold() -> None:
    """Else there would be no room for the first pod beside them."""
    few = api(peak=2)
    assert lent({}, server=few).connections == 20 - 2 * 4
    assert lent(ledger(reservation(connections=8)), server=few).connections == 20 - 8 - 4


@pytest.mark.parametrize(
    ("server", "moved"),
    [
        pytest.param(PLAN, {API}, id="what Auto has moved"),
        pytest.param(api(reason="Declared"), set(), id="not what a person has sent there"),
        pytest.param(api(reason="Serverless"), set(), id="not what was never direct"),
        pytest.param(api(fits=False), set(), id="not what gets nothing"),
        pytest.param(
            replace(PLAN, poolers={BUDGET: replace(PLAN.poolers[BUDGET], external=True)}),
            set(),
            id="not where somebody else runs the pooler",
        ),
    ],
)
def test_who_has_to_be_seen(server: ServerPlan, moved: set[WorkloadKey]) -> None:
    assert lent({}, server=server).moved == moved


def test_a_workload_without_pods_keeps_nothing_from_the_pooler() -> None:
    assert lent({}, 20, api(desired=0)).lent == 0
    assert lent({}, 20, api(desired=1)).lent == 4
