"""What users write in a PoolBudget: its `spec`.

`api.parse` reads it from a manifest, `api.crd` publishes its schema, and `planning` divides by it.
"""

from typing import Annotated

from pydantic import Field

from poolbudget.api.rules import Model, Rule, UniqueItems
from poolbudget.api.server import AllowedNamespaces, Database, Pooler, Tuning
from poolbudget.api.types import (
    AdmissionMode,
    Connections,
    PoolerMode,
    Positive,
    UpdateMode,
    WorkloadMode,
)
from poolbudget.api.workload import Workload

MOST_WORKLOADS = 1_000

NAME_RULE = Rule(
    "size(self.metadata.name) <= 63",
    lambda name: len(name) <= 63,
    "metadata.name must be at most 63 characters: pods name their budget in a label",
)

_TARGET = (
    "has(w.targetRef) ? w.targetRef.apiVersion + '/' + w.targetRef.kind + '/' + w.targetRef.name"
    " : 'apps/v1/Deployment/' + w.name"
)


_BEHIND_A_POOLER = frozenset({WorkloadMode.POOLED, WorkloadMode.NULL_POOL})
_CAN_POOL = (
    "(has(self.database) && (self.pooler.mode == 'External'"
    " || self.pooler.mode != 'Never' && has(self.pooler.authSecretRef)))"
)


class PoolBudgetSpec(Model):
    """The capacity of one Postgres server, and who may use how much of it."""

    max_connections: Positive
    """max_connections of the server, as it is configured there."""
    reserved_connections: Connections = 10
    """Kept back for administration, replication and people; at least what the server itself reserves is kept back."""
    headroom: Connections = 0
    """Further connections that are never handed out."""
    database: Database | None = None
    """The server. Without it the operator divides, but neither observes the server nor pools."""
    admission: AdmissionMode = AdmissionMode.STRICT
    """Strict: a pod waits for its grant. Available: while the operator is away, pods start with the published plan."""
    update_mode: UpdateMode = UpdateMode.INITIAL
    """Off, Initial (pods are sized as they start), Recreate (and their workload is rolled when the plan has moved) or
    Live. Write "Off" in quotes: YAML reads a bare Off as false."""
    pooler: Pooler = Pooler()
    """PgBouncer in front of the server."""
    tuning: Tuning = Tuning()
    """Whether the operator sizes by what it observes."""
    allowed_namespaces: AllowedNamespaces = AllowedNamespaces()
    """From which namespaces pods may use the budget."""
    workloads: Annotated[
        list[Workload],
        Field(min_length=1, max_length=MOST_WORKLOADS),
        UniqueItems("name"),
        # A map refuses a second entry of one key, at a cost that grows with the list; comparing pairs would exceed the
        # cost that the API server allows. Its error precedes the message.
        Rule(
            f"size(self.transformMapEntry(index, w, {{{_TARGET}: index}})) == size(self)",
            lambda workloads: len({w.target for w in workloads}) == len(workloads),
            "two workloads have the same target, but a controller belongs to one: give each a targetRef of its own",
        ),
    ]
    """Who uses the server."""

    rules = (
        Rule(
            "self.reservedConnections + self.headroom < self.maxConnections",
            lambda spec: spec.reserved_connections + spec.headroom < spec.max_connections,
            "reservedConnections (10 unless written) and headroom leave nothing of maxConnections: "
            "lower them, or raise maxConnections",
        ),
        Rule(
            f"{_CAN_POOL} || self.workloads.all(w, !(w.mode in ['Pooled', 'NullPool']))",
            lambda spec: spec.can_pool or not any(w.mode in _BEHIND_A_POOLER for w in spec.workloads),
            "a workload of mode Pooled or NullPool needs a pooler: write `database`, and pooler.mode External, or Auto "
            "with pooler.authSecretRef; or set the workload's mode to Auto or Direct",
        ),
        Rule(
            f"self.pooler.mode != 'Always' || {_CAN_POOL}",
            lambda spec: spec.pooler.mode != PoolerMode.ALWAYS or spec.can_pool,
            "pooler.mode Always needs `database` and pooler.authSecretRef: write both, or mode Auto or Never",
            "pooler",
        ),
        Rule(
            f"!has(self.pooler.serverPodSelector) || self.pooler.mode != 'External' && {_CAN_POOL}",
            lambda spec: spec.pooler.server_pod_selector is None or spec.runs_pooler,
            "pooler.serverPodSelector needs a pooler that the operator runs: write `database`, pooler.authSecretRef "
            "and pooler.mode Auto or Always; or remove serverPodSelector",
            "pooler.serverPodSelector",
        ),
    )

    @property
    def can_pool(self) -> bool:
        """Whether workloads can be sent to a pooler, and back to the server."""
        if self.database is None or self.pooler.mode is PoolerMode.NEVER:
            return False
        return self.pooler.mode is PoolerMode.EXTERNAL or self.pooler.auth_secret_ref is not None

    @property
    def runs_pooler(self) -> bool:
        """Whether the operator may run a pooler for them."""
        return self.can_pool and self.pooler.mode is not PoolerMode.EXTERNAL
