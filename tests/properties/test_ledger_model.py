"""The ledger under everything that can happen at once; `--hypothesis-profile=soak` runs it for long."""

from hypothesis import HealthCheck, settings

from tests.properties.ledger_machine import LedgerMachine

TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=3 * settings().max_examples,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def teardown_module() -> None:
    print(f"\nledger model: {LedgerMachine.steps} steps")
