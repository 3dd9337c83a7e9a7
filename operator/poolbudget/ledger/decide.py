"""From one snapshot of a server to one decision. Pure: the same snapshot always gives the same decision.

`reconcile` calls it after `planning.plan` and hands the decision to `act`: the ledger is written first, then pods are
patched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.ledger.grant import Claim, claims, grant_one
from poolbudget.ledger.model import Decision, Grant, Ledger, Pod, Reservation, Wait
from poolbudget.ledger.release import Sessions, keep_what_may_live, restore_what_was_granted
from poolbudget.ledger.room import Room
from poolbudget.ledger.triage import Verdict, triage
from poolbudget.planning.model import BudgetKey, ServerPlan

LACKS_ROOM = frozenset({"NoRoom", "PodsBeyondPlan"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a decision on one server depends on.

    `specs` are the budgets of the server; `pods` their labelled pods by uid, and those of deleted budgets; `gone` the
    pods of the ledger that a quorum read no longer finds, with their last known state; `sessions` what the database
    shows, read after the pods; `elsewhere` the sessions of nobody beyond the ordinary reserve.
    """

    specs: Mapping[BudgetKey, PoolBudgetSpec]
    plan: ServerPlan
    ledger: Ledger
    pods: Mapping[str, Pod]
    gone: Mapping[str, Pod | None]
    sessions: Sessions | None
    elsewhere: int


def decide(snapshot: Snapshot) -> Decision:
    """Release what has ended, repeat grants that may not have arrived, then grant what fits."""
    ledger = keep_what_may_live(snapshot.ledger, snapshot.pods, snapshot.gone, snapshot.sessions)
    restore_what_was_granted(ledger, snapshot.pods)
    waiting = [p for p in snapshot.pods.values() if p.waits and p.workload.budget_key in snapshot.specs]
    verdicts = [(pod, triage(pod, snapshot.specs)) for pod in waiting]

    room = Room(snapshot.plan, ledger, snapshot.elsewhere)
    held = [snapshot.pods[uid] for uid in ledger if uid in snapshot.pods]
    answers = claims([pod for pod, verdict in verdicts if verdict is Verdict.SIZE], snapshot.plan.workloads, held)
    waits = [answer for answer in (*(v for _, v in verdicts), *answers) if isinstance(answer, Wait)]
    grants: list[Grant] = []
    for claim in sorted((answer for answer in answers if isinstance(answer, Claim)), key=lambda c: c.rank):
        reserved = ledger.get(claim.pod.uid)
        answer = grant_one(claim, room, ledger) if reserved is None else _repeat(claim, reserved)
        if isinstance(answer, Wait):
            waits.append(answer)
            continue
        ledger[claim.pod.uid] = reserved or _reserve(answer)
        grants.append(answer)
    return Decision(
        ledger=ledger,
        grants=tuple(grants),
        waits=tuple(_mention_vanished(wait, ledger, snapshot.pods) for wait in waits),
        opened=tuple(pod for pod, verdict in verdicts if verdict is Verdict.OPEN),
        recreated=tuple(pod for pod, verdict in verdicts if verdict is Verdict.RECREATE),
    )


def _mention_vanished(wait: Wait, ledger: Ledger, pods: Mapping[str, Pod]) -> Wait:
    """Name those for whom room is held although they no longer exist: only a person may know that they have ended."""
    vanished = [entry for uid, entry in ledger.items() if uid not in pods]
    if not vanished or wait.reason not in LACKS_ROOM:
        return wait
    names = ", ".join(f"{entry.namespace}/{entry.pod}" for entry in vanished[:3]) + (", ..." if vanished[3:] else "")
    held = sum(entry.connections for entry in vanished)
    hint = f"{held} connections are held for pods that vanished without proof of their end ({names}): poolbudget forget"
    return replace(wait, message=f"{wait.message}; {hint}")


def _reserve(grant: Grant) -> Reservation:
    pod = grant.pod
    return Reservation(pod.uid, grant.connections, pod.namespace, pod.name, pod.workload)


def _repeat(claim: Claim, reserved: Reservation) -> Grant | Wait:
    """Grant once more what the ledger holds: the patch that should have followed may not have arrived.

    The amount must stay, since the patch may also have arrived unseen.
    """
    if reserved.connections < (needed := claim.bound(max(1, claim.plan.floor))):
        message = f"was granted {reserved.connections} before the budget changed and now needs {needed}: delete the pod"
        return Wait(claim.pod, "GrantOutdated", message)
    share = (reserved.connections - claim.plan.workload.extra_per_pod) // claim.processes
    return Grant(claim.pod, reserved.connections, share)
