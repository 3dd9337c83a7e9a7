"""Pods that Auto has moved behind a pooler, until they are seen there. Pure.

An application may take its pool sizes from what is injected and its host from elsewhere. So the first pods of what Auto
has moved stay charged what they would need as direct ones, out of what is planned for the pooler, until a pod of their
workload is seen behind the pooler (SHOW CLIENTS) and not at the server itself. Its pods share a template: those that
come later are believed. What the pods leave goes to the pooler, which `pooler.charges` raises into free room.

`reconcile` plans with `lending`, `ledger.grant` charges pods of `unproven` workloads, and `ledger.decide` notes who was
seen. Where a pooler has no more than its minimum there is nothing to lend, and they start without a charge. Nobody can
look into a pooler that somebody else runs: what is sent there is believed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from poolbudget.ledger.model import Ledger, Pod, Reservation
from poolbudget.ledger.release import Sessions
from poolbudget.planning.model import Budget, BudgetKey, PoolerPlan, ServerPlan, WorkloadKey, WorkloadPlan
from poolbudget.planning.modes import MOVED
from poolbudget.planning.poolers import pooler

Clients = Mapping[BudgetKey, frozenset[str]]
"""By the budget of a pooler: addresses of the clients that it shows."""


def unproven(plan: ServerPlan, ledger: Ledger) -> frozenset[WorkloadKey]:
    """Return the workloads that Auto has moved to a pooler of ours and of which no pod was seen there yet."""
    own = {key for key, pooler in plan.poolers.items() if not pooler.external}
    moved = {key for key, workload in plan.workloads.items() if workload.fits and workload.reason in MOVED}
    return frozenset(key for key in moved - proven(ledger) if key.budget_key in own)


def proven(ledger: Ledger) -> frozenset[WorkloadKey]:
    """Return the workloads of which a pod is behind the pooler."""
    return frozenset(entry.workload for entry in ledger.values() if entry.behind_pooler and not entry.unseen)


def lending(plan: ServerPlan, budgets: Iterable[Budget], ledger: Ledger, held: Mapping[BudgetKey, int]) -> ServerPlan:
    """Return the plan in which each pooler leaves room for pods that were not seen behind it yet.

    It does not grow into what these may need, and gives back for the first pod of each workload what it has grown to;
    its minimum stays. `held`: what poolers are charged.
    """
    waiting = unproven(plan, ledger)
    least = {budget.key: found.minimum for budget in budgets if (found := pooler(budget))}
    direct = Counter[WorkloadKey]()
    unseen = Counter[BudgetKey]()
    for entry in ledger.values():
        direct[entry.workload] += 0 if entry.sent_to_pooler else entry.connections
        unseen[entry.workload.budget_key] += entry.connections if entry.unseen and entry.workload not in waiting else 0
    lent = dict(plan.poolers)
    for key, pooling in plan.poolers.items():
        who = frozenset(workload for workload in waiting if workload.budget_key == key)
        mine = [plan.workloads[workload] for workload in who]
        first = sum(map(_first_pod, mine))
        most = unseen[key] + sum(max(w.peak * _first_pod(w), direct[w.key] + _first_pod(w)) for w in mine)
        if (who or most) and key in least:
            kept = min(pooling.connections - first, max(pooling.connections - most, held.get(key, 0)))
            lent[key] = _lend(pooling, max(least[key], kept), who)
    return replace(plan, poolers=lent)


def note_seen(
    ledger: dict[str, Reservation], pods: Mapping[str, Pod], clients: Clients, sessions: Sessions | None
) -> None:
    """Charge nothing any more for the pods that are clients of their pooler and hold nothing at the server itself.

    Where nobody reads the server, the pooler's word is enough. The address of a node tells nothing: any pod of it may
    show it.
    """
    backends = sessions.by_address if sessions is not None else {}
    for uid, entry in ledger.items():
        pod = pods.get(uid)
        if not entry.unseen or pod is None or not pod.address or pod.address == pod.host:
            continue
        is_client = pod.address in clients.get(entry.workload.budget_key, ())
        if is_client and not backends.get(pod.address):
            ledger[uid] = replace(entry, connections=0, unseen=False)


def addresses(ledger: Ledger, pods: Mapping[str, Pod]) -> dict[BudgetKey, frozenset[str]]:
    """Return where the pods are that each pooler should look out for."""
    found: dict[BudgetKey, set[str]] = {}
    for uid, entry in ledger.items():
        if entry.unseen and uid in pods and pods[uid].address:
            found.setdefault(entry.workload.budget_key, set()).add(pods[uid].address)
    return {key: frozenset(at) for key, at in found.items()}


def _first_pod(workload: WorkloadPlan) -> int:
    return (workload.processes or 0) * workload.floor + workload.workload.extra_per_pod


def _lend(pooling: PoolerPlan, kept: int, unproven: frozenset[WorkloadKey]) -> PoolerPlan:
    return replace(pooling, connections=kept, lent=pooling.connections - kept, unproven=unproven)
