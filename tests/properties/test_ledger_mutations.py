"""The models catch code that was broken on purpose: every mutation makes one of them fail.

The searches take longer than all other property tests, so each CPU runs some of them, in a process of its own. There
strings hash alike in every run: a set's order would decide otherwise which events a search tries.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.properties.ledger_machine import LedgerMachine
from tests.properties.ledger_mutations import MUTATIONS, POOLER_MUTATIONS, Mutation
from tests.properties.moved_machine import MovedPods
from tests.properties.moved_mutations import MOVED_MUTATIONS

SEEDS = range(100)
"""Tried in turn. Many short searches find a rare order of events sooner than a few long ones."""

BOUNDED = settings(
    max_examples=60,
    deadline=None,
    database=None,
    stateful_step_count=50,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class PoolerMachine(LedgerMachine):
    """Every budget has a pooler."""

    poolers = (3,)


MODELS: Mapping[Mutation, type[RuleBasedStateMachine]] = {
    **dict.fromkeys(MUTATIONS, LedgerMachine),
    **dict.fromkeys(POOLER_MUTATIONS, PoolerMachine),
    **dict.fromkeys(MOVED_MUTATIONS, MovedPods),
}
"""In which model each is looked for."""

Searches = Mapping[Mutation, Future[bool]]


@pytest.fixture(scope="module")
def searches(request: pytest.FixtureRequest) -> Iterator[Searches]:
    """The searches of all selected tests."""
    selected = [
        item.callspec.params["mutation"]
        for item in request.session.items
        if hasattr(item, "callspec") and "mutation" in item.callspec.params
    ]
    with pytest.MonkeyPatch.context() as patch, ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        patch.setenv("PYTHONHASHSEED", "0")
        yield {mutation: pool.submit(is_caught, mutation) for mutation in selected}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("mutation", list(MODELS), ids=lambda mutation: mutation.__name__)
def test_the_model_catches(mutation: Mutation, searches: Searches) -> None:
    assert searches[mutation].result(), f"no run of the model with {mutation.__name__} failed"


def is_caught(mutation: Mutation) -> bool:
    """Break the code, and run the model until it fails; return whether it does."""
    with pytest.MonkeyPatch.context() as patch:
        mutation(patch)
        try:
            for number in SEEDS:
                machine = type("Mutant", (MODELS[mutation],), {})
                run_state_machine_as_test(seed(number)(machine), settings=BOUNDED)
        except AssertionError:
            return True
    return False
