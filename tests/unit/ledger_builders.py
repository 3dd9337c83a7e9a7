"""Small values for the ledger's unit tests: a budget `shop/orders`, pods and reservations of its workload `api`."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from poolbudget.api.v1alpha1 import (
    External,
    PoolBudgetSpec,
    Pooler,
    PoolerMode,
    TargetReference,
    Workload,
    WorkloadMode,
)
from poolbudget.detection.podspec import Container, PodSpec, Variable
from poolbudget.ledger.decide import Snapshot
from poolbudget.ledger.model import GATE, Decision, Pod, Reservation
from poolbudget.ledger.unmanaged import Charge, UnmanagedPod
from poolbudget.planning.model import (
    Budget,
    BudgetKey,
    PoolerPlan,
    PoolShare,
    ServerPlan,
    Target,
    TargetKey,
    WorkloadKey,
    WorkloadPlan,
)
from poolbudget.planning.plan import plan_server
from poolbudget.planning.settings import setting_names

BUDGET = BudgetKey("shop", "orders")
API = WorkloadKey("shop", "orders", "api")
LONG = "n" * 63


INJECTED = tuple(
    setting_names(PoolBudgetSpec(max_connections=20, workloads=[Workload(name="api")]), Workload(name="api"))
)
"""The variables of a workload with default settings."""


def app(processes: int = 1, *variables: str) -> PodSpec:
    """Return a pod spec with this many Uvicorn workers, whose environment refers to the settings of `variables`.

    Without them it is that of a pod as the webhook leaves it.
    """
    env = tuple(Variable(name, None, f"env.poolbudget.dev/{name}") for name in variables or INJECTED)
    return PodSpec((Container("app", command=("uvicorn", "app:app", "--workers", str(processes)), env=env),))


def waiting(name: str = "api-1", processes: int = 1, **fields: Any) -> Pod:
    """Return a pod at our gate; its name is its uid, too."""
    pod = Pod(name, "shop", name, API, created="2024-01-01T00:00:00Z", gates=(GATE,), revision="new")
    return replace(pod, **{"spec": app(processes), "owner": "ReplicaSet", **fields})


def running(name: str = "api-1", connections: int | None = 4, **fields: Any) -> Pod:
    """Return a pod that was granted so many connections of its own and runs; None: that was granted nothing."""
    pod = waiting(name, node="worker", address=f"10.0.0.{name[-1]}", connections=connections)
    mode = None if connections is None else WorkloadMode.DIRECT
    return replace(pod, **{"gates": (), "spec": None, "mode": mode, **fields})


def pooled(name: str = "api-1", **fields: Any) -> Pod:
    """Return a running pod that was granted behind the pooler."""
    return running(name, 0, **{"mode": WorkloadMode.POOLED, **fields})


def reservation(name: str = "api-1", connections: int = 4, **fields: Any) -> Reservation:
    """Return the entry of a running pod."""
    entry = Reservation(name, connections, "shop", name, API, node="worker", address=f"10.0.0.{name[-1]}")
    return replace(entry, **fields)


def digits(number: int) -> str:
    """Return 16 bytes that do not compress, the same at every run."""
    return f"{pow(7, number + 99, 2**128 - 159):032x}"


def longest(number: int, connections: int = 1_000_000) -> Reservation:
    """Return an entry with the longest names that controllers make: generated pod names have at most 63 characters."""
    text = digits(number)
    address = ":".join(text[at : at + 4] for at in range(0, 32, 4))
    pod = f"{'p' * 47}-{text[:9]}-{text[9:14]}"
    workload = WorkloadKey(LONG, LONG, LONG)
    return Reservation(str(UUID(text)), connections, LONG, pod, workload, f"{text[::-1]}.{'d' * 30}", address)


def ledger(*entries: Reservation) -> dict[str, Reservation]:
    return {entry.uid: entry for entry in entries}


def pods(*shown: Pod) -> dict[str, Pod]:
    return {pod.uid: pod for pod in shown}


def target(name: str = "api", kind: str = "Deployment", steady: int = 3, processes: int = 1, **fields: Any) -> Target:
    """Return a controller that wants `steady` pods of revision `new`; a Deployment surges."""
    key = TargetKey(kind, "shop", name)
    made = Target(key, steady, steady, kind == "Deployment", app(processes), revision="new")
    return replace(made, **fields)


def spec(usable: int = 16, **fields: Any) -> PoolBudgetSpec:
    """Return a budget with `usable` connections and the workload `api`."""
    fields.setdefault("workloads", [Workload(name="api")])
    return PoolBudgetSpec(max_connections=usable, reserved_connections=0, **fields)


def plan(budget: PoolBudgetSpec, *targets: Target) -> ServerPlan:
    return plan_server([Budget(BUDGET, budget)], {t.key: t for t in targets or (target(),)}, None)


EXTERNAL = Pooler(mode=PoolerMode.EXTERNAL, external=External(host="pgbouncer", connections=6))
CLIENTS = 20
"""Of each process, to the pooler."""


def moved(server: ServerPlan, *names: str, mode: WorkloadMode = WorkloadMode.POOLED) -> ServerPlan:
    """Return the plan with these workloads behind a pooler that takes 6 connections; the others stay as they are."""
    behind = {key: _behind_pooler(w, mode) if key.workload in names else w for key, w in server.workloads.items()}
    pooler = PoolerPlan("pgbouncer", 6432, 6, 100, 0, prepared_statements=True, external=True)
    return replace(server, workloads=behind, poolers={BUDGET: pooler})


def _behind_pooler(workload: WorkloadPlan, mode: WorkloadMode) -> WorkloadPlan:
    clients = CLIENTS * (workload.processes or 1)
    pools = (PoolShare("", CLIENTS, 0),)
    return replace(workload, mode=mode, share=CLIENTS, pools=pools, per_pod=0, planned=0, clients_per_pod=clients)


def stateful(name: str, **fields: Any) -> Workload:
    return Workload(name=name, target_ref=TargetReference(kind="StatefulSet", name=name), **fields)


def snapshot(budget: PoolBudgetSpec, server_plan: ServerPlan, **fields: Any) -> Snapshot:
    """Return a picture in which nothing runs, nothing vanished and no database is asked, but for `fields`."""
    empty: dict[str, Any] = {"ledger": {}, "pods": {}, "gone": {}, "sessions": None, "elsewhere": 0}
    return Snapshot(specs={BUDGET: budget}, plan=server_plan, **{**empty, **fields})


def granted(decision: Decision) -> dict[str, int]:
    return {grant.pod.name: grant.connections for grant in decision.grants}


def waits(decision: Decision) -> dict[str, str]:
    return {wait.pod.name: wait.reason for wait in decision.waits}


def unmanaged(name: str = "api-1", **fields: Any) -> UnmanagedPod:
    """Return a pod of `api` that runs without a grant."""
    pod = UnmanagedPod(name, "shop", name, API, revision="old", address=f"10.0.0.{name[-1]}", spec=app())
    return replace(pod, **fields)


def charges(*held: int, **fields: Any) -> tuple[Charge, ...]:
    """Return what is charged for pods `api-1`, `api-2`, ... that run without a grant."""
    return tuple(Charge(unmanaged(f"api-{n}", **fields), connections) for n, connections in enumerate(held, 1))
