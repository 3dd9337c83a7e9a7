"""What one workload claims, from its spec and its target; or why it cannot be planned.

`planning.plan` sizes every workload of a server with `size`, divides, and then asks `planned` or `refused` for the
result.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from poolbudget.api.v1alpha1 import PoolBudgetSpec, PoolerMode, Workload, WorkloadMode
from poolbudget.detection.processes import Unknown
from poolbudget.planning.demand import ceilings, most_connections
from poolbudget.planning.divide import Claim
from poolbudget.planning.model import Budget, BudgetKey, Target, TargetKey, Wish, WorkloadKey, WorkloadPlan
from poolbudget.planning.overrides import OverrideError, Overrides, overrides
from poolbudget.planning.processes import pod_processes
from poolbudget.planning.profiles import effects, misfit, process_pools
from poolbudget.planning.profiles import floor as profile_floor
from poolbudget.planning.replicas import exceeding, wishes
from poolbudget.planning.targets import TARGETS

DEFAULT_FLOOR = 2
POOLED_MODES = frozenset({WorkloadMode.POOLED, WorkloadMode.NULL_POOL})
POOLING = frozenset({PoolerMode.ALWAYS, PoolerMode.EXTERNAL})
NEVER_SURGES = frozenset({"StatefulSet", "ReplicaSet", "DaemonSet", "Job", "CronJob", "ScaledJob"})
"""Kinds whose rollout starts no pod beside the old ones unless the object says so (a DaemonSet's maxSurge)."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A workload that can be planned. `limits`: connections per process, by the field of the spec that sets each.

    `most`: the workload's `max` in connections. `own`: what its containers set themselves.
    """

    claim: Claim
    budget: BudgetKey
    workload: Workload
    processes: int
    steady: int
    peak: int
    desired: int
    limits: Mapping[str, int]
    most: int | None
    revision: str | None
    wishes: tuple[Wish, ...]
    own: Overrides

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


def size(budget: Budget, workload: Workload, target: Target | None) -> Sized | WorkloadPlan:
    """Return what a workload claims; or its plan, with the reason, where that cannot be told."""
    key = WorkloadKey(budget.key.namespace, budget.key.name, workload.name)
    if message := _not_yet_supported(budget.spec, workload):
        return _unplanned(key, workload, "NotYetSupported", message, target)
    if message := misfit(workload, target.template if target else None):
        return _unplanned(key, workload, "InvalidProfile", message, target)
    if target is None and (workload.processes is None or workload.max_pods is None):
        return _unplanned(key, workload, "TargetNotFound", _target_not_found(budget, workload), target)
    processes = pod_processes(workload, target.template if target else None)
    if isinstance(processes, Unknown):
        return _unplanned(key, workload, "ProcessesUnknown", processes.message, target)
    try:
        own = overrides(workload, target.template if target else None)
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
        processes=processes.count,
        steady=steady,
        peak=peak,
        desired=target.desired if target else 0,
        limits=limits,
        most=most,
        revision=target.revision if target else None,
        wishes=wishes(target) if target else (),
        own=own,
    )


def planned(sized: Sized, share: int, safe_max_replicas: int) -> WorkloadPlan:
    """Return the plan of a workload that gets `share` connections for each process."""
    each = f"each of {sized.processes} processes" if sized.processes > 1 else "its process"
    why = _why(sized, share)
    pools = effects(sized.workload).pools
    # Equal pools leave a remainder that none of them can have.
    share = max(share - share % pools, sized.claim.floor)
    among = f" in {pools} equal pools" if pools > 1 else ""
    message = f"{each} of a pod gets {share} connections{among}, {why}"
    reason = "Overridden" if sized.own.pools else "FitsDirectly"
    message = sized.own.added_to(message)
    return _plan(sized, reason, message, share=share, fits=True, safe_max_replicas=safe_max_replicas)


def refused(sized: Sized, reason: str, message: str, safe_max_replicas: int) -> WorkloadPlan:
    """Return the plan of a workload that gets nothing: it shows the floor."""
    return _plan(sized, reason, message, share=sized.claim.floor, fits=False, safe_max_replicas=safe_max_replicas)


def _why(sized: Sized, share: int) -> str:
    if sized.own.is_fixed:
        return "as its variables say"
    if share < sized.claim.ceiling:
        return "its part of what is usable"
    return f"limited by {min(sized.limits, key=lambda name: sized.limits[name])}"


def _plan(sized: Sized, reason: str, message: str, *, share: int, fits: bool, safe_max_replicas: int) -> WorkloadPlan:
    workload = sized.workload
    per_pod = sized.processes * share + workload.extra_per_pod
    return WorkloadPlan(
        key=sized.key,
        workload=workload,
        mode=WorkloadMode.DIRECT,
        reason=reason,
        message=message,
        fits=fits,
        processes=sized.processes,
        steady=sized.steady,
        peak=sized.peak,
        desired=sized.desired,
        floor=sized.claim.floor,
        share=share,
        pools=process_pools(workload, share, sized.own.pools),
        per_pod=per_pod,
        clients_per_pod=per_pod,
        planned=sized.peak * per_pod if fits else 0,
        safe_max_replicas=safe_max_replicas,
        revision=sized.revision,
        exceeding=exceeding(sized.wishes, workload.max_pods, safe_max_replicas, fits=fits),
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


def _not_yet_supported(spec: PoolBudgetSpec, workload: Workload) -> str:
    """Return what of the workload cannot be honoured yet, and what to write instead; empty if all can."""
    if workload.mode in POOLED_MODES:
        return f"mode {workload.mode} is not supported yet: write Auto or Direct"
    if workload.mode is WorkloadMode.AUTO and spec.pooler.mode in POOLING:
        return (
            f"pooler.mode {spec.pooler.mode} is not supported yet: write Auto or Never, or mode Direct in the workload"
        )
    return ""


def _target_not_found(budget: Budget, workload: Workload) -> str:
    target = workload.target
    remedy = "correct `targetRef`, or set both `maxPods` and `processes` of the workload"
    if target.kind not in TARGETS:
        return f"targetRef.kind {target.kind} is none of {', '.join(TARGETS)}: {remedy}"
    return f"there is no {target.kind} {budget.key.namespace}/{target.name}: {remedy}"


def target_key(budget: Budget, workload: Workload) -> TargetKey:
    """Return which controller a workload names."""
    return TargetKey(workload.target.kind, budget.key.namespace, workload.target.name)
