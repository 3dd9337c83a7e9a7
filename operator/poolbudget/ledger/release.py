"""What is taken off the ledger: only what is proven to have ended.

First step of `ledger.decide`. A pod that vanished without proof stays charged: its node may be cut off from the cluster
and yet run its processes and hold their connections.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from poolbudget.ledger.model import Ledger, Pod, Reservation


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


def keep_what_may_live(
    ledger: Ledger, pods: Mapping[str, Pod], gone: Mapping[str, Pod | None], sessions: Sessions | None
) -> dict[str, Reservation]:
    """Return the ledger without what has ended.

    `pods` are those that the cluster shows, `gone` those that a quorum read has confirmed to exist no more, with
    their last known state. `sessions` were read after both; None where the database cannot be asked.
    """
    reused = {pod.address for pod in pods.values() if not pod.ended and pod.address}
    kept = {}
    for uid, reservation in ledger.items():
        pod = pods.get(uid)
        noted = _note_whereabouts(reservation, pod or gone.get(uid))
        asked = None if noted.address in reused and not (pod and not pod.ended) else sessions
        if (remaining := _remaining(noted, pod, gone, asked)) is not None:
            kept[uid] = remaining
    return kept


def restore_what_was_granted(ledger: dict[str, Reservation], pods: Mapping[str, Pod]) -> None:
    """Enter running pods that carry a grant but are not in the ledger: somebody has deleted a line, or all of it."""
    for uid, pod in pods.items():
        if uid not in ledger and pod.connections and not pod.gates and not pod.ended:
            ledger[uid] = Reservation(
                uid, pod.connections, pod.namespace, pod.name, pod.workload, pod.node, pod.address
            )


def _remaining(
    reservation: Reservation, pod: Pod | None, gone: Mapping[str, Pod | None], sessions: Sessions | None
) -> Reservation | None:
    """Return what stays charged of one reservation; None if nothing does."""
    if pod is not None:
        return _backends_left(reservation, sessions) if pod.ended else reservation
    if reservation.uid not in gone:
        return reservation
    last = gone[reservation.uid]
    if last is not None and last.gone_for_good:
        return _backends_left(reservation, sessions)
    known = bool(reservation.address)
    vanished_from_database = known and sessions is not None and reservation.address in sessions.settled
    return None if vanished_from_database else reservation


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
