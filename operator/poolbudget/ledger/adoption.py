"""What is said of pods that never passed admission: to pods that wait for their room, and in the status.

`ledger.grant` asks `adoption_blocked` for a pod that does not fit; `ledger.decide` adds `mention_unmanaged` to what
other pods are told; `report` shows the unmanaged pods of a workload with `with_unmanaged`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from poolbudget.api.v1alpha1 import WorkloadStatus
from poolbudget.ledger.model import Pod, Wait
from poolbudget.ledger.unmanaged import Charge
from poolbudget.planning.modes import NO_TROUBLE

TO_NONE = "scale the Deployment to 0, and back once its pods are gone"
"""Not "strategy Recreate": if the waiting pod is ready before the last old one has ended, the Deployment's controller
makes no others. It looks again when none of its pods is left, and the waiting one stays.
"""

SCALING: Mapping[str, str] = {
    "ReplicaSet": "scale the Deployment to {stay} first",
    "StatefulSet": "scale the StatefulSet to {stay} first",
}
"""By the kind of the pod's controller. `stay`: how many old pods may run beside the new one."""

DELETION = "delete old pods until {stay} are left"
MOST_NAMES = 3


def adoption_blocked(pod: Pod, needed: int, free: int, slot: int | None, own: Sequence[Charge]) -> Wait | None:
    """Return why only its own workload's unmanaged pods keep a pod out, and the remedy; None if it is not only they.

    `slot`: how much of `free` is there for replacements only, so not once no old pod is left; None: all of it. Pods
    that are ending make their room without anybody's help.
    """
    staying = sorted((c for c in own if not c.pod.deleting), key=_largest_first)
    soon = free + sum(c.connections for c in own if c.pod.deleting)
    spare = soon + sum(c.connections for c in staying) - needed
    if soon >= needed or spare < 0:
        return None
    stay = _most_that_fit(staying, spare)
    if stay == 0 and pod.owner == "ReplicaSet":
        remedy = TO_NONE
    elif stay or (slot is not None and slot <= spare):
        remedy = SCALING.get(pod.owner, DELETION).format(stay=stay)
    else:
        return None
    return Wait(pod, "AdoptionBlocked", f"needs {needed}, free {free}; {_holders(staying)}: {remedy}")


def mention_unmanaged(waits: Iterable[Wait], unmanaged: Sequence[Charge]) -> tuple[Wait, ...]:
    """Name to pods that lack room the unmanaged pods that hold some, those of other workloads, too."""
    holding = sorted((c for c in unmanaged if c.connections), key=_largest_first)
    if not holding:
        return tuple(waits)
    held = _holders(holding)
    return tuple(replace(w, message=f"{w.message}; {held}") if w.reason == "NoRoom" else w for w in waits)


def with_unmanaged(workload: WorkloadStatus, own: Sequence[Charge]) -> WorkloadStatus:
    """Count a workload's unmanaged pods in its status; a plan that has a problem of its own keeps its reason."""
    if not own:
        return workload
    held = sum(c.connections for c in own)
    pods = workload.pods and workload.pods.model_copy(update={"current": workload.pods.current + len(own)})
    connections = workload.connections and workload.connections.model_copy(
        update={"committed": workload.connections.committed + held}
    )
    holders = _holders(sorted(own, key=_largest_first))
    reason = "Unmanaged" if workload.reason in NO_TROUBLE else workload.reason
    message = f"{holders}; {workload.message}" if workload.message else holders
    return workload.model_copy(update={"pods": pods, "connections": connections, "reason": reason, "message": message})


def _most_that_fit(charges: Sequence[Charge], room: int) -> int:
    """Return how many of the pods fit in the room, whichever of them stay: the largest may."""
    taken = fit = 0
    for charge in charges:
        taken += charge.connections
        fit += taken <= room
    return fit


def _holders(charges: Sequence[Charge]) -> str:
    names = ", ".join(f"{c.pod.name} {c.connections}" for c in charges[:MOST_NAMES])
    names += ", ..." if charges[MOST_NAMES:] else ""
    held, pods = sum(c.connections for c in charges), len(charges)
    holders = "1 pod without a grant holds" if pods == 1 else f"{pods} pods without a grant hold"
    return f"{holders} {held} ({names})"


def _largest_first(charge: Charge) -> tuple[int, str]:
    return (-charge.connections, charge.pod.name)
