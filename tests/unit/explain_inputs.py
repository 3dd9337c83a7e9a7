"""What `poolbudget explain` reads, in short: a budget `shop/orders` at noon and pods of its workload `api`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from poolbudget.api.parse import parse_budget
from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.cli.explanation.picture import Picture
from poolbudget.ledger.model import Reservation
from poolbudget.planning.model import BudgetKey, WorkloadKey

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = BudgetKey("shop", "orders")
API = WorkloadKey("shop", "orders", "api")
GATE = {"name": "poolbudget.dev/grant"}
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
