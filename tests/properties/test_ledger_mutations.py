"""The ledger's model catches code that was broken on purpose: every mutation makes it fail.

The searches take longer than all other property tests, so each CPU runs some of them, in a process of its own. There
strings hash alike in every run: a set's order would decide otherwise which events a search tries.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.ledger_machine import LedgerMachine
from tests.properties.ledger_mutations import MUTATIONS, POOLER_MUTATIONS, Mutation

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


@pytest.mark.parametrize("mutation", [*MUTATIONS, *POOLER_MUTATIONS], ids=lambda mutation: mutation.__name__)
def test_the_model_catches(mutation: Mutation, searches: Searches) -> None:
    assert searches[mutation].result(), f"no run of the model with {mutation.__name__} failed"


def is_caught(mutation: Mutation) -> bool:
    """Break the code, and run the model until it fails; return whether it does."""
    poolers = (3,) if mutation in POOLER_MUTATIONS else LedgerMachine.poolers
    with pytest.MonkeyPatch.context() as patch:
        mutation(patch)
        try:
            for number in SEEDS:
                machine = type("Mutant", (LedgerMachine,), {"poolers": poolers})
                run_state_machine_as_test(seed(number)(machine), settings=BOUNDED)
        except AssertionError:
            return True
    return False
