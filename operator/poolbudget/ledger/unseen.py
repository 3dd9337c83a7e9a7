"""Pods that Auto has moved behind a pooler, until they are seen there. Pure.

An application may take its pool sizes from what is injected and its host from elsewhere. So the first pods of what Auto
has moved stay charged what they would need as direct ones, at the floor, out of what is planned for the pooler, until a
pod of their workload is seen behind the pooler (SHOW CLIENTS) and not at the server itself. Those that come then are
believed, as long as one is left that was seen: what their workload leaves goes to the pooler, which `pooler.charges`
raises into free room.

`reconcile` plans with `lending`, `ledger.room` and `ledger.grant` charge, and `ledger.decide` notes who was seen. Where
a pooler has no more than its minimum there is nothing to lend, and pods start without a charge. Nobody can look into a
pooler that somebody else runs: what is sent there is believed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from poolbudget.ledger.model import Ledger, Pod, Reservation
from poolbudget.ledger.release import Sessions
from poolbudget.planning.model import Budget, BudgetKey, PoolerPlan, ServerPlan, WorkloadKey, WorkloadPlan
from poolbudget.planning.modes import MOVED
from poolbudget.planning.poolers import pooler

Clients = Mapping[BudgetKey, frozenset[str]]
"""By the budget of a pooler: addresses of the clients that it shows."""


def proven(ledger: Ledger) -> frozenset[WorkloadKey]:
    """Return the workloads of which a pod was seen behind the pooler, or was sent there by a person."""
    return frozenset(entry.workload for entry in ledger.values() if entry.behind_pooler and not entry.unseen)


def first_pod(workload: WorkloadPlan) -> int:
    """Return what a pod of a moved workload is charged: what it would need directly."""
    return (workload.processes or 0) * workload.floor + workload.workload.extra_per_pod


def lending(plan: ServerPlan, budgets: Iterable[Budget], ledger: Ledger, held: Mapping[BudgetKey, int]) -> ServerPlan:
    """Return the plan in which each pooler of ours leaves room for pods that were not seen behind it yet.

    It does not grow into what these may need, and gives back for the first pod of each workload what it has grown to;
    its minimum stays. `held`: what poolers are charged.
    """
    own = {key: pooling for key, pooling in plan.poolers.items() if not pooling.external}
    least = {budget.key: found.minimum for budget in budgets if (found := pooler(budget))}
    charged = _Charged(ledger)
    lent = {key: _lend(plan, key, least[key], charged, held.get(key, 0)) for key in own.keys() & least.keys()}
    return replace(plan, poolers={**plan.poolers, **lent})


def note_seen(
    ledger: dict[str, Reservation],
    plan: ServerPlan,
    pods: Mapping[str, Pod],
    clients: Clients,
    sessions: Sessions | None,
) -> None:
    """Charge nothing any more for pods that are clients of their pooler and hold nothing at the server itself.

    One that was seen and then turns up at the server proves nothing any more. Where nobody reads the server, the
    pooler's word is enough; so it is at the address of a node, where the server shows any pod of it.
    """
    moved = frozenset[WorkloadKey]().union(*(pooling.moved for pooling in plan.poolers.values()))
    backends = sessions.by_address if sessions is not None else {}
    for uid, entry in ledger.items():
        pod = pods.get(uid)
        if pod is None or not pod.address:
            continue
        at_server = pod.address != pod.host and bool(backends.get(pod.address))
        is_client = pod.address in clients.get(entry.workload.budget_key, ())
        if entry.unseen and is_client and not at_server:
            ledger[uid] = replace(entry, connections=0, unseen=False)
        elif entry.behind_pooler and at_server and entry.workload in moved:
            ledger[uid] = replace(entry, unseen=True)


def addresses(ledger: Ledger, pods: Mapping[str, Pod]) -> dict[BudgetKey, frozenset[str]]:
    """Return where the pods are that each pooler should look out for."""
    found: dict[BudgetKey, set[str]] = {}
    for uid, entry in ledger.items():
        if entry.unseen and uid in pods and pods[uid].address:
            found.setdefault(entry.workload.budget_key, set()).add(pods[uid].address)
    return {key: frozenset(at) for key, at in found.items()}


@dataclass(frozen=True, slots=True)
class Loan:
    """What a pooler lends to pods that were not seen behind it yet, and how much of that is free."""

    connections: int
    free: int


class Loans:
    """What poolers lend, while grants are being decided. What a pod is lent counts whole, whatever it is charged."""

    def __init__(self, plan: ServerPlan, ledger: Ledger) -> None:
        seen = proven(ledger)
        moved = {key: pooling.lent for pooling in plan.poolers.values() for key in pooling.moved}
        self._lent = {key: 0 if key in seen else lent for key, lent in moved.items()}
        self._first = {key: first_pod(plan.workloads[key]) for key in moved.keys() - seen}
        self._taken = Counter[BudgetKey]()
        for entry in ledger.values():
            if entry.unseen:
                self._taken[entry.workload.budget_key] += max(entry.connections, self._first.get(entry.workload, 0))

    def to(self, key: WorkloadKey) -> Loan | None:
        """Return what is lent to the pods of a moved workload, none once one was seen; None to others."""
        lent = self._lent.get(key)
        return None if lent is None else Loan(lent, max(0, lent - self._taken[key.budget_key]))

    def take(self, key: WorkloadKey) -> None:
        """Enter a grant."""
        self._taken[key.budget_key] += min(self._lent.get(key, 0), self._first.get(key, 0))


class _Charged:
    """What is charged, by workload, to its `direct` pods and to its `unseen` ones; of which anything `stands`."""

    def __init__(self, ledger: Ledger) -> None:
        self.direct, self.unseen = Counter[WorkloadKey](), Counter[WorkloadKey]()
        self.stands = {entry.workload for entry in ledger.values()}
        self.proven = proven(ledger)
        for entry in ledger.values():
            (self.unseen if entry.sent_to_pooler else self.direct)[entry.workload] += entry.connections


def _lend(plan: ServerPlan, key: BudgetKey, least: int, charged: _Charged, held: int) -> PoolerPlan:
    pooling = plan.poolers[key]
    of_budget = [workload for workload in plan.workloads.values() if workload.key.budget_key == key]
    moved = {w.key: w for w in of_budget if w.fits and w.reason in MOVED}
    waiting = [w for w in moved.values() if w.key not in charged.proven and (w.desired or w.key in charged.stands)]
    others = sum(charged.unseen[w.key] for w in of_budget) - sum(charged.unseen[w.key] for w in waiting)
    first = sum(max(first_pod(w), charged.unseen[w.key]) for w in waiting)
    most = sum(max(w.peak * first_pod(w), charged.direct[w.key] + first_pod(w)) for w in waiting)
    planned = pooling.connections
    kept = max(least, min(planned - first - others, max(planned - most - others, held)))
    return replace(pooling, connections=kept, lent=planned - kept, moved=frozenset(moved))
