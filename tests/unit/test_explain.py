"""What `poolbudget explain` prints: whole texts, of a budget and of a pod, and the lines about the operator."""

import pytest

from poolbudget.cli.explanation import document, text
from poolbudget.planning.model import WorkloadKey
from tests.unit.explain_inputs import NOW, Raw, at, budget, entry, lease, picture, pod, waiting

VANISHED = (
    "nobody saw it end, it ran on node worker at address 10.0.0.3: "
    "freed once its node has booted anew or is gone, "
    "or a person who knows that it ended says: poolbudget forget api-3 -n shop"
)


def test_a_budget_reads_from_the_server_down_to_its_pods() -> None:
    found = document.of_budget(
        picture(
            waiting("api-4", reason="NoRoom", message="needs 4, free 0", lastTransitionTime=at("11:57")),
            pod("api-1", 16),
            pod("api-2", 16, metadata={"deletionTimestamp": "2026-03-01T12:00:20Z", "deletionGracePeriodSeconds": 30}),
            ledger=(
                entry("api-1", 16),
                entry("api-2", 16),
                entry("api-3", 16),
                entry("batch-1", 9, WorkloadKey("shop", "night", "batch")),
            ),
            lease=lease("2026-03-01T11:59:55Z"),
            sessions={"10.0.0.1": 12, "10.0.0.9": 3},
            gaps=("something was left out",),
        ),
        NOW,
    )
    assert text.budget_text(found, NOW).splitlines() == [
        "PoolBudget shop/orders: ready for 60m",
        "server shop/orders: 50 usable, 60 committed (57 to pods, 3 otherwise), 10 too many",
        "operator-a_1 has led for 4h",
        "",
        "  WORKLOAD  MODE    PROCESSES  POOL  PER POD  PODS  PLANNED  WAITING  GRANTED  REASON",
        "  api       Direct          2  8+0        16     2        3        1       48  FitsDirectly",
        "",
        "  POD    WORKLOAD  STATE        SINCE  MODE    GRANTED  CONFIGURED  IN USE",
        "  api-3  api       vanished         -  -            16           -       0",
        "  api-2  api       terminating    10s  Direct       16          16       0",
        "  api-1  api       running         2h  Direct       16          16      12",
        "  api-4  api       waiting         3m  -             -           -       -",
        "",
        f"  api-3: Vanished: {VANISHED}",
        "  api-4: NoRoom: needs 4, free 0",
        "",
        "  OTHER BUDGETS  PODS  GRANTED",
        "  shop/night        1        9",
        "",
        "note: something was left out",
    ]


def test_pods_behind_a_pooler_show_what_they_open_there() -> None:
    shown = picture(
        pod("api-1", 16),
        pod("api-2", 40, mode="Pooled"),
        pod("api-3", 2, mode="NullPool"),
        ledger=(entry("api-1", 16), entry("api-2", 0), entry("api-3", 0)),
        sessions={"10.0.0.1": 12, "10.0.0.3": 1},
    )
    lines = text.budget_text(document.of_budget(shown, NOW), NOW).splitlines()
    bypassed = "Bypassed: holds 1 at the server itself and was granted a place behind the pooler"
    cause = "it does not take host and port from its settings, or connects elsewhere in its code"
    at = lines.index("  POD    WORKLOAD  STATE    SINCE  MODE      GRANTED  CONFIGURED  CLIENTS  IN USE")
    assert lines[at + 1 :] == [
        "  api-1  api       running     2h  Direct         16          16        -      12",
        "  api-2  api       running     2h  Pooled          0           -       40       0",
        "  api-3  api       running     2h  NullPool        0           -        -       1",
        "",
        f"  api-3: {bypassed}: {cause}",
    ]
    of_pod = text.pod_text(document.of_pod(shown, "api-2", NOW), NOW).splitlines()
    assert of_pod[1] == "  0 granted, 40 client connections to the pooler, 0 in use"


def test_pods_of_another_budget_count_also_behind_its_pooler() -> None:
    night = WorkloadKey("shop", "night", "batch")
    found = document.of_budget(picture(ledger=(entry("batch-1", 9, night), entry("batch-2", 0, night))), NOW)
    assert found["others"] == [{"budget": "shop/night", "pods": 2, "granted": 9}]


def test_a_waiting_pod_reads_from_its_reason_to_those_it_waits_for() -> None:
    shown = picture(
        waiting("api-4", reason="NoRoom", message="needs 4, free 0", lastTransitionTime=at("11:00")),
        pod("api-1", 16),
        ledger=(entry("api-1", 16), *(entry(f"batch-{i:02}", i) for i in range(10, 21))),
    )
    lines = text.pod_text(document.of_pod(shown, "api-4", NOW), NOW).splitlines()
    assert lines[:5] == [
        "Pod shop/api-4 of shop/orders/api: waiting for 60m",
        "  NoRoom: needs 4, free 0",
        "",
        "PoolBudget shop/orders: ready for 60m",
        "server shop/orders: 50 usable, 60 committed, 10 too many",
    ]
    assert "  DB_POOL_SIZE     not granted  app" in lines
    holders = [line.split()[0] for line in lines if line.startswith("  shop/")]
    assert holders == [f"shop/batch-{i}" for i in range(20, 10, -1)]
    assert "  and 2 more pods" in lines


LEADERS = {
    "operator-a_1 has led for 4h": lease("2026-03-01T11:59:50Z"),
    "no operator has led for 105s (operator-a_1 was the last)": lease("2026-03-01T11:58:00Z"),
    "no operator has led for 2m": lease("2026-03-01T11:58:00Z", holder=""),
    "no operator has led": {"spec": {}},
}


@pytest.mark.parametrize("line", LEADERS)
def test_who_leads(line: str) -> None:
    assert line in text.budget_text(document.of_budget(picture(lease=LEADERS[line]), NOW), NOW).splitlines()


READINESS: dict[str, Raw] = {
    "no operator has looked at it yet": {},
    "ready for 60m (the spec has changed since)": {**budget()["status"], "observedGeneration": 1},
    "not ready for 0s: OverCommitted: 10 too many": {
        "observedGeneration": 2,
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "OverCommitted",
                "message": "10 too many",
                "lastTransitionTime": at("12:00"),
            }
        ],
    },
}


@pytest.mark.parametrize("line", READINESS)
def test_readiness(line: str) -> None:
    shown = picture(raw={**budget(), "status": READINESS[line]})
    assert text.budget_text(document.of_budget(shown, NOW), NOW).splitlines()[0] == f"PoolBudget shop/orders: {line}"
