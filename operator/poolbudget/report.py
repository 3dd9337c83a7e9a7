"""What a budget's status says: the plan, what is granted and seen now, and conditions that a person can act on. Pure.

`reconcile` calls `live_status` at the end of a round; `act.status` writes it if it differs.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from poolbudget.api.conditions import NewCondition
from poolbudget.api.v1alpha1 import PoolBudgetStatus, UpdateMode, WorkloadStatus
from poolbudget.ledger.adoption import with_unmanaged
from poolbudget.ledger.books import Books
from poolbudget.ledger.decide import Snapshot
from poolbudget.ledger.model import Decision, Pod, Reservation
from poolbudget.ledger.modes import bypassed, of_another_mode, with_modes
from poolbudget.ledger.rollouts import Note
from poolbudget.planning.model import Budget, BudgetKey, Observed, WorkloadKey
from poolbudget.planning.modes import NO_TROUBLE
from poolbudget.planning.status import not_yet_supported, planned_status, workloads_fit
from poolbudget.pooler.layout import PoolerState

UNCHECKED_CLIENTS = (
    "; it does not notice clients that vanish in the middle of a query, whose backends then run on beside new ones: set"
    " client_connection_check_interval (Postgres 14 or newer), 500ms for instance, or keep headroom"
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What one round found out about one server.

    `exceeding`: pods that keep holding more than is charged for them. `unscheduled`: granted pods that find no node.
    `blind`: why the database could not be read, as (reason, message). `checks_clients`: the server soon ends a backend
    whose client vanished. `notes`: what workloads say beside the plan. `poolers`: those that the operator runs;
    `charged`: what the ledger charges them, which may be less than planned.
    """

    snapshot: Snapshot
    decision: Decision
    books: Books | None
    exceeding: tuple[tuple[Reservation, int], ...] = ()
    unscheduled: tuple[Pod, ...] = ()
    blind: tuple[str, str] | None = None
    checks_clients: bool = True
    notes: Mapping[WorkloadKey, Note] = field(default_factory=dict)
    poolers: Mapping[BudgetKey, PoolerState] = field(default_factory=dict)
    charged: Mapping[BudgetKey, int] = field(default_factory=dict)

    @property
    def committed(self) -> int:
        """Everything that is charged: grants, poolers, unmanaged pods, and sessions that nothing covers."""
        external = sum(p.connections for p in self.snapshot.plan.poolers.values() if p.external)
        return self.decision.committed + external + sum(self.charged.values()) + self.snapshot.beside_grants


def live_status(budget: Budget, found: Findings) -> PoolBudgetStatus:
    """Return the planned status with the live figures filled in; the conditions come from `conditions`."""
    seen = found.snapshot
    status = planned_status(budget, seen.plan)
    granted: Counter[WorkloadKey] = Counter()
    for reservation in found.decision.ledger.values():
        granted[reservation.workload] += reservation.connections
    unmanaged = {charge.pod.uid for charge in seen.unmanaged}
    granted_pods = (p for p in seen.pods.values() if not p.gates and not p.ended and p.uid not in unmanaged)
    current = Counter(pod.workload for pod in granted_pods)
    waiting = Counter(wait.pod.workload for wait in found.decision.waits)

    def live(workload: WorkloadStatus) -> WorkloadStatus:
        key = WorkloadKey(*budget.key, workload.name)
        in_use = found.books.by_workload.get(key, 0) if found.books else None
        moving = with_modes(workload, seen.plan.workloads[key], _left_to_people(budget, found, key), found.exceeding)
        noted = _noted(moving, found.notes.get(key))
        filled = _filled(noted, current[key], waiting[key], granted[key], in_use)
        filled = _without_nodes(filled, [pod for pod in found.unscheduled if pod.workload == key])
        return with_unmanaged(filled, [c for c in seen.unmanaged if c.pod.workload == key])

    in_use_at_all = found.books.total if found.books else None
    capacity = status.capacity and status.capacity.model_copy(
        update={"committed": found.committed, "in_use": in_use_at_all}
    )
    waiting_here = sum(count for key, count in waiting.items() if key.budget_key == budget.key)
    return status.model_copy(
        update={"capacity": capacity, "workloads": [live(w) for w in status.workloads], "waiting": waiting_here}
    )


def _left_to_people(budget: Budget, found: Findings, key: WorkloadKey) -> list[Pod]:
    """Return the pods of another mode than planned that no rollout of ours replaces."""
    plan = found.snapshot.plan.workloads[key]
    rolls = (plan.workload.update_mode or budget.spec.update_mode) is UpdateMode.RECREATE
    return [] if rolls else of_another_mode(plan, found.snapshot.pods.values())


