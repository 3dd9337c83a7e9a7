"""Granted pods for which the scheduler finds no node: they hold connections that they may never use.

`reconcile` reports them, and deletes a few when other pods wait for exactly that room; their controllers make them
anew, at the end of the queue. Pods of Jobs stay, since the Job would count them as failures, and so do pods that
nobody would make anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from poolbudget.ledger.decide import Snapshot, decide
from poolbudget.ledger.model import Decision, Ledger, Pod

A_FEW = 3
NEVER_MADE_ANEW = frozenset({"", "Job"})


class Unscheduled:
    """Remembers since when each pod has been without a node; `cooldown` in seconds is how long that is in order.

    It is also the pause between two deletions. After a change of leaders the time begins anew.
    """

    def __init__(self, cooldown: float) -> None:
        self._cooldown = cooldown
        self._since: dict[str, float] = {}
        self._last_deletion = float("-inf")

    def lasting(self, ledger: Ledger, pods: Mapping[str, Pod], now: float) -> tuple[Pod, ...]:
        """Return the charged pods that have found no node for the cooldown, longest first; `now` in seconds."""
        found = [pods[uid] for uid in ledger if uid in pods and _finds_no_node(pods[uid])]
        self._since = {pod.uid: self._since.get(pod.uid, now) for pod in found}
        lasting = [pod for pod in found if now - self._since[pod.uid] >= self._cooldown]
        return tuple(sorted(lasting, key=lambda pod: (self._since[pod.uid], pod.created, pod.uid)))

    def due(self, stuck: Iterable[Pod], snapshot: Snapshot, decision: Decision, now: float) -> tuple[Pod, ...]:
        """Return the pods to delete now, at most once in a cooldown."""
        if now - self._last_deletion < self._cooldown:
            return ()
        if chosen := yielding(stuck, snapshot, decision):
            self._last_deletion = now
        return chosen


def yielding(stuck: Iterable[Pod], snapshot: Snapshot, decision: Decision) -> tuple[Pod, ...]:
    """Return the fewest of the stuck pods, longest stuck first, without which another pod would start; or none.

    A pod of the same revision does not count: it would find no node either.
    """
    movable = [pod for pod in stuck if pod.owner not in NEVER_MADE_ANEW][:A_FEW]
    waiting = [wait.pod for wait in decision.waits if wait.reason == "NoRoom"]
    for number in range(1, len(movable) + 1):
        chosen = movable[:number]
        alike = {(pod.workload, pod.revision) for pod in chosen}
        others = {pod.uid for pod in waiting if (pod.workload, pod.revision) not in alike}
        if others and others & _granted_without(chosen, snapshot, decision):
            return tuple(chosen)
    return ()


def _granted_without(chosen: list[Pod], snapshot: Snapshot, decision: Decision) -> set[str]:
    gone = {pod.uid for pod in chosen}
    ledger = {uid: entry for uid, entry in decision.ledger.items() if uid not in gone}
    pods = {uid: pod for uid, pod in snapshot.pods.items() if uid not in gone}
    return {grant.pod.uid for grant in decide(replace(snapshot, ledger=ledger, pods=pods)).grants}


def _finds_no_node(pod: Pod) -> bool:
    return pod.unschedulable and not (pod.gates or pod.node or pod.deleting or pod.ended)
