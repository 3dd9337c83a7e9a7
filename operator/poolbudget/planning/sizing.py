"""What one workload claims, from its spec and its target; or why it cannot be planned.

`planning.plan` sizes every workload of a server with `size`, divides, and then asks `planning.results` for what each
gets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from poolbudget.api.v1alpha1 import Workload, WorkloadMode
from poolbudget.detection.processes import Unknown
from poolbudget.planning.demand import ceilings, most_connections
from poolbudget.planning.divide import Claim
from poolbudget.planning.model import Budget, BudgetKey, Target, TargetKey, WorkloadKey, WorkloadPlan
from poolbudget.planning.modes import Stance, stance, unroutable
from poolbudget.planning.overrides import OverrideError, Overrides, overrides
from poolbudget.planning.poolers import BEHIND_A_POOLER, Client
from poolbudget.planning.processes import pod_processes
from poolbudget.planning.profiles import effects, misfit
from poolbudget.planning.profiles import floor as profile_floor
from poolbudget.planning.targets import TARGETS

DEFAULT_FLOOR = 2
NEVER_SURGES = frozenset({"StatefulSet", "ReplicaSet", "DaemonSet", "Job", "CronJob", "ScaledJob"})
"""Kinds whose rollout starts no pod beside the old ones unless the object says so (a DaemonSet's maxSurge)."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A workload that can be planned. `limits`: connections per process, by the field of the spec that sets each.

    `target` is None where the spec alone says all. `most`: the workload's `max` in connections. `own`: what its
    containers set themselves.
    """

    claim: Claim
    budget: BudgetKey
    workload: Workload
    target: Target | None
    processes: int
    steady: int
    peak: int
    limits: Mapping[str, int]
    most: int | None
    own: Overrides
    stance: Stance

    @property
    def key(self) -> WorkloadKey:
        """Which workload."""
        return self.claim.key

    @property
    def fits_its_max(self) -> bool:
        """Whether the workload's own `max` holds its floor."""
        return self.claim.floor <= self.claim.ceiling

    @property
    def pod_floor(self) -> int:
        """What one pod takes at the floor."""
        return self.processes * self.claim.floor + self.workload.extra_per_pod

    def possible(self, share: int) -> int:
        """Return what of a share a process can have: equal pools leave a remainder that none of them can."""
        return max(share - share % effects(self.workload).pools, self.claim.floor)

    @property
    def client(self) -> Client:
        """What it counts for behind a pooler: there its processes have all that they may."""
        claim = self.claim
        return Client(claim.fixed + claim.step * self.possible(claim.ceiling), claim.step * claim.weight)


def size(budget: Budget, workload: Workload, target: Target | None) -> Sized | WorkloadPlan:
    """Return what a workload claims; or its plan, with the reason, where that cannot be told."""
    key = WorkloadKey(budget.key.namespace, budget.key.name, workload.name)
    pod = target.template if target else None
    if message := misfit(workload, pod):
        return _unplanned(key, workload, "InvalidProfile", message, target)
    if workload.mode in BEHIND_A_POOLER and (obstacle := unroutable(budget.spec, workload, pod)):
        return _unplanned(key, workload, "Unroutable", obstacle, target)
    if target is None and (workload.processes is None or workload.max_pods is None):
        return _unplanned(key, workload, "TargetNotFound", _target_not_found(budget, workload), target)
    processes = pod_processes(workload, pod)
    if isinstance(processes, Unknown):
        return _unplanned(key, workload, "ProcessesUnknown", processes.message, target)
    try:
        own = overrides(workload, pod)
    except OverrideError as error:
        return _unplanned(key, workload, "OverrideUnknown", str(error), target, processes.count)
    steady = workload.max_pods or (target.steady if target else None)
    if steady is None and target is not None and target.steady is None:
        return _unplanned(key, workload, "ReplicasUnknown", target.unknown, target, processes.count)
    steady = max(1, steady or 0)
    surges = target.surges if target else workload.target.kind not in NEVER_SURGES
    peak = steady + surges
    of_profile = effects(workload)
    default_floor = min(1 if processes.prefork else DEFAULT_FLOOR, workload.max_per_process)
    floor = max(workload.min_per_process or default_floor, len(workload.pools or ()), profile_floor(of_profile))
    floor, _ = own.bounds(floor, floor)
    if extra := processes.extra + of_profile.extra_per_pod:
        workload = workload.model_copy(update={"extra_per_pod": workload.extra_per_pod + extra})
    most = most_connections(workload.max, budget.spec.max_connections)
    limits = ceilings(workload, most, floor=floor, steady=steady, peak=peak, processes=processes.count)
    if own.is_fixed:
        limits = {"its variables": floor} | {name: limit for name, limit in limits.items() if name == "max"}
    claim = Claim(
        key,
        floor,
        ceiling=min(limits.values()),
        weight=workload.weight,
        step=peak * processes.count,
        fixed=peak * workload.extra_per_pod,
    )
    return Sized(
        claim=claim,
        budget=budget.key,
        workload=workload,
        target=target,
        processes=processes.count,
        steady=steady,
        peak=peak,
        limits=limits,
        most=most,
        own=own,
        stance=stance(budget.key, budget.spec, workload, target, processes.count),
    )


def _unplanned(
    key: WorkloadKey, workload: Workload, reason: str, message: str, target: Target | None, processes: int | None = None
) -> WorkloadPlan:
    steady = workload.max_pods or (target.steady if target and target.steady is not None else 0)
    return WorkloadPlan(
        key=key,
        workload=workload,
        mode=WorkloadMode.DIRECT if workload.mode is WorkloadMode.AUTO else workload.mode,
        reason=reason,
        message=message,
        fits=False,
        processes=processes or workload.processes,
        steady=steady,
        peak=steady + bool(steady and target and target.surges),
        desired=target.desired if target else 0,
        floor=0,
        share=0,
        pools=(),
        per_pod=0,
        clients_per_pod=0,
        planned=0,
        safe_max_replicas=0,
        revision=target.revision if target else None,
    )


def _target_not_found(budget: Budget, workload: Workload) -> str:
    target = workload.target
    remedy = "correct `targetRef`, or set both `maxPods` and `processes` of the workload"
    if target.kind not in TARGETS:
        return f"targetRef.kind {target.kind} is none of {', '.join(TARGETS)}: {remedy}"
    return f"there is no {target.kind} {budget.key.namespace}/{target.name}: {remedy}"


def target_key(budget: Budget, workload: Workload) -> TargetKey:
    """Return which controller a workload names."""
    return TargetKey(workload.target.kind, budget.key.namespace, workload.target.name)
