"""Grants by the published plan: what starts while no operator leads, for budgets with `admission: Available`.

`standin` calls `starts` with a budget as the API server has it. The plan is what the last leader wrote to its status;
it counts only if it was made for the spec as it is now and gives every workload at least its floor. A pod starts if its
workload has a place for it, and the budget room in all that was planned for its direct pods: those of an older plan, or
with sizes of their own, may hold more than their places are made for. What has ended cannot be proven without an
operator that watched it end, so pods that the cluster no longer shows are not counted here, and neither is what other
budgets of the server hold beyond their plan: that is what Available accepts and Strict does not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from poolbudget.api.v1alpha1 import PoolBudgetStatus, Workload, WorkloadMode, WorkloadStatus
from poolbudget.detection.processes import Processes
from poolbudget.ledger.model import CONNECTIONS_ANNOTATION, MODE_ANNOTATION, Ledger, Pod, Reservation
from poolbudget.ledger.triage import Verdict, setting_annotations, triage
from poolbudget.planning.model import Budget, PoolShare
from poolbudget.planning.modes import own_address
from poolbudget.planning.overrides import OverrideError, overrides
from poolbudget.planning.processes import pod_processes
from poolbudget.planning.profiles import effects, process_pools
from poolbudget.planning.settings import annotation_key, setting_values


@dataclass(frozen=True, slots=True)
class Start:
    """Write down the reservation, then write the annotations and open the gate."""

    pod: Pod
    reservation: Reservation
    annotations: Mapping[str, str]


def starts(budget: Budget, status: PoolBudgetStatus, ledger: Ledger, pods: Sequence[Pod]) -> list[Start]:
    """Return which of the budget's `pods` start now: those that the ledger holds, and others up to the planned."""
    if not _is_current(budget, status):
        return []
    live = [pod for pod in pods if not pod.ended]
    room = _room(status, ledger, live)
    found = []
    for planned in status.workloads:
        workload = next(w for w in budget.spec.workloads if w.name == planned.name)
        mine = [pod for pod in live if pod.workload.workload == planned.name]
        held = [pod for pod in mine if not pod.gates or pod.uid in ledger]
        for pod in _waiting(budget, mine):
            if not _is_as_planned(pod, workload, planned):
                continue
            reserved = ledger.get(pod.uid)
            start = _start(budget, workload, planned, pod, reserved)
            needed = start.reservation.connections
            if reserved is None and _has_place(pod, held, planned) and needed <= max(room, 0):
                held.append(pod)
                room -= needed
                found.append(start)
            elif reserved == start.reservation:
                found.append(start)
    return found


def _is_current(budget: Budget, status: PoolBudgetStatus) -> bool:
    fits = any(c.type == "WorkloadsFit" and c.status == "True" for c in status.conditions)
    is_served = all(c.reason != "SameServer" for c in status.conditions)
    return fits and is_served and status.observed_generation == budget.generation


def _room(status: PoolBudgetStatus, ledger: Ledger, live: Iterable[Pod]) -> int:
    """Return what is left of all that is planned for direct pools; negative where the pods of older plans hold more."""
    planned = sum(workload.connections.planned for workload in status.workloads if workload.connections)
    return planned - sum(_held_directly(pod, ledger.get(pod.uid)) for pod in live)


def _held_directly(pod: Pod, reserved: Reservation | None) -> int:
    if reserved is not None:
        return 0 if reserved.sent_to_pooler else reserved.connections
    return (pod.connections or 0) if pod.mode is WorkloadMode.DIRECT else 0


def _waiting(budget: Budget, pods: Iterable[Pod]) -> list[Pod]:
    # The labels of namespaces are not read here: pods of selected namespaces wait for an operator.
    waiting = [pod for pod in pods if pod.waits and triage(pod, {budget.key: budget.spec}, {}) is Verdict.SIZE]
    return sorted(waiting, key=lambda pod: (-pod.priority, pod.created, pod.uid))


def _is_as_planned(pod: Pod, workload: Workload, planned: WorkloadStatus) -> bool:
    """Whether the plan was made for pods like this one.

    A new revision may run more processes, or set sizes or, behind a pooler, the address itself.
    """
    processes = pod_processes(workload, pod.spec)
    if not isinstance(processes, Processes) or processes.count != planned.processes:
        return False
    if planned.mode is not WorkloadMode.DIRECT and own_address(workload, pod.spec):
        return False
    try:
        own = overrides(workload, pod.spec)
    except OverrideError:
        return False
    pools = _pools(planned)
    share = effects(workload).pools * sum(pool.size + pool.overflow for pool in pools)
    return (
        own.bounds(share, share) == (share, share) and process_pools(workload, share, own.pools, planned.mode) == pools
    )


def _pools(planned: WorkloadStatus) -> tuple[PoolShare, ...]:
    sizes = planned.pools or ([planned.pool] if planned.pool else [])
    return tuple(PoolShare(pool.name or "", pool.size, pool.overflow) for pool in sizes)


def _has_place(pod: Pod, held: Sequence[Pod], planned: WorkloadStatus) -> bool:
    if planned.pods is None:
        return False
    replaces = any(other.revision != pod.revision for other in held)
    return len(held) < (planned.pods.peak if replaces else planned.pods.steady)


def _start(
    budget: Budget, workload: Workload, planned: WorkloadStatus, pod: Pod, reserved: Reservation | None
) -> Start:
    """Return the start of a pod as it is planned: what a leader has charged for one that it moved stays charged."""
    may_be_moved = planned.mode is WorkloadMode.POOLED and workload.mode is WorkloadMode.AUTO
    planned_connections = planned.connections.per_pod if planned.connections else 0
    connections = reserved.connections if reserved and reserved.unseen and may_be_moved else planned_connections
    values = setting_values(budget.key, budget.spec, workload, _pools(planned), planned.mode)
    settings = {annotation_key(variable): value for variable, value in values.items()}
    return Start(
        pod,
        Reservation(pod.uid, connections, pod.namespace, pod.name, pod.workload, unseen=may_be_moved),
        {
            CONNECTIONS_ANNOTATION: str(connections),
            MODE_ANNOTATION: planned.mode,
            **{key: value for key, value in settings.items() if key in setting_annotations(pod)},
        },
    )
