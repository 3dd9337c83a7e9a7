"""From one snapshot of a server to one decision. Pure: the same snapshot always gives the same decision.

`reconcile` calls it after `planning.plan` and hands the decision to `act`: the ledger is written first, then pods are
patched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from poolbudget.api.v1alpha1 import PoolBudgetSpec, WorkloadMode
from poolbudget.ledger.adoption import mention_unmanaged
from poolbudget.ledger.grant import Claim, claims, grant_one
from poolbudget.ledger.model import MOST_ENTRIES, Decision, Grant, Ledger, Pod, Reservation, Wait
from poolbudget.ledger.release import Boots, Evidence, Sessions, keep_what_may_live, restored
from poolbudget.ledger.room import Room
from poolbudget.ledger.shortage import Shortage
from poolbudget.ledger.triage import NamespaceLabels, Verdict, triage
from poolbudget.ledger.unmanaged import Charge, UnmanagedPod
from poolbudget.ledger.unseen import Clients, note_seen
from poolbudget.planning.model import BudgetKey, ServerPlan, WorkloadKey
from poolbudget.planning.poolers import endpoint

LEDGER_FULL_REMEDY = "run fewer pods with more processes each, or divide the database among several servers"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a decision on one server depends on.

    `specs` are the budgets of the server; `pods` their labelled pods by uid, and those of deleted budgets; `gone` the
    pods of the ledger that a quorum read no longer finds, with their last known state; `boots` the nodes of these, read
    after them; `sessions` what the database shows, read last; `elsewhere` the sessions that no grant covers, beyond the
    ordinary reserve; `namespaces` the labels of those that a budget selects by label; `unmanaged` what is charged for
    pods of workloads that never passed admission; `rolled` the workload whose pods are being replaced because we have
    changed their template; `clients` the addresses that poolers show.
    """

    specs: Mapping[BudgetKey, PoolBudgetSpec]
    plan: ServerPlan
    ledger: Ledger
    pods: Mapping[str, Pod]
    gone: Mapping[str, Pod | None]
    sessions: Sessions | None
    elsewhere: int
    namespaces: NamespaceLabels = field(default_factory=dict)
    boots: Boots = field(default_factory=dict)
    unmanaged: tuple[Charge, ...] = ()
    rolled: WorkloadKey | None = None
    clients: Clients = field(default_factory=dict)

    @property
    def beside_grants(self) -> int:
        """What is charged beside grants and poolers: to unmanaged pods, and for sessions that nothing covers."""
        return sum(charge.connections for charge in self.unmanaged) + self.elsewhere


def decide(snapshot: Snapshot) -> Decision:
    """Release what has ended, repeat grants that may not have arrived, then grant what fits."""
    evidence = Evidence(snapshot.pods, snapshot.gone, snapshot.boots, snapshot.sessions)
    ledger = restored(keep_what_may_live(snapshot.ledger, evidence), snapshot.pods)
    note_seen(ledger, snapshot.plan, snapshot.pods, snapshot.clients, snapshot.sessions)
    waiting = [p for p in snapshot.pods.values() if p.waits and p.workload.budget_key in snapshot.specs]
    verdicts = [(pod, triage(pod, snapshot.specs, snapshot.namespaces)) for pod in waiting]

    room = Room(snapshot.plan, ledger, snapshot.elsewhere, snapshot.unmanaged, snapshot.rolled)
    granted = [snapshot.pods[uid] for uid in ledger if uid in snapshot.pods]
    held: list[Pod | UnmanagedPod] = [*granted, *(charge.pod for charge in snapshot.unmanaged)]
    answers = claims([pod for pod, verdict in verdicts if verdict is Verdict.SIZE], snapshot.plan.workloads, held)
    waits = [answer for answer in (*(v for _, v in verdicts), *answers) if isinstance(answer, Wait)]
    grants: list[Grant] = []
    for claim in sorted((answer for answer in answers if isinstance(answer, Claim)), key=lambda c: c.rank):
        reserved = ledger.get(claim.pod.uid)
        answer = _grant_new(claim, room, ledger) if reserved is None else _repeat(claim, reserved, snapshot.specs)
        if isinstance(answer, Wait):
            waits.append(answer)
            continue
        ledger[claim.pod.uid] = reserved or _reserve(answer)
        grants.append(answer)
    return Decision(
        ledger=ledger,
        grants=tuple(grants),
        waits=_explained(waits, ledger, snapshot),
        opened=tuple(pod for pod, verdict in verdicts if verdict is Verdict.OPEN),
        recreated=tuple(pod for pod, verdict in verdicts if verdict is Verdict.RECREATE),
        kept=room.kept,
    )


def _explained(waits: list[Wait], ledger: Ledger, snapshot: Snapshot) -> tuple[Wait, ...]:
    """Say to those that lack room who has it."""
    if not waits:
        return ()
    shortage = Shortage(ledger, snapshot.pods)
    return mention_unmanaged(map(shortage.explain, waits), snapshot.unmanaged)


def _grant_new(claim: Claim, room: Room, ledger: Ledger) -> Grant | Wait:
    if len(ledger) >= MOST_ENTRIES:
        message = f"the ledger of this server holds {len(ledger)} pods, which is the most: {LEDGER_FULL_REMEDY}"
        return Wait(claim.pod, "LedgerFull", message)
    return grant_one(claim, room)


def _reserve(grant: Grant) -> Reservation:
    pod = grant.pod
    return Reservation(pod.uid, grant.connections, pod.namespace, pod.name, pod.workload, unseen=grant.unseen)


def _repeat(claim: Claim, reserved: Reservation, specs: Mapping[BudgetKey, PoolBudgetSpec]) -> Grant | Wait:
    """Grant once more what the ledger holds: the patch that should have followed may not have arrived.

    The amount must stay, since the patch may also have arrived unseen; so a pod that was granted connections of its own
    starts with these, even if its workload has been moved behind a pooler meanwhile.
    """
    if reserved.sent_to_pooler:
        return _repeat_behind_pooler(claim, reserved, specs[claim.plan.key.budget_key])
    plan = replace(claim.plan, mode=WorkloadMode.DIRECT)
    if reserved.connections < (needed := plan.bound(claim.processes, max(1, claim.floor))):
        message = f"was granted {reserved.connections} before the budget changed and now needs {needed}: delete the pod"
        return Wait(claim.pod, "GrantOutdated", message)
    share = (reserved.connections - plan.workload.extra_per_pod) // claim.processes
    return Grant(claim.pod, reserved.connections, share)


def _repeat_behind_pooler(claim: Claim, reserved: Reservation, spec: PoolBudgetSpec) -> Grant | Wait:
    if claim.plan.mode is WorkloadMode.DIRECT or endpoint(claim.plan.key.budget_key, spec) is None:
        message = "was granted a place behind the pooler before the budget changed: delete the pod"
        return Wait(claim.pod, "GrantOutdated", message)
    return Grant(claim.pod, reserved.connections, claim.share, claim.plan.mode)
