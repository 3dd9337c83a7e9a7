"""What is taken off the ledger: only what is proven to have ended.

First step of `ledger.decide`. A pod that vanished without proof stays charged: its node may be cut off from the cluster
and yet run its processes and hold their connections. What proves that it has ended after all:

- The database has shown no session of its address for the settle time.
- Its Node is gone, or another instance or boot than it was when the pod was first known to have vanished. An earlier
  boot would prove nothing: a kubelet that comes back starts the containers of the pods that still exist. (It reports
  its boot as it comes back, and it starts no pod that the API server no longer has.)

One that was seen behind the pooler needs no such proof: what it may still open at the server is the pooler's share,
which is charged in any case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from poolbudget.ledger.model import Ledger, Pod, Reservation
from poolbudget.planning.poolers import BEHIND_A_POOLER

Boots = Mapping[str, str | None]
"""By the name of a node: which instance and boot it is now; None where the cluster has no such Node."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """What `pg_stat_activity` showed at one moment: client backends by client address ("" for local ones).

    `settled` are the addresses that have shown none for the whole settle time.
    """

    by_address: Mapping[str, int]
    settled: frozenset[str] = frozenset()

    @property
    def total(self) -> int:
        """All client backends."""
        return sum(self.by_address.values())


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the pods of a ledger, each part read after the one before.

    `pods` are those that the cluster shows, `gone` those that a quorum read has confirmed to exist no more, with
    their last known state. `boots` are the nodes of the latter. `sessions` is None where the database cannot be asked.
    """

    pods: Mapping[str, Pod]
    gone: Mapping[str, Pod | None]
    boots: Boots
    sessions: Sessions | None


def keep_what_may_live(ledger: Ledger, evidence: Evidence) -> dict[str, Reservation]:
    """Return the ledger without what has ended."""
    reused = {pod.address for pod in evidence.pods.values() if not pod.ended and pod.address}
    kept = {}
    for uid, reservation in ledger.items():
        pod = evidence.pods.get(uid)
        noted = _note_whereabouts(reservation, pod or evidence.gone.get(uid))
        foreign = noted.address in reused and not (pod and not pod.ended)
        known = replace(evidence, sessions=None) if foreign else evidence
        if (remaining := _remaining(noted, pod, known)) is not None:
            kept[uid] = remaining
    return kept


def restored(ledger: Ledger, pods: Mapping[str, Pod]) -> dict[str, Reservation]:
    """Return the ledger with the running pods that carry a grant: somebody may have deleted a line, or all of it."""
    lost = (pod for uid, pod in pods.items() if uid not in ledger and pod.granted and not pod.gates and not pod.ended)
    return {**ledger, **{pod.uid: _as_granted(pod) for pod in lost}}


def _as_granted(pod: Pod) -> Reservation:
    return Reservation(
        pod.uid,
        pod.connections or 0,
        pod.namespace,
        pod.name,
        pod.workload,
        pod.node,
        pod.address,
        unseen=pod.mode in BEHIND_A_POOLER,
    )


def _remaining(reservation: Reservation, pod: Pod | None, known: Evidence) -> Reservation | None:
    """Return what stays charged of one reservation; None if nothing does."""
    if pod is not None:
        return _backends_left(reservation, known.sessions) if pod.ended else reservation
    if reservation.uid not in known.gone:
        return reservation
    last = known.gone[reservation.uid]
    proven = (last is not None and last.gone_for_good) or _ended_with_its_node(reservation, known.boots)
    if proven or reservation.behind_pooler:
        return _backends_left(reservation, known.sessions)
    if known.sessions is not None and reservation.address and reservation.address in known.sessions.settled:
        return None
    return replace(reservation, boot=reservation.boot or known.boots.get(reservation.node) or "")


def _ended_with_its_node(reservation: Reservation, boots: Boots) -> bool:
    """Whether the node of a pod that vanished is gone, or has booted since it is known that the pod vanished."""
    if reservation.node not in boots:
        return False
    now = boots[reservation.node]
    return now is None or reservation.boot not in {"", now}


def _backends_left(reservation: Reservation, sessions: Sessions | None) -> Reservation | None:
    """Charge the backends that outlive their pod: a query may run on after its client has ended."""
    if sessions is None or not reservation.address:
        return None
    backends = sessions.by_address.get(reservation.address, 0)
    return replace(reservation, connections=min(backends, reservation.connections)) if backends else None


def _note_whereabouts(reservation: Reservation, pod: Pod | None) -> Reservation:
    if pod is None or (pod.node, pod.address) == (reservation.node, reservation.address):
        return reservation
    return replace(reservation, node=pod.node or reservation.node, address=pod.address or reservation.address)
