"""What the message of a waiting pod says of those who hold what it lacks."""

from dataclasses import replace
from typing import Any

import pytest

from poolbudget.ledger.model import Pod, Reservation, Wait
from poolbudget.ledger.shortage import Shortage
from tests.unit.ledger_builders import ledger, pods, reservation, running, waiting

OTHER = waiting().workload._replace(workload="worker")
SINCE = "2024-01-01T05:12:03Z"


Entries = dict[str, Reservation]


def of_worker(name: str, connections: int) -> Entries:
    return ledger(reservation(name, connections, workload=OTHER))


def ending(name: str, **fields: Any) -> Pod:
    return replace(running(name), deleting=True, **fields)


def said(held: Entries, *shown: Pod, reason: str = "NoRoom") -> str:
    return Shortage(held, pods(*shown)).explain(Wait(waiting("api-9"), reason, "needs 4, free 1")).message


@pytest.mark.parametrize(
    ("held", "shown", "message"),
    [
        pytest.param({}, (), "needs 4, free 1", id="nobody holds anything"),
        pytest.param(
            ledger(reservation("api-1", 2), reservation("api-2", 8)),
            (running("api-1"), running("api-2")),
            "needs 4, free 1; api-2 holds 8",
            id="the largest holder",
        ),
        pytest.param(
            ledger(reservation("api-1", 2)) | of_worker("worker-1", 8),
            (running("api-1"), running("worker-1")),
            "needs 4, free 1; api-1 holds 2",
            id="of its own workload before others",
        ),
        pytest.param(
            ledger(reservation("api-1", 8)) | of_worker("worker-1", 2),
            (running("api-1"), ending("worker-1")),
            "needs 4, free 1; worker-1 holds 2, terminating",
            id="what ends next goes before all",
        ),
        pytest.param(
            ledger(reservation("api-1", 8), reservation("api-2", 4), reservation("api-3", 2)),
            (running("api-1"), ending("api-2", deleting_since=SINCE), ending("api-3")),
            f"needs 4, free 1; api-2 holds 4, terminating since {SINCE}, like 1 more",
            id="since when, and how many more",
        ),
        pytest.param(
            ledger(reservation("api-1", 8)),
            (),
            "needs 4, free 1; api-1 holds 8; 8 connections are held for pods that vanished without proof of their end "
            "(shop/api-1): poolbudget forget",
            id="what vanished, and the way out",
        ),
        pytest.param(
            ledger(reservation("api-1", 0), reservation("api-3", 0)),
            (ending("api-1"),),
            "needs 4, free 1",
            id="pods behind the pooler hold nothing that could become free",
        ),
    ],
)
def test_the_message_names_who_holds_what_is_missing(held: Entries, shown: tuple[Pod, ...], message: str) -> None:
    assert said(held, *shown) == message


def test_a_pod_that_waits_for_something_else_is_told_nothing_of_holders() -> None:
    held = ledger(reservation("api-1", 8))
    assert said(held, running("api-1"), reason="ProcessesUnknown") == "needs 4, free 1"
    assert said(held, running("api-1"), reason="PodsBeyondPlan") == "needs 4, free 1"


def test_the_order_of_ledger_and_pods_changes_nothing() -> None:
    held = ledger(*(reservation(f"api-{n}", 4) for n in range(8)))
    shown = [ending(f"api-{n}") if n % 2 else running(f"api-{n}") for n in range(8)]
    assert said(held, *shown) == said(dict(reversed(held.items())), *reversed(shown))
