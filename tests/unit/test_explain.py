"""What `poolbudget explain` makes of what it has read: the whole text once, and each rule for a pod's row."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from poolbudget.api.parse import parse_budget
from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.cli.explanation import document, text
from poolbudget.cli.explanation.picture import Picture
from poolbudget.ledger.model import Reservation
from poolbudget.planning.model import BudgetKey, WorkloadKey

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = BudgetKey("shop", "orders")
API = WorkloadKey("shop", "orders", "api")
GATE = {"name": "poolbudget.dev/grant"}
VANISHED = (
    "nobody saw it end, it ran on node worker at address 10.0.0.3: "
    "freed once its node has booted anew or is gone, "
    "or a person who knows that it ended says: poolbudget forget api-3 -n shop"
)
SETTINGS = ("DB_POOL_SIZE", "DB_MAX_OVERFLOW")

Raw = dict[str, Any]


def at(clock: str) -> str:
    return f"2026-03-01T{clock}:00Z"


def container(own: Mapping[str, str] = {}) -> Raw:
    """Return a container of two processes that reads its pool from the grant, but for what it sets itself."""
    injected = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['env.poolbudget.dev/{name}']"}}}
        for name in SETTINGS
        if name not in own
    ]
    set_here = [{"name": name, "value": value} for name, value in own.items()]
    return {"name": "app", "command": ["uvicorn", "app:app", "--workers", "2"], "env": [*injected, *set_here]}


def pod(
    name: str, granted: int | None = None, own: Mapping[str, str] = {}, mode: str = "Direct", **changes: Any
) -> Raw:
    """Return a pod of the workload `api` that has run since 10:00; `changes` go into metadata, status or else spec.

    Behind the pooler it is `granted` as many connections to that, and none at the server.
    """
    annotations = {}
    if granted:
        annotations = {
            "poolbudget.dev/connections": str(granted if mode == "Direct" else 0),
            "poolbudget.dev/mode": mode,
            f"env.poolbudget.dev/{SETTINGS[0]}": str(granted // 2),
            f"env.poolbudget.dev/{SETTINGS[1]}": "0",
        }
    metadata = {
        "uid": name,
        "name": name,
        "namespace": "shop",
        "creationTimestamp": at("09:00"),
        "labels": {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"},
        "annotations": annotations,
        **changes.pop("metadata", {}),
    }
    status = {"phase": "Running", "startTime": at("10:00"), "podIP": f"10.0.0.{name[-1]}", **changes.pop("status", {})}
    return {
        "metadata": metadata,
        "spec": {"nodeName": "worker", "containers": [container(own)], **changes},
        "status": status,
    }


def waiting(name: str, **condition: str) -> Raw:
    told = [{"type": "poolbudget.dev/Granted", "status": "False", **condition}] if condition else []
    status = {"phase": "Pending", "podIP": "", "conditions": told}
    return pod(name, nodeName="", schedulingGates=[GATE], status=status)


def entry(name: str, connections: int, workload: WorkloadKey = API) -> Reservation:
    return Reservation(name, connections, workload.namespace, name, workload, "worker", f"10.0.0.{name[-1]}")


def budget(**spec: Any) -> Raw:
    """Return a PoolBudget as the API server gives it, which has been ready since 11:00."""
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": at("11:00")}
    workload = {
        "name": "api",
        "mode": "Direct",
        "reason": "FitsDirectly",
        "message": "its part",
        "processes": 2,
        "pool": {"size": 8, "overflow": 0},
        "pods": {"current": 2, "waiting": 1, "steady": 3, "peak": 3},
        "connections": {"perPod": 16, "planned": 48, "committed": 48},
    }
    capacity = {"declared": 60, "reserved": 10, "usable": 50, "planned": 48, "committed": 60}
    return {
        "metadata": {"name": "orders", "namespace": "shop", "generation": 2},
        "spec": {"maxConnections": 60, "workloads": [{"name": "api"}], **spec},
        "status": {"observedGeneration": 2, "conditions": [ready], "capacity": capacity, "workloads": [workload]},
    }


def lease(renewed: str, holder: str = "operator-a_1") -> Raw:
    spec = {"holderIdentity": holder, "renewTime": renewed, "acquireTime": at("08:00"), "leaseDurationSeconds": 15}
    return {"spec": spec}


def picture(*pods: Raw, ledger: tuple[Reservation, ...] = (), raw: Raw | None = None, **fields: Any) -> Picture:
    raw = raw or budget()
    known: dict[str, Any] = {"ledger": {e.uid: e for e in ledger}, **fields}
    return Picture(KEY, raw, spec(raw), "shop/orders", pods={p["metadata"]["uid"]: p for p in pods}, **known)


def spec(raw: Raw) -> PoolBudgetSpec:
    return parse_budget({"apiVersion": "poolbudget.dev/v1alpha1", "kind": "PoolBudget", **raw})


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
