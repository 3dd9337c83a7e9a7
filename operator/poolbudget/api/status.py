"""What the operator reports of a PoolBudget: its `status`.

`reconcile` writes it through the status subresource, and `poolbudget plan` prints the same shape with live figures 0.
`api.conditions` makes the conditions.
"""

from typing import Annotated, Literal

from pydantic import Field

from poolbudget.api.rules import Model, UniqueItems
from poolbudget.api.types import WorkloadMode


class Condition(Model):
    """One aspect of the state: metav1.Condition."""

    type: str
    """What the condition speaks of, such as Ready or WithinBudget."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    reason: str
    """Why, as one CamelCase word."""
    message: str
    """Why, as a sentence that a person can act on."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When `status` last changed, in RFC 3339."""
    observed_generation: int
    """The generation of the resource that the condition speaks of."""


class CapacityStatus(Model):
    """Connections of the server, as this budget sees them."""

    declared: int
    """spec.maxConnections."""
    observed: int | None = None
    """max_connections of the server; absent while it was never read."""
    reserved: int
    """What is kept back: the larger of spec.reservedConnections and what the server itself reserves."""
    usable: int
    """What can be granted: the smaller of declared and observed, less reserved and headroom. May be negative."""
    planned: int
    """What the workloads may open at their peak, by the plan."""
    committed: int
    """What is granted or otherwise charged now."""
    in_use: int | None = None
    """Connections open at the server now; absent where it is not observed."""


class PodsStatus(Model):
    """Pods of a workload: those that live now, those that wait for a grant, and the most that the plan allows for."""

    current: int = 0
    """Pods that live now."""
    waiting: int = 0
    """Pods that wait for a grant."""
    steady: int
    """The most pods outside a rollout."""
    peak: int
    """The most pods during a rollout."""


class PoolSize(Model):
    """One pool of one process."""

    name: str | None = None
    """Name of the pool; absent where there is only one."""
    size: int
    """Connections that the pool keeps (SQLAlchemy's pool_size)."""
    overflow: int
    """Connections that it opens beyond them when busy (SQLAlchemy's max_overflow)."""


class ConnectionsStatus(Model):
    """Connections of a workload at the server."""

    per_pod: int
    """What one pod may open; 0 behind a pooler."""
    clients_per_pod: int | None = None
    """What one pod may open at the pooler; absent where it does not use one."""
    planned: int
    """What all pods may open at the peak."""
    committed: int = 0
    """What is granted now."""
    in_use: int | None = None
    """What is open at the server now; absent where it is not observed."""


class WorkloadStatus(Model):
    """What one workload gets, and why."""

    name: str
    """Name of the workload."""
    mode: WorkloadMode
    """Direct, Pooled or NullPool."""
    reason: str
    """Why the workload gets what it gets, as one CamelCase word."""
    message: str
    """Why, as a sentence that a person can act on."""
    processes: int | None = None
    """Processes of one pod; absent while unknown."""
    pods: PodsStatus | None = None
    """Pods now and at most; absent while the target is unknown."""
    pool: PoolSize | None = None
    """The pool of each process, where there is one."""
    pools: list[PoolSize] | None = None
    """The pools of each process, where there are several."""
    connections: ConnectionsStatus | None = None
    """Connections now and at most."""
    safe_max_replicas: int | None = None
    """The most replicas for which the floors still hold, the other workloads as they are; 0 if none. Absent behind a
    pooler, which sets no bound, without `max`."""
    clear_since: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """Since when a workload that was moved behind the pooler could go back; absent while it could not."""


class PoolerStatus(Model):
    """The pooler of the budget."""

    host: str
    """Host name or address that clients connect to."""
    port: int
    """Port that clients connect to."""
    connections: int
    """The most connections that it may open at the server, over all its replicas."""
    clients: int
    """The most connections that the workloads behind it may open to it."""
    replicas: int | None = None
    """Its pods; absent where somebody else runs it."""


class PoolBudgetStatus(Model):
    """What the operator reports; `poolbudget plan` prints the same shape with live figures 0."""

    observed_generation: int | None = None
    """The generation of the spec that the status speaks of."""
    conditions: Annotated[list[Condition], UniqueItems("type")] = []
    """Ready, WithinBudget, CapacityObserved, WorkloadsFit, PoolerReady, NotYetSupported."""
    capacity: CapacityStatus | None = None
    """Connections of the server, as this budget sees them."""
    pooler: PoolerStatus | None = None
    """The pooler of the budget; absent where nothing can be behind one, or the budget does not fit."""
    waiting: int = 0
    """Pods of all workloads that wait for a grant."""
    workloads: Annotated[list[WorkloadStatus], UniqueItems("name")] = []
    """What each workload gets."""
