"""Who holds how much: what the database shows, set against what the ledger allows.

Used for the snapshot (`elsewhere` is charged) and for the report. A session belongs to a pod by its client address.
What poolers may hold is charged as a constant, so here only what they hold beyond that counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from poolbudget.ledger.model import Ledger, Pod, Reservation
from poolbudget.ledger.release import Sessions
from poolbudget.ledger.unmanaged import UnmanagedPod
from poolbudget.planning.model import WorkloadKey

PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PoolerPod:
    """A pod of a pooler that the operator runs: its address, that of its node, and what it may open at the server."""

    address: str
    host: str
    connections: int


@dataclass(frozen=True, slots=True)
class Books:
    """Sessions by whose they are. `strangers`: at addresses that belong to no charged pod and to no pooler of ours.

    `by_unmanaged`: those of pods that never passed admission, by uid. `exceeding`: pods that hold more than was granted
    for their address; behind the pooler that is nothing, whatever is charged. `beyond`: what is held and not charged,
    poolers of ours included. Backends that outlive a container run on beside those of the one that was started in its
    place.
    """

    total: int
    by_workload: Mapping[WorkloadKey, int]
    strangers: int
    exceeding: tuple[tuple[Reservation, int], ...]
    by_unmanaged: Mapping[str, int]
    beyond: int

    def elsewhere(self, unnamed: int) -> int:
        """Return what nothing covers: of pods beyond their grants, of strangers beyond `unnamed`.

        That is what sessions that belong to no pod may hold: the ordinary reserve, and the shares of poolers that
        somebody else runs, whose addresses nobody knows.
        """
        return max(0, self.strangers - unnamed) + self.beyond


class Excess:
    """Tells a pod that keeps holding more than its grant from one whose old backends take a moment to go."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def lasting(self, books: Books, now: float) -> tuple[tuple[Reservation, int], ...]:
        """Return what of `books.exceeding` has lasted for PATIENCE_SECONDS; `now` in seconds."""
        self._since = {r.uid: self._since.get(r.uid, now) for r, _ in books.exceeding}
        return tuple((r, held) for r, held in books.exceeding if now - self._since[r.uid] >= PATIENCE_SECONDS)


def audit(
    ledger: Ledger,
    pods: Mapping[str, Pod],
    sessions: Sessions,
    unmanaged: Iterable[UnmanagedPod] = (),
    poolers: Sequence[PoolerPod] = (),
) -> Books:
    """Tell apart the sessions of granted pods, of unmanaged ones, of poolers and of strangers.

    The pods that hold too much are named.
    """
    holders = _by_address(ledger, pods)
    pooling = _shares(poolers)
    hidden = _behind_nodes(ledger, pods, poolers)
    ungranted = {pod.address: pod for pod in unmanaged if pod.address}
    by_workload: Counter[WorkloadKey] = Counter()
    by_unmanaged: dict[str, int] = {}
    exceeding = []
    strangers = beyond = 0
    for address, backends in sessions.by_address.items():
        charged = holders.get(address, [])
        is_known = bool(charged) or address in pooling
        granted = sum(r.connections for r in charged) + pooling[address] if is_known else hidden[address]
        more = max(0, backends - granted)
        if charged:
            by_workload[charged[0].workload] += backends - more
        if pod := ungranted.get(address):
            by_unmanaged[pod.uid] = more
            by_workload[pod.workload] += more
        elif not is_known:
            strangers += more
        elif more:
            beyond += more
            if charged:
                by_workload[charged[0].workload] += more
        unseen = sum(r.connections for r in charged if r.unseen)
        if charged and address not in ungranted and backends > granted - unseen:
            exceeding.append((charged[0], backends))
    return Books(sessions.total, by_workload, strangers, tuple(exceeding), by_unmanaged, beyond)


def _shares(poolers: Iterable[PoolerPod]) -> Counter[str]:
    """Return what the poolers at each address may hold."""
    shares: Counter[str] = Counter()
    for pooler in poolers:
        shares[pooler.address] += pooler.connections
    return shares


def _behind_nodes(ledger: Ledger, pods: Mapping[str, Pod], poolers: Iterable[PoolerPod]) -> Counter[str]:
    """Return what the pods of each node may open: where addresses are translated, the database sees the node's."""
    hidden: Counter[str] = Counter()
    for pooler in poolers:
        hidden[pooler.host] += pooler.connections
    for uid, reservation in ledger.items():
        if (pod := pods.get(uid)) and pod.host:
            hidden[pod.host] += reservation.connections
    return hidden


def _by_address(ledger: Ledger, pods: Mapping[str, Pod]) -> dict[str, list[Reservation]]:
    """Return the reservations behind each address; the cache knows an address earlier than the ledger notes it.

    A node's address tells nothing of a pod behind the pooler: what it shows may be anybody's on that node.
    """
    holders: dict[str, list[Reservation]] = {}
    for uid, reservation in ledger.items():
        pod = pods.get(uid)
        address = (pod.address if pod else "") or reservation.address
        is_of_node = pod is not None and pod.address == pod.host
        if address and not (reservation.sent_to_pooler and is_of_node):
            holders.setdefault(address, []).append(reservation)
    return holders
