"""Who holds what a waiting pod lacks: the end of the message of a pod that waits for room.

Last step of `ledger.decide`; `act.pods` shows the message on the pod. It names what ends next, since that is what the
pod waits for, and those that vanished, since only a person may know that they have ended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from poolbudget.ledger.model import Ledger, Pod, Reservation, Wait
from poolbudget.planning.model import WorkloadKey

LACKS_ROOM = frozenset({"NoRoom", "NotSeenYet", "PodsBeyondPlan"})
MOST_NAMES = 3


class Shortage:
    """The holders of one ledger, sorted once for all pods that wait. Equal ledgers and pods give equal messages."""

    def __init__(self, ledger: Ledger, pods: Mapping[str, Pod]) -> None:
        self._pods = pods
        holding = {uid: entry for uid, entry in ledger.items() if not entry.behind_pooler}
        ending = [entry for uid, entry in holding.items() if uid in pods and pods[uid].deleting]
        self._ending = _Largest(ending)
        self._holders = _Largest(holding.values())
        self._vanished = _vanished([entry for uid, entry in holding.items() if uid not in pods])

    def explain(self, wait: Wait) -> Wait:
        """Add who holds what the pod lacks, if it lacks room; those of its own workload go before others."""
        if wait.reason not in LACKS_ROOM:
            return wait
        holder = self._holder(wait.pod.workload) if wait.reason != "PodsBeyondPlan" else ""
        return replace(wait, message="; ".join(part for part in (wait.message, holder, self._vanished) if part))

    def _holder(self, own: WorkloadKey) -> str:
        if entry := self._ending.of(own):
            others = self._ending.count - 1
            since = self._pods[entry.uid].deleting_since
            terminating = "terminating" + (f" since {since}" if since else "")
            return f"{entry.pod} holds {entry.connections}, {terminating}" + (f", like {others} more" if others else "")
        if entry := self._holders.of(own):
            return f"{entry.pod} holds {entry.connections}"
        return ""


class _Largest:
    """The largest reservation of each workload, and of all."""

    def __init__(self, entries: Iterable[Reservation]) -> None:
        ordered = sorted(entries, key=lambda entry: (-entry.connections, entry.pod))
        self.count = len(ordered)
        self._first = ordered[0] if ordered else None
        self._by_workload: dict[WorkloadKey, Reservation] = {}
        for entry in ordered:
            self._by_workload.setdefault(entry.workload, entry)

    def of(self, workload: WorkloadKey) -> Reservation | None:
        """Return the largest of the workload, else the largest of all."""
        return self._by_workload.get(workload, self._first)


def _vanished(entries: list[Reservation]) -> str:
    if not entries:
        return ""
    names = ", ".join(f"{entry.namespace}/{entry.pod}" for entry in entries[:MOST_NAMES])
    held = sum(entry.connections for entry in entries)
    names += ", ..." if entries[MOST_NAMES:] else ""
    return f"{held} connections are held for pods that vanished without proof of their end ({names}): poolbudget forget"
