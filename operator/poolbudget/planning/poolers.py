"""The pooler of a budget by its spec alone: whether there is one, where it is, and what it claims of the server.

`planning.settings` sends pods to its endpoint, `planning.plan` divides with its claim, and what the operator runs (a
Service and the pods behind it) has the name that `service_name` gives.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from poolbudget.api.server import DEFAULT_REPLICAS
from poolbudget.api.v1alpha1 import PoolBudgetSpec, PoolerMode, Route, Workload, WorkloadMode
from poolbudget.planning.divide import Claim
from poolbudget.planning.model import Budget, BudgetKey, PoolerPlan, WorkloadKey

BEHIND_A_POOLER = frozenset({WorkloadMode.POOLED, WorkloadMode.NULL_POOL})

PORT = 6432
SUFFIX = "-pooler"
MOST_CHARACTERS = 52
"""Of the name: a StatefulSet's pods carry it in a label of at most 63, with an 11-character hash behind it."""
HASH_CHARACTERS = 8
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""What the API server takes as the name of a Service (RFC 1035)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where clients connect to. `external`: somebody else runs it."""

    host: str
    port: int
    prepared_statements: bool
    external: bool


def endpoint(budget: BudgetKey, spec: PoolBudgetSpec) -> Endpoint | None:
    """Return where the pooler of a budget is, None where it cannot have one.

    One that the operator runs needs to know the server and how its users log in.
    """
    pooler = spec.pooler
    if pooler.mode is PoolerMode.EXTERNAL and pooler.external is not None:
        there = pooler.external
        return Endpoint(there.host, there.port, there.prepared_statements, external=True)
    if not spec.can_pool:
        return None
    return Endpoint(
        f"{service_name(budget.name)}.{budget.namespace}.svc", PORT, prepared_statements=True, external=False
    )


def service_name(budget: str) -> str:
    """Return the name of what the operator runs for a budget of this name.

    One that is too long or no name of a Service is told apart by its hash.
    """
    name = f"{budget}{SUFFIX}"
    if SERVICE_NAME.fullmatch(name) and len(name) <= MOST_CHARACTERS:
        return name
    digest = sha256(budget.encode()).hexdigest()[:HASH_CHARACTERS]
    stem = re.sub(r"[^a-z0-9]+", "-", budget).lstrip("-0123456789") or "budget"
    room = MOST_CHARACTERS - len(SUFFIX) - HASH_CHARACTERS - 1
    return f"{stem[:room].rstrip('-')}-{digest}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Client:
    """What a workload behind a pooler counts for: `connections` at its peak, and the weights of all its processes."""

    connections: int
    weight: int


@dataclass(frozen=True, slots=True)
class Pooler:
    """A pooler that stands in front of a server, and what each of its `replicas` may take: `least` to `most`.

    An external one counts as one replica that always takes all of it.
    """

    key: WorkloadKey
    endpoint: Endpoint
    replicas: int
    least: int
    most: int | None

    @property
    def minimum(self) -> int:
        """What is set aside for it, whether anybody is behind it or not."""
        return self.replicas * self.least

    def claim(self, clients: Iterable[Client]) -> Claim:
        """Return what it claims, for each of its replicas, with these behind it.

        It grows like the direct pools of the processes behind it would: a connection for it counts as one for each of
        them. More than all of them can open is of no use.
        """
        behind = list(clients)
        useful = -(-sum(client.connections for client in behind) // self.replicas)
        ceiling = min(useful, self.most) if self.most is not None else useful
        weight = -(-sum(client.weight for client in behind) // self.replicas)
        return Claim(self.key, self.least, max(self.least, ceiling), max(1, weight), step=self.replicas, fixed=0)

    def plan(self, share: int, clients: Iterable[Client]) -> PoolerPlan:
        """Return its plan with a share for each of its replicas."""
        return PoolerPlan(
            host=self.endpoint.host,
            port=self.endpoint.port,
            connections=self.replicas * share,
            clients=sum(client.connections for client in clients),
            replicas=0 if self.endpoint.external else self.replicas,
            prepared_statements=self.endpoint.prepared_statements,
            external=self.endpoint.external,
        )


def pooler(budget: Budget) -> Pooler | None:
    """Return the pooler of a budget, None if nothing can come to be behind it.

    One that the operator runs is there before it is needed: on a server that is fully committed, nothing could be
    moved to one that has nothing.
    """
    there, declared = endpoint(budget.key, budget.spec), budget.spec.pooler
    key = WorkloadKey(*budget.key, "")
    if there is None:
        return None
    if declared.external is not None:
        return Pooler(key, there, 1, declared.external.connections, declared.external.connections)
    if not any(_may_be_behind(workload) for workload in budget.spec.workloads):
        return None
    replicas = declared.replicas or DEFAULT_REPLICAS
    most = None if declared.max_connections is None else max(1, declared.max_connections // replicas)
    least = max(1, -(-(declared.min_connections or 0) // replicas))
    return Pooler(key, there, replicas, least if most is None else min(least, most), most)


def clients_that_wait(spec: PoolBudgetSpec, plan: PoolerPlan) -> str:
    """Return how many clients get no connection of a pooler in session mode, and what to write; empty if all get one.

    There a client keeps its connection until it leaves, as a pool of the application does with all that it has open.
    """
    waiting, declared = plan.clients - plan.connections, spec.pooler
    if declared.pool_mode != "session" or waiting <= 0:
        return ""
    more = "pooler.maxConnections" if declared.max_connections else "maxConnections"
    keeps = f"in session mode each client keeps a connection, and the pooler has {plan.connections} for {plan.clients}"
    remedy = f"lower max of what is behind it, or raise {'external.connections' if plan.external else more}"
    return f"{keeps}, so that {waiting} may have to wait: {remedy}"


def _may_be_behind(workload: Workload) -> bool:
    return workload.mode is not WorkloadMode.DIRECT and workload.route is Route.ENV
