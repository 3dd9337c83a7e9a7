"""A plan as the status of its budgets, for `poolbudget plan` and for the operator, which fills in live figures.

`report` and `cli.plan` call `planned_status`; what a spec asks for and nothing acts on yet is named by
`not_yet_supported`.
"""

from collections.abc import Callable

from poolbudget.api.v1alpha1 import (
    CapacityStatus,
    ConnectionsStatus,
    PodsStatus,
    PoolBudgetSpec,
    PoolBudgetStatus,
    PoolerStatus,
    PoolSize,
    TuningMode,
    UpdateMode,
    WorkloadMode,
    WorkloadStatus,
)
from poolbudget.planning.model import Budget, PoolerPlan, ServerPlan, WorkloadKey, WorkloadPlan
from poolbudget.planning.poolers import BEHIND_A_POOLER, clients_that_wait

RFC3339 = "%Y-%m-%dT%H:%M:%SZ"

UPDATE_MODES = frozenset({UpdateMode.OFF, UpdateMode.INITIAL, UpdateMode.RECREATE})

UNSUPPORTED: tuple[tuple[Callable[[PoolBudgetSpec], bool], str], ...] = (
    (lambda spec: spec.update_mode not in UPDATE_MODES, "updateMode: pods are sized as they start, as with Initial"),
    (lambda spec: spec.tuning.mode is not TuningMode.OFF, "tuning: nothing is tuned, as with Off"),
)
"""Of a budget: what it asks for and nothing acts on yet, and what happens instead."""


def planned_status(budget: Budget, plan: ServerPlan) -> PoolBudgetStatus:
    """Return the status of one budget of a planned server, with live figures 0 and without conditions."""
    spec = budget.spec
    capacity = CapacityStatus(
        declared=spec.max_connections,
        observed=plan.observed.max_connections if plan.observed else None,
        reserved=max(spec.reserved_connections, plan.observed.reserved if plan.observed else 0),
        usable=plan.usable,
        planned=sum(at_peak(w) for w in plan.workloads.values()) + sum(p.connections for p in plan.poolers.values()),
        committed=0,
        in_use=0,
    )
    keys = [WorkloadKey(*budget.key, workload.name) for workload in spec.workloads]
    pooler = plan.poolers.get(budget.key)
    waiting = clients_that_wait(spec, pooler) if pooler else ""
    return PoolBudgetStatus(
        capacity=capacity,
        pooler=_pooler_status(pooler) if pooler else None,
        workloads=[_workload_status(plan.workloads[key], waiting) for key in keys],
    )


def at_peak(workload: WorkloadPlan) -> int:
    """Return what all pods of a workload may open; where it does not fit, what they would need at the floor."""
    return workload.peak * workload.per_pod


def workloads_fit(budget: Budget, plan: ServerPlan) -> tuple[bool, str, str]:
    """Return status, reason and message of the condition WorkloadsFit; the message has all advice, too."""
    mine = [workload for key, workload in sorted(plan.workloads.items()) if key.budget_key == budget.key]
    unfit = [workload for workload in mine if not workload.fits]
    if not unfit:
        advice = (f"{workload.key.workload}: {workload.advice}" for workload in mine if workload.advice)
        return True, "WorkloadsFit", "; ".join(("every process gets at least its floor", *advice))
    messages: dict[str, list[str]] = {}
    for workload in unfit:
        messages.setdefault(workload.message, []).append(workload.key.workload)
    return False, unfit[0].reason, "; ".join(f"{', '.join(names)}: {message}" for message, names in messages.items())


def not_yet_supported(budget: Budget) -> list[str]:
    """Return what of the budget nothing acts on yet, and what happens instead.

    Modes and profiles stand at their workload.
    """
    spec = budget.spec
    found = [message for asks_for, message in UNSUPPORTED if asks_for(spec)]
    late = [w.name for w in spec.workloads if w.update_mode not in {None, *UPDATE_MODES}]
    if late:
        found.append(f"updateMode of {', '.join(late)}: pods are sized as they start, as with Initial")
    return found


def _pooler_status(plan: PoolerPlan) -> PoolerStatus:
    return PoolerStatus(
        host=plan.host,
        port=plan.port,
        connections=plan.connections,
        clients=plan.clients,
        replicas=None if plan.external else plan.replicas,
    )


def _workload_status(plan: WorkloadPlan, waiting: str) -> WorkloadStatus:
    """Return the status of one workload; `waiting`: what is said of those that are behind the pooler."""
    reason = "ReplicasExceedBudget" if plan.fits and plan.exceeding else plan.reason
    behind = waiting if plan.fits and plan.mode in BEHIND_A_POOLER else ""
    message = "; ".join(part for part in (plan.message, plan.exceeding, plan.advice, behind) if part)
    status = WorkloadStatus(
        name=plan.workload.name, mode=plan.mode, reason=reason, message=message, processes=plan.processes
    )
    if plan.steady:
        status = status.model_copy(update={"pods": PodsStatus(steady=plan.steady, peak=plan.peak)})
    if not plan.pools:
        return status
    pools = [PoolSize(name=pool.name or None, size=pool.size, overflow=pool.overflow) for pool in plan.pools]
    return status.model_copy(
        update={
            "pool": pools[0] if len(pools) == 1 else None,
            "pools": pools if len(pools) > 1 else None,
            "connections": ConnectionsStatus(
                per_pod=plan.per_pod,
                clients_per_pod=None if plan.mode is WorkloadMode.DIRECT else plan.clients_per_pod,
                planned=at_peak(plan),
                committed=0,
                in_use=0,
            ),
            "safe_max_replicas": plan.safe_max_replicas,
            "clear_since": plan.clear_since.strftime(RFC3339) if plan.clear_since else None,
        }
    )