def conditions(budget: Budget, found: Findings) -> list[NewCondition]:
    """Return the conditions of the budget; Ready speaks for the first of the others that fails."""
    checked = [check(budget, found) for check in CHECKS] + _pooler_ready(budget, found)
    failing = next((c for c in checked if c.status is False and c.type != "CapacityObserved"), None)
    ready = (
        NewCondition("Ready", False, failing.reason, failing.message)
        if failing
        else NewCondition("Ready", True, "Ready", "every workload has its share")
    )
    unsupported = not_yet_supported(budget)
    reported = [NewCondition("NotYetSupported", True, "NotYetSupported", "; ".join(unsupported))] if unsupported else []
    return [ready, *checked, *reported]


def _within_budget(_: Budget, found: Findings) -> NewCondition:
    usable, committed = found.snapshot.plan.usable, found.committed
    if full := next((wait for wait in found.decision.waits if wait.reason == "LedgerFull"), None):
        return NewCondition("WithinBudget", False, full.reason, full.message)
    if committed > usable:
        message = f"{committed} of {usable} usable connections are committed, {committed - usable} too many: "
        message += "nothing more is granted until pods have ended"
        return NewCondition("WithinBudget", False, "OverCommitted", message)
    if found.exceeding:
        return NewCondition("WithinBudget", False, *_excess(*found.exceeding[0]))
    return NewCondition("WithinBudget", True, "WithinBudget", f"{usable} usable connections hold all that is committed")


def _excess(reservation: Reservation, backends: int) -> tuple[str, str]:
    """Return reason and message of a pod that holds more than it was granted."""
    if reservation.sent_to_pooler:
        return "Bypassed", bypassed(reservation, backends)
    message = f"pod {reservation.pod} holds {backends} connections and was granted {reservation.connections}: "
    message += "its application does not read the variables, or opens connections outside its pools (extraPerPod)"
    return "GrantExceeded", message


def _capacity_observed(_: Budget, found: Findings) -> NewCondition:
    if found.blind is not None:
        return NewCondition("CapacityObserved", None if found.blind[0] == "NotConfigured" else False, *found.blind)
    advice = "" if found.checks_clients else UNCHECKED_CLIENTS
    return NewCondition("CapacityObserved", True, "Observed", _observed(found.snapshot.plan.observed) + advice)


def _workloads_fit(budget: Budget, found: Findings) -> NewCondition:
    return NewCondition("WorkloadsFit", *workloads_fit(budget, found.snapshot.plan))


def _pooler_ready(budget: Budget, found: Findings) -> list[NewCondition]:
    """Return how the pooler is that the operator runs for the budget, if it runs one."""
    pooler = found.poolers.get(budget.key)
    return [NewCondition("PoolerReady", pooler.ready, pooler.reason, pooler.message)] if pooler else []


def _observed(observed: Observed | None) -> str:
    if observed is None:
        return "not read yet"
    return f"the server accepts {observed.max_connections} connections and keeps {observed.reserved} of them for itself"


CHECKS: tuple[Callable[[Budget, Findings], NewCondition], ...] = (_within_budget, _capacity_observed, _workloads_fit)


def _noted(workload: WorkloadStatus, note: Note | None) -> WorkloadStatus:
    if note is None:
        return workload
    message = note.message if note.reason else f"{workload.message}; {note.message}"
    return workload.model_copy(update={"reason": note.reason or workload.reason, "message": message})


def _filled(workload: WorkloadStatus, current: int, waiting: int, committed: int, in_use: int | None) -> WorkloadStatus:
    pods = workload.pods and workload.pods.model_copy(update={"current": current, "waiting": waiting})
    connections = workload.connections and workload.connections.model_copy(
        update={"committed": committed, "in_use": in_use}
    )
    return workload.model_copy(update={"pods": pods, "connections": connections})


def _without_nodes(workload: WorkloadStatus, stuck: list[Pod]) -> WorkloadStatus:
    """Name the granted pods that find no node; where the workload's plan has a problem of its own, that goes before."""
    stuck = [pod for pod in stuck if pod.connections]
    if not stuck or workload.reason not in NO_TROUBLE:
        return workload
    held, first = sum(pod.connections or 0 for pod in stuck), min(pod.name for pod in stuck)
    pods = f"pod {first} holds" if len(stuck) == 1 else f"{len(stuck)} pods, such as {first}, hold"
    message = f"{pods} {held} connections without a node, see kubectl describe pod: deleted if others wait for them"
    return workload.model_copy(update={"reason": "Unscheduled", "message": f"{workload.message}; {message}"})
