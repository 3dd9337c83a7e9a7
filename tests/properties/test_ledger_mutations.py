"""The ledger's model catches code that was broken on purpose: every mutation makes it fail."""

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


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_the_model_catches(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        search()


@pytest.mark.parametrize("mutation", POOLER_MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_the_model_with_poolers_catches(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        search(poolers=(3,))


def search(poolers: tuple[int, ...] = LedgerMachine.poolers) -> None:
    """Run the model until it fails."""
    for number in SEEDS:
        machine = type("Mutant", (LedgerMachine,), {"poolers": poolers})
        run_state_machine_as_test(seed(number)(machine), settings=BOUNDED)
