"""Pods that are in another mode than planned: what stays charged for them, and what the status says. Pure.

A pod never changes its mode: what it was started with is in its environment. `reconcile` charges poolers with
`with_poolers_in_use`, and `report` asks `with_modes` for every workload; update mode Recreate rolls such workloads
itself (`ledger.reasons`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from poolbudget.api.v1alpha1 import TargetReference, WorkloadMode, WorkloadStatus
from poolbudget.ledger.model import Ledger, Pod, Reservation
from poolbudget.planning.model import Budget, ServerPlan, WorkloadPlan
from poolbudget.planning.poolers import pooler

RESTARTED = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""Kinds that `kubectl rollout restart` knows."""
ENDING = frozenset({"Job", "CronJob", "ScaledJob"})
"""Kinds whose pods end by themselves."""

Excess = tuple[Reservation, int]
"""A pod's reservation, and the connections that it holds at the server."""


def with_poolers_in_use(plan: ServerPlan, budgets: Iterable[Budget], ledger: Ledger) -> ServerPlan:
    """Return the plan with the poolers, too, of budgets that get nothing while pods are still behind them."""
    behind = {entry.workload.budget_key for entry in ledger.values() if entry.sent_to_pooler} - plan.poolers.keys()
    left = {budget.key: found for budget in budgets if budget.key in behind and (found := pooler(budget))}
    return replace(plan, poolers={**plan.poolers, **{key: found.plan(found.least, ()) for key, found in left.items()}})


def of_another_mode(plan: WorkloadPlan, pods: Iterable[Pod]) -> list[Pod]:
    """Return the granted pods of the workload that stay and were started in another mode than planned."""
    mine = (pod for pod in pods if pod.workload == plan.key and pod.granted)
    return [pod for pod in mine if pod.mode is not plan.mode and not (pod.gates or pod.ended or pod.deleting)]


def with_modes(
    status: WorkloadStatus, plan: WorkloadPlan, others: Sequence[Pod], exceeding: Iterable[Excess]
) -> WorkloadStatus:
    """Name the pods that bypass the pooler; else those of another mode, which only a rollout brings to the planned one.

    `others`: pods of another mode that nobody but a person replaces.
    """
    if bypassing := [bypassed(*excess) for excess in exceeding if _bypasses(plan, excess)]:
        return _said(status, "Bypassed", bypassing[0])
    if plan.fits and others and plan.workload.target.kind not in ENDING:
        return _said(status, "RolloutRequired", _rollout_required(plan, others))
    return status


def bypassed(reservation: Reservation, backends: int) -> str:
    """Say that a pod was granted a place behind the pooler, and connects to the server all the same."""
    holds = f"pod {reservation.pod} holds {backends} connections at the server itself"
    cause = "its application does not take host and port from the variables, or not everywhere"
    return f"{holds} and was granted a place behind the pooler: {cause}"


def _bypasses(plan: WorkloadPlan, excess: Excess) -> bool:
    reservation, _ = excess
    return reservation.workload == plan.key and reservation.sent_to_pooler


def _rollout_required(plan: WorkloadPlan, others: Sequence[Pod]) -> str:
    count, held = len(others), sum(pod.connections or 0 for pod in others if pod.mode is WorkloadMode.DIRECT)
    started = " and ".join(sorted({pod.mode or WorkloadMode.DIRECT for pod in others}))
    pods = f"{count} pods were" if count > 1 else f"pod {others[0].name} was"
    holds = f" and {'hold' if count > 1 else 'holds'} {held} connections" if held else ""
    return f"{pods} started {started}{holds}: {_remedy(plan.workload.target, plan.key.namespace)} for mode {plan.mode}"


def _remedy(target: TargetReference, namespace: str) -> str:
    if target.kind in RESTARTED:
        return f"run kubectl rollout restart {target.kind.lower()}/{target.name} -n {namespace}"
    return f"roll the {target.kind} {target.name}"


def _said(status: WorkloadStatus, reason: str, message: str) -> WorkloadStatus:
    said = f"{message}; {status.message}" if status.message else message
    return status.model_copy(update={"reason": reason, "message": said})
