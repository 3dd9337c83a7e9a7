"""Why a workload of update mode Recreate should be rolled, and whether its rollout could start.

`ledger.rollouts` asks for every such workload. A reason must be gone once its rollout has finished, or it would roll
for ever: new pods hold at most what the plan gives, and exactly that where a rollout is to make them grow.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.ledger.decide import Snapshot
from poolbudget.ledger.model import Decision, Pod, Reservation
from poolbudget.ledger.room import Room
from poolbudget.ledger.unmanaged import Charge
from poolbudget.planning.model import Rollout, TargetKey, WorkloadKey, WorkloadPlan

LEAST_MOVE = 2
"""Connections by which a grant must differ from the plan."""
LEAST_PERCENT = 20
"""And percent of the grant."""


@dataclass(frozen=True, slots=True)
class Due:
    """A workload that should be rolled. `blocked`: why that could not begin now; empty if it could.

    `urgency`: the lower comes first, and then the larger `amount` of connections.
    """

    key: WorkloadKey
    urgency: int
    amount: int
    reason: str
    message: str
    blocked: str

    @property
    def rank(self) -> tuple[int, int, WorkloadKey]:
        """The order of rollouts."""
        return self.urgency, -self.amount, self.key


class Fleet:
    """The pods of a server after the grants of this round.

    `waiting`: pods at the gate by workload; `starved`: those that have lacked room since before `starved_since`.
    """

    def __init__(self, snapshot: Snapshot, decision: Decision, starved_since: datetime) -> None:
        self.snapshot, self.ledger = snapshot, decision.ledger
        self.waiting = Counter(wait.pod.workload for wait in decision.waits)
        self.starved = Counter(
            wait.pod.workload
            for wait in decision.waits
            if wait.reason == "NoRoom" and datetime.fromisoformat(wait.pod.created) <= starved_since
        )

    def ends_pods(self, key: WorkloadKey) -> bool:
        """Whether pods of a workload are about to end, and to leave their room."""
        return any(pod.workload == key and pod.deleting for pod in self.snapshot.pods.values())

    def granted(self, target: TargetKey) -> list[Pod]:
        """Return the granted pods that the controller would make anew."""
        pods = (pod for pod in self.snapshot.pods.values() if pod.controller == target)
        return [pod for pod in pods if not pod.gates and not pod.deleting and not pod.ended and pod.uid in self.ledger]

    def grants(self, target: TargetKey) -> list[Reservation]:
        """Return what is granted to these pods, smallest first."""
        return sorted((self.ledger[pod.uid] for pod in self.granted(target)), key=lambda held: held.connections)

    def others(self, key: WorkloadKey) -> int:
        """Return what all other workloads may hold: what they do hold, or what the plan gives them."""
        held = Counter[WorkloadKey]()
        for reservation in self.ledger.values():
            held[reservation.workload] += reservation.connections
        plans = self.snapshot.plan.workloads
        slots = {k: _floor_of_pod(plan) * (plan.peak - plan.steady) if plan.fits else 0 for k, plan in plans.items()}
        workloads = (held.keys() | plans.keys()) - {key}
        return sum(max(held[k] + slots.get(k, 0), plans[k].planned if k in plans else 0) for k in workloads)


def due_now(fleet: Fleet, plan: WorkloadPlan, target: TargetKey, rollout: Rollout, *, labelled: bool) -> Due | None:
    """Return the first reason that holds; None if the pods may stay as they are."""
    if not plan.fits:
        return None
    if not labelled:
        blocked = _why_not(fleet, plan, target, rollout)
        return Due(plan.key, 0, 0, "Labelled", "its template lacks the labels of PoolBudget", blocked)
    return next(_reasons(fleet, plan, target, rollout), None)


def _reasons(fleet: Fleet, plan: WorkloadPlan, target: TargetKey, rollout: Rollout) -> Iterator[Due]:
    held = [reservation.connections for reservation in fleet.grants(target)]
    granted = [reservation.connections for reservation in fleet.grants(target) if not reservation.unseen]
    excess = sum(max(0, connections - plan.per_pod) for connections in granted)
    pods = [pod for pod in fleet.granted(target) if pod.mode is not plan.mode]
    other_mode = f"{len(pods)} of its pods run in another mode than {plan.mode}, which is planned"
    if pods and plan.mode is not WorkloadMode.DIRECT:
        yield Due(plan.key, 1, excess, "ModeChanged", other_mode, _why_not(fleet, plan, target, rollout))
    if excess and fleet.starved.total():
        message = f"its pods hold {excess} connections more than planned and others wait for room"
        yield Due(plan.key, 1, excess, "PodsWait", message, _why_not(fleet, plan, target, rollout))
    moved = [connections for connections in granted if _has_moved(connections, plan.per_pod)]
    if above := [connections for connections in moved if connections > plan.per_pod]:
        message = f"its pods hold up to {max(above)} connections and the plan gives {plan.per_pod}"
        yield Due(plan.key, 2, excess, "PlanMoved", message, _why_not(fleet, plan, target, rollout))
    elif pods:
        blocked = "" if _all_would_fit(fleet, plan, held) else "waits until there is room for all of them at once"
        yield Due(plan.key, 3, 0, "ModeChanged", other_mode, blocked or _why_not(fleet, plan, target, rollout))
    elif moved and _all_would_fit(fleet, plan, held):
        message = f"its pods hold as few as {min(moved)} connections and the plan gives {plan.per_pod}"
        yield Due(plan.key, 3, 0, "PlanMoved", message, _why_not(fleet, plan, target, rollout))


def _has_moved(held: int, planned: int) -> bool:
    move = abs(held - planned)
    return move >= LEAST_MOVE and 100 * move >= LEAST_PERCENT * held


def _all_would_fit(fleet: Fleet, plan: WorkloadPlan, held: Sequence[int]) -> bool:
    """Whether every pod of the workload, and one for the rollout, would get the planned bound, whatever others take."""
    of_others = fleet.others(plan.key) + fleet.snapshot.elsewhere + fleet.snapshot.plan.for_poolers
    of_others += sum(charge.connections for charge in fleet.snapshot.unmanaged)
    of_strays = sum(r.connections for r in fleet.ledger.values() if r.workload == plan.key) - sum(held)
    most_pods = max(len(held), min(plan.desired, plan.steady)) + plan.peak - plan.steady
    return most_pods * plan.per_pod + of_strays + of_others <= fleet.snapshot.plan.usable


def _why_not(fleet: Fleet, plan: WorkloadPlan, target: TargetKey, rollout: Rollout) -> str:
    """Return why the first new pods would not start; empty if they would, beside the pods that may not end before.

    From then on every pod that ends leaves the room that the next one needs.
    """
    ending = {reservation.uid for reservation in fleet.grants(target)[: rollout.endable]}
    left = {uid: reservation for uid, reservation in fleet.ledger.items() if uid not in ending}
    unmanaged = _left_of(fleet.snapshot.unmanaged, plan.key, rollout.endable - len(ending))
    room = Room(fleet.snapshot.plan, left, fleet.snapshot.elsewhere, unmanaged, plan.key)
    remedy = "end a pod, or scale down"
    if room.pods(plan.key) >= plan.steady and not room.slot_is_free(plan.key):
        return f"a rollout could not begin: the plan has no place for a new pod: {remedy}"
    needed, free = _floor_of_pod(plan) * (rollout.lacking + 1), room.for_replacement(plan.key)
    if not needed or free >= needed:
        return ""
    return f"a rollout could not begin: new pods need {needed}, free {free}: {remedy}"


def _left_of(unmanaged: Iterable[Charge], key: WorkloadKey, ending: int) -> list[Charge]:
    """Return what stays charged of unmanaged pods once `ending` of the workload's have ended, the smallest first."""
    own = sorted((c for c in unmanaged if c.pod.workload == key), key=lambda charge: charge.connections)
    return [c for c in unmanaged if c.pod.workload != key] + own[max(0, ending) :]


def _floor_of_pod(plan: WorkloadPlan) -> int:
    return plan.bound(plan.processes or 0, plan.floor)
