"""Which waiting pods start now, with how much; and why the others wait.

Second step of `ledger.decide`. A pod is sized from its own spec, since a rollout may have changed its processes: the
planned share for each of them, or the largest that fits, never below the floor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.detection.processes import Unknown
from poolbudget.ledger.adoption import adoption_blocked
from poolbudget.ledger.model import Grant, Pod, Wait
from poolbudget.ledger.room import Room
from poolbudget.ledger.unmanaged import UnmanagedPod
from poolbudget.planning.model import WorkloadKey, WorkloadPlan
from poolbudget.planning.modes import own_address
from poolbudget.planning.overrides import OverrideError, overrides
from poolbudget.planning.processes import pod_processes

UNTIL_SEEN = (
    "until a pod of its workload is seen behind the pooler, with its first query; if none ever is, write mode: Pooled"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a waiting pod asks for, by its own spec.

    `floor`, `share`: the least and the planned connections of each process. `replaces`: it belongs to a rollout whose
    old pods still run.
    """

    pod: Pod
    plan: WorkloadPlan
    processes: int
    floor: int
    share: int
    replaces: bool

    def bound(self, share: int) -> int:
        """Return the connections of the pod at the server, at this share for each process."""
        return self.plan.bound(self.processes, share)

    @property
    def is_planned_ordinal(self) -> bool:
        """Whether it is one of the pods that a StatefulSet keeps after a scale-down.

        The StatefulSet ends the pods above it only once this one is ready
        (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#deployment-and-scaling-guarantees), so
        it must not wait for them.
        """
        ordinal = self.pod.name.rpartition("-")[2]
        return self.pod.owner == "StatefulSet" and ordinal.isdecimal() and int(ordinal) < self.plan.steady

    @property
    def rank(self) -> tuple[bool, int, str, str]:
        """The order of grants: rollout replacements, priority, age."""
        return (not self.replaces, -self.pod.priority, self.pod.created, self.pod.uid)


def claims(
    waiting: Iterable[Pod], plans: Mapping[WorkloadKey, WorkloadPlan], held: Iterable[Pod | UnmanagedPod]
) -> list[Claim | Wait]:
    """Turn waiting pods to claims, or say at once why a pod cannot be sized. `held` are the pods charged now."""
    old_revisions: dict[WorkloadKey, set[str | None]] = {}
    for pod in held:
        old_revisions.setdefault(pod.workload, set()).add(pod.revision)
    return [_claim(pod, plans.get(pod.workload), old_revisions.get(pod.workload, set())) for pod in waiting]


def grant_one(claim: Claim, room: Room) -> Grant | Wait:
    """Grant the largest share that fits now, up to the planned one; else say what is missing.

    Only for pods that hold no reservation: one that does has to start, even if the plan has changed since.
    """
    if not claim.plan.fits:
        return Wait(claim.pod, claim.plan.reason, claim.plan.message)
    available = _available(claim, room)
    if available is None:
        return Wait(claim.pod, "PodsBeyondPlan", _beyond_plan(claim, room))
    behind_pooler = claim.plan.mode is not WorkloadMode.DIRECT
    answer = _behind_pooler(claim, room, available) if behind_pooler else _direct(claim, room, available)
    if isinstance(answer, Grant):
        room.take(claim.plan.key, answer.connections)
    return answer


def _behind_pooler(claim: Claim, room: Room, available: int) -> Grant | Wait:
    """Start the pod whatever is free: what the pooler may open is set aside for it in any case.

    Only while nobody has seen that its workload goes there, it is charged as a direct one, as far as there is room, and
    there are no more of them than the pooler lends for.
    """
    if (lent := room.lent(claim.plan.key)) is None:
        return Grant(claim.pod, 0, claim.share, claim.plan.mode)
    needed = min(lent.connections, claim.processes * claim.floor + claim.plan.workload.extra_per_pod)
    if needed > lent.free:
        return Wait(claim.pod, "NotSeenYet", f"needs {needed}, free {lent.free}, {UNTIL_SEEN}")
    return Grant(claim.pod, max(0, min(needed, available)), claim.share, claim.plan.mode, unseen=True)


def _direct(claim: Claim, room: Room, available: int) -> Grant | Wait:
    needed = claim.bound(claim.floor)
    if available < needed:
        beside_nobody = _available(replace(claim, replaces=False), room)
        slot = None if beside_nobody is None else available - beside_nobody
        if blocked := adoption_blocked(claim.pod, needed, available, slot, room.unmanaged(claim.plan.key)):
            return blocked
        return Wait(claim.pod, "NoRoom", f"needs {needed}, free {available}")
    # A pod of another revision may run more processes than the plan is made for: it must not take the room of others.
    most = min(available, max(needed, claim.plan.per_pod))
    share = min(claim.share, (most - claim.plan.workload.extra_per_pod) // claim.processes)
    return Grant(claim.pod, claim.bound(share), share)


def _claim(pod: Pod, plan: WorkloadPlan | None, held_revisions: set[str | None]) -> Claim | Wait:
    if plan is None:
        return Wait(pod, "WorkloadNotFound", f"no PoolBudget lists the workload {pod.workload}")
    processes = pod_processes(plan.workload, pod.spec)
    if isinstance(processes, Unknown):
        return Wait(pod, "ProcessesUnknown", processes.message)
    try:
        floor, share = overrides(plan.workload, pod.spec).bounds(plan.floor, plan.share)
    except OverrideError as error:
        return Wait(pod, "OverrideUnknown", str(error))
    if plan.mode is not WorkloadMode.DIRECT and (obstacle := own_address(plan.workload, pod.spec)):
        return Wait(pod, "Unroutable", obstacle)
    newest = plan.revision is None or pod.revision == plan.revision
    return Claim(pod, plan, processes.count, floor, share, replaces=newest and bool(held_revisions - {pod.revision}))


def _available(claim: Claim, room: Room) -> int | None:
    """Return the room for this claim; None if the plan has no place for one more pod of the workload."""
    key = claim.plan.key
    options = []
    within = room.pods(key) < claim.plan.steady or claim.is_planned_ordinal
    if within:
        options.append(room.for_scale_up())
    if (claim.replaces and room.slot_is_free(key)) or (within and key == room.rolled):
        options.append(room.for_replacement(key))
    return max(options, default=None)


def _beyond_plan(claim: Claim, room: Room) -> str:
    plan, pods = claim.plan, room.pods(claim.plan.key)
    holding = f"{pods} pods hold grants"
    if plan.desired > plan.steady:
        rollout = ", or this rollout may never finish" if claim.replaces else ""
        remedy = f"raise maxPods of the workload, or scale to {plan.steady}{rollout}"
        return f"{holding} and the plan is made for {plan.steady}, but the controller wants {plan.desired}: {remedy}"
    return f"{holding} and the plan has room for {plan.peak}: waits until an old pod has ended"
