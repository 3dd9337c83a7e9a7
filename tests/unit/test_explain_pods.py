"""What `poolbudget explain` makes of one pod: its row, and the message beside it."""

import pytest

from poolbudget.cli.explanation import document, text
from poolbudget.cli.explanation.picture import Picture
from poolbudget.ledger.model import Reservation
from tests.unit.explain_inputs import API, GATE, KEY, NOW, Raw, at, budget, entry, picture, pod, waiting

ROWS: dict[str, tuple[Raw, Reservation | None, Raw]] = {
    "a running pod has done so since the kubelet took it": (
        pod("api-1", 16),
        entry("api-1", 16),
        {"state": "running", "since": at("10:00"), "granted": 16, "configured": 16},
    ),
    "a pod that is told to end has been so since it was told, not until its grace is over": (
        pod("api-1", 16, metadata={"deletionTimestamp": at("12:01"), "deletionGracePeriodSeconds": 60}),
        entry("api-1", 16),
        {"state": "terminating", "since": at("12:00")},
    ),
    "a pod that was moved says why it is charged": (
        pod("api-1", 8, mode="Pooled"),
        entry("api-1", 8),
        {
            "granted": 8,
            "reason": "NotSeenYet",
            "message": "nothing is charged once it is seen behind the pooler, with its first query",
        },
    ),
    "a pod without a word from the operator waits since it was made": (
        waiting("api-1"),
        None,
        {"state": "waiting", "since": at("09:00"), "message": "the operator has not said why yet"},
    ),
    "a pod behind other gates waits for those": (
        pod("api-1", nodeName="", schedulingGates=[{"name": "example.com/a"}, GATE]),
        None,
        {"state": "waiting", "reason": "OtherGates", "message": "waits for the scheduling gates example.com/a first"},
    ),
    "a granted pod without a node says what the scheduler says": (
        pod(
            "api-1",
            16,
            nodeName="",
            status={
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes",
                        "lastTransitionTime": at("11:30"),
                    }
                ]
            },
        ),
        entry("api-1", 16),
        {"state": "unscheduled", "since": at("11:30"), "reason": "Unschedulable", "message": "0/1 nodes"},
    ),
    "a pod that no ledger knows and that shows no grant is uncounted": (
        pod("api-1"),
        None,
        {"state": "running", "reason": "Uncounted"},
    ),
    "a grant that the ledger read a moment ago does not hold yet is shown as the pod has it": (
        pod("api-1", 16),
        None,
        {"state": "running", "granted": 16},
    ),
    "an ended pod that is still charged waits for its last sessions": (
        pod("api-1", 16, status={"phase": "Succeeded"}),
        entry("api-1", 3),
        {"state": "ended", "granted": 3, "reason": "BackendsLeft"},
    ),
    "a value of its own goes before the granted one": (
        pod("api-1", 16, own={"DB_POOL_SIZE": "20"}),
        entry("api-1", 16),
        {
            "configured": 40,
            "reason": "Overridden",
            "message": "may open 40 and was granted 16: it sets DB_POOL_SIZE=20 in container app itself",
        },
    ),
    "a smaller value of its own is no trouble": (
        pod("api-1", 16, own={"DB_POOL_SIZE": "5"}),
        entry("api-1", 16),
        {"configured": 10, "reason": None},
    ),
    "a value that is no number is not counted": (
        pod("api-1", 16, own={"DB_POOL_SIZE": "auto"}),
        entry("api-1", 16),
        {"configured": None, "reason": None},
    ),
}


@pytest.mark.parametrize("sentence", ROWS)
def test_a_row(sentence: str) -> None:
    raw, held, expected = ROWS[sentence]
    [row] = document.of_budget(picture(raw, ledger=(held,) if held else ()), NOW)["pods"]
    assert {key: row.get(key) for key in expected} == expected


def test_more_sessions_than_granted_are_named_with_their_likely_cause() -> None:
    shown = picture(pod("api-1", 16), ledger=(entry("api-1", 16),), sessions={"10.0.0.1": 20})
    [row] = document.of_budget(shown, NOW)["pods"]
    assert row["message"] == (
        "holds 20 and was granted 16: it does not read its settings, or opens more beside its pools"
    )


def test_a_pod_of_a_namespace_that_may_not_be_read_is_not_called_vanished() -> None:
    elsewhere = Reservation("x", 4, "closed", "x", API)
    [row] = document.of_budget(picture(ledger=(elsewhere,), unread=frozenset({"closed"})), NOW)["pods"]
    assert (row["state"], row["granted"]) == ("unknown", 4)


def test_with_a_database_a_vanished_pod_may_be_freed_by_what_that_shows() -> None:
    shown = picture(ledger=(entry("api-1", 4),), raw=budget(database={"host": "db", "name": "orders"}))
    [row] = document.of_budget(shown, NOW)["pods"]
    assert (
        "freed once the database has shown no session of that address for the settle time, its node" in row["message"]
    )


def test_a_pod_whose_budget_does_not_exist_is_explained_all_the_same() -> None:
    raw = waiting("api-1")
    found = document.of_pod(Picture(KEY, pods={"api-1": raw}), "api-1", NOW)
    assert "PoolBudget shop/orders: does not exist: its pods wait until it does" in text.pod_text(found, NOW)
