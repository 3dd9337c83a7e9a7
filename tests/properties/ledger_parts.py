"""What the ledger's model is made of: controllers as they are declared, and what runs on nodes.

`ledger_world` puts them together, `ledger_controllers` lets controllers act.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import cache

from poolbudget.api.v1alpha1 import (
    Database,
    External,
    PoolBudgetSpec,
    Pooler,
    PoolerMode,
    Route,
    TargetReference,
    Workload,
)
from poolbudget.detection.podspec import Container, PodSpec, Variable
from poolbudget.planning.model import BudgetKey, Target, TargetKey, WorkloadKey
from poolbudget.planning.settings import annotation_key, setting_names

BUDGETS = (BudgetKey("shop", "orders"), BudgetKey("shop", "reports"))
"""Of one server; the first is the older one."""
DATABASE = Database(host="db")
ROUTED = Workload(name="api", route=Route.ENV)
SETTINGS = tuple(setting_names(PoolBudgetSpec(max_connections=20, database=DATABASE, workloads=[ROUTED]), ROUTED))
"""The variables of a workload that can be sent to a pooler."""
UNLIMITED = 1_000_000
"""What a process opens whose pool size is 0 or less."""


@cache
def template(processes: int) -> PodSpec:
    """Return a pod spec that detection reads as this many processes, with its settings as the webhook injects them."""
    env = tuple(Variable(name, None, annotation_key(name)) for name in SETTINGS)
    return PodSpec((Container("app", command=("uvicorn", "app:app", "--workers", str(processes)), env=env),))


@dataclass
class Controller:
    """A controller's declared state, with maxSurge and maxUnavailable.

    `sizes`: pods wanted of each revision; `history`: processes of each revision; `extra`: what each pod opens outside
    its pools.
    """

    name: str
    kind: str
    replicas: int
    surge: int
    unavailable: int
    processes: int
    revision: int = 1
    autoscaler_max: int | None = None
    recreates: bool = False
    budget: BudgetKey = BUDGETS[0]
    extra: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    history: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history[self.revision] = self.processes

    def roll(self, processes: int) -> None:
        """Change the template."""
        self.revision += 1
        self.processes = self.history[self.revision] = processes

    @property
    def key(self) -> WorkloadKey:
        return WorkloadKey(*self.budget, self.name)

    @property
    def target(self) -> Target:
        steady = max(self.replicas, self.autoscaler_max or 0)
        target_key = TargetKey(self.kind, self.budget.namespace, self.name)
        surges = bool(self.surge) and not self.recreates
        return Target(target_key, self.replicas, steady, surges, template(self.processes), revision=f"r{self.revision}")


@dataclass
class Process:
    """What runs on a node. `bound`: the most that it may open at the server, by the settings it was started with."""

    bound: int
    address: str
    node: str
    held: int


def workload(controller: Controller, **fields: object) -> Workload:
    """Return the budget's entry for a controller."""
    reference = TargetReference(kind=controller.kind, name=controller.name)
    made = Workload(name=controller.name, target_ref=reference, route=Route.ENV, extra_per_pod=controller.extra)
    return made.model_copy(update=fields)


def pooler(connections: int) -> Pooler:
    """Return a pooler that somebody else runs and that may take so many connections; with 0 there is none."""
    if not connections:
        return Pooler(mode=PoolerMode.NEVER)
    return Pooler(mode=PoolerMode.EXTERNAL, external=External(host="pgbouncer", connections=connections))
