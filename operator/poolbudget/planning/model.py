"""The values that planning takes and gives. `planning.plan` fills them in; operator, webhook and CLI read them.

All numbers are connections unless the name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from poolbudget.api.v1alpha1 import PoolBudgetSpec, Workload, WorkloadMode
from poolbudget.detection.podspec import PodSpec


class BudgetKey(NamedTuple):
    """Which PoolBudget."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class WorkloadKey(NamedTuple):
    """Which workload of which PoolBudget; sorts by namespace, budget, workload."""

    namespace: str
    budget: str
    workload: str

    @property
    def budget_key(self) -> BudgetKey:
        """The budget that the workload belongs to."""
        return BudgetKey(self.namespace, self.budget)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.budget}/{self.workload}"


class TargetKey(NamedTuple):
    """Which controller: `kind` alone tells it apart, as the API groups of the supported kinds share none."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Budget:
    """A PoolBudget. `created` is its creationTimestamp (RFC 3339) or, offline, its place in the input and no `uid`."""

    key: BudgetKey
    spec: PoolBudgetSpec
    generation: int = 1
    created: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """How many pods an object asks for: `name` is its kind and name, `field` where it says so."""

    name: str
    field: str
    pods: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a live controller replaces its pods, and how far it is with its newest template.

    `labels` are those of ours on the template, `restarted_at` (RFC 3339) and `labelled` (how often the labels were
    added) our annotations. `obstacle`: why a new template does not replace the pods, empty if it does. `outdated`: pods
    of an older template are left, or the controller has not noticed the newest yet. `desired`: the pods that it wants;
    `pods`: the same, or those that it has while it has more; `available`: those that are ready; `spare`: how many of
    the desired may be missing during a rollout.
    """

    uid: str
    generation: int
    labels: Mapping[str, str]
    restarted_at: str
    labelled: int
    obstacle: str
    outdated: bool
    desired: int
    pods: int
    available: int
    spare: int

    @property
    def unready(self) -> int:
        """Pods that it wants, or has, and that are not available."""
        return max(0, self.pods - self.available)

    @property
    def endable(self) -> int:
        """How many available pods it may end before another new one is available."""
        return max(0, self.available - max(0, self.desired - self.spare))

    @property
    def lacking(self) -> int:
        """How many pods must become available before it may end one."""
        return max(0, self.desired - self.spare - self.available)


@dataclass(frozen=True, slots=True)
class Target:
    """What a controller says of its pods.

    `desired`: the pods that it wants now. `steady`: the most that it wants without a rollout (desired, or its
    autoscaler's maximum); None where the manifest cannot tell, then `unknown` says why and what to write. `surges`: a
    rollout starts a pod beside the old ones. `labels` are those of its pods, of kinds that disruption budgets select;
    `wishes` what autoscalers and disruption budgets ask for. `revision`: the label value that marks pods of its newest
    template, None where not known. `owner`: what made it, such as the Deployment of a ReplicaSet. `rollout` is None
    offline, and for kinds that do not replace their pods.
    """

    key: TargetKey
    desired: int
    steady: int | None
    surges: bool
    template: PodSpec | None
    unknown: str = ""
    revision: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    wishes: tuple[Wish, ...] = ()
    owner: TargetKey | None = None
    rollout: Rollout | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What the server says of itself. `reserved`: slots that it keeps from ordinary roles."""

    max_connections: int
    reserved: int


@dataclass(frozen=True, slots=True)
class PoolShare:
    """One pool of one process: SQLAlchemy's pool_size and max_overflow. `name` is empty where there is only one."""

    name: str
    size: int
    overflow: int


@dataclass(frozen=True, slots=True)
class PoolerPlan:
    """The pooler of one budget: where it is, and what it may take.

    `connections`: the most that it opens at the server over all its replicas: a constant charge, counted in
    `ServerPlan.planned`; `held`: what it is charged so far. `clients`: the connections to it of all behind it at peak.
    `external`: somebody else runs it, and `replicas` is 0. `lent`: what it leaves to pods that were not seen behind it
    yet, of workloads that Auto has `moved`.
    """

    host: str
    port: int
    connections: int
    clients: int
    replicas: int
    prepared_statements: bool
    external: bool
    lent: int = 0
    moved: frozenset[WorkloadKey] = frozenset()
    held: int = 0


@dataclass(frozen=True, slots=True)
class WorkloadPlan:
    """What one workload gets.

    `processes`: per pod. `share`: connections of one process over all its pools. `floor`: the least share it works
    with. `clients_per_pod` = processes x share + extra_per_pod is what a pod opens, at the server or at the pooler;
    `per_pod` is what of it the server sees: all of a Direct pod, nothing of one behind a pooler. `planned` = peak x
    per_pod is set aside for it. `workload` is as declared, with the connections that detection found outside the pools
    added to `extra_per_pod`. The `pools` of NullPool, which is none, are of one connection each.

    `fits` is False where the workload gets nothing and its pods wait: then `share`, `pools` and `per_pod` are those of
    its floor, as far as it is known, and `planned` is 0. `reason` and `message` always say why, `exceeding` what asks
    for more pods than that, `advice` what the application should do otherwise. `safe_max_replicas` is None where the
    server sets no bound. `clear_since`: since when a workload that Auto has moved behind a pooler could go back.
    """

    key: WorkloadKey
    workload: Workload
    mode: WorkloadMode
    reason: str
    message: str
    fits: bool
    processes: int | None
    steady: int
    peak: int
    desired: int
    floor: int
    share: int
    pools: tuple[PoolShare, ...]
    per_pod: int
    clients_per_pod: int
    planned: int
    safe_max_replicas: int | None
    revision: str | None = None
    exceeding: str = ""
    advice: str = ""
    clear_since: datetime | None = None

    def bound(self, processes: int, share: int) -> int:
        """Return the connections that a pod with `processes` processes may open at the server at `share` each."""
        return processes * share + self.workload.extra_per_pod if self.mode is WorkloadMode.DIRECT else 0


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """How one server is divided. `usable` may be negative: overcommitment is shown, never clamped.

    `needed` is what the floors of all workloads would take. `conflicts` are the budgets that no longer fit beside
    older ones. `observed` is what the plan took the server to have. `grantable` is usable or, while a smaller capacity
    was read and is not yet believed, what that would leave. `ordinary_reserve` is what sessions of nobody may hold for
    free: the reserve, less what the server keeps for itself. `poolers` are those of the budgets that fit.
    """

    usable: int
    planned: int
    needed: int
    workloads: Mapping[WorkloadKey, WorkloadPlan]
    conflicts: frozenset[BudgetKey] = frozenset()
    observed: Observed | None = None
    grantable: int = 0
    ordinary_reserve: int = 0
    poolers: Mapping[BudgetKey, PoolerPlan] = field(default_factory=dict)

    @property
    def for_poolers(self) -> int:
        """What all poolers may take of the server."""
        return sum(pooler.connections for pooler in self.poolers.values())

    @property
    def for_unnamed(self) -> int:
        """What sessions at addresses of no pod may hold for free: the reserve, and external poolers their share."""
        external = sum(pooler.connections for pooler in self.poolers.values() if pooler.external)
        return self.ordinary_reserve + external

    @property
    def fits(self) -> bool:
        """Whether every workload gets at least its floor."""
        return all(w.fits for w in self.workloads.values())
