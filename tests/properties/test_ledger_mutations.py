"""The ledger's model catches code that was broken on purpose: every mutation makes it fail.

They run in a process where strings hash alike in every run: a set's order would decide otherwise which events a search
tries.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.ledger_machine import LedgerMachine
from tests.properties.ledger_mutations import MUTATIONS, POOLER_MUTATIONS, Mutation

SEEDS = (55, 1, 2, 3)
"""Tried in turn: some faults need a rare order of events."""

BOUNDED = settings(
    max_examples=1500,
    deadline=None,
    database=None,
    stateful_step_count=50,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def process() -> Iterator[Executor]:
    """A process in which strings hash alike in every run."""
    with pytest.MonkeyPatch.context() as patch, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        patch.setenv("PYTHONHASHSEED", "0")
        yield pool


@pytest.mark.parametrize("mutation", [*MUTATIONS, *POOLER_MUTATIONS], ids=lambda mutation: mutation.__name__)
def test_the_model_catches(mutation: Mutation, process: Executor) -> None:
    assert process.submit(is_caught, mutation).result(), f"no run of the model with {mutation.__name__} failed"


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
