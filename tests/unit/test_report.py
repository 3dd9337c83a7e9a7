"""What the conditions of a budget say of its server."""

import pytest

from poolbudget.ledger.decide import decide
from poolbudget.planning.model import Budget, Observed
from poolbudget.planning.plan import plan_server
from poolbudget.report import Findings, conditions
from tests.unit.ledger_builders import BUDGET, ledger, pods, reservation, running, snapshot, spec, target


@pytest.mark.parametrize(("checks", "advised"), [(True, False), (False, True)])
def test_a_server_that_does_not_notice_vanished_clients_is_named(checks: bool, advised: bool) -> None:
    assert ("client_connection_check_interval" in observed_message(checks)) is advised
    assert observed_message(checks).startswith("the server accepts 16 connections")


def observed_message(checks_clients: bool) -> str:
    api = target()
    plan = plan_server([Budget(BUDGET, spec())], {api.key: api}, Observed(16, 0))
    decision = decide(snapshot(spec(), plan, ledger=ledger(reservation()), pods=pods(running())))
    found = Findings(plan, decision, pods(running()), None, (), (), 0, None, checks_clients)
    return next(c.message for c in conditions(Budget(BUDGET, spec()), found) if c.type == "CapacityObserved")
