"""One round for one server: observe, plan, decide, act, report.

`servers` runs a round whenever something changed, one at a time: it is the only writer of the server's ledger.
Everything is decided on one picture, and what is decided is a value; only then something is done.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from poolbudget.act.ledger import LedgerStore
from poolbudget.act.notices import Notices
from poolbudget.act.pods import Annotations, PodWriter
from poolbudget.act.pooler import Poolers
from poolbudget.act.rollouts import RolloutWriter
from poolbudget.act.status import StatusWriter
from poolbudget.ledger.books import Books, Excess, audit
from poolbudget.ledger.decide import Snapshot, decide
from poolbudget.ledger.model import Decision, Ledger, Pod, Wait
from poolbudget.ledger.modes import with_poolers_in_use
from poolbudget.ledger.release import restored
from poolbudget.ledger.rollouts import decide_rollouts, rolled_last
from poolbudget.ledger.settings import grant_annotations
from poolbudget.ledger.triage import NamespaceLabels
from poolbudget.ledger.unmanaged import charge
from poolbudget.ledger.unscheduled import Unscheduled
from poolbudget.ledger.unseen import Clients, addresses, lending
from poolbudget.metrics import record_round
from poolbudget.observe.gather import Gatherer, Observation
from poolbudget.observe.namespaces import Namespaces
from poolbudget.planning.memory import Remembered
from poolbudget.planning.model import Budget, BudgetKey, ServerPlan, WorkloadKey
from poolbudget.planning.plan import plan_server
from poolbudget.pooler.charges import as_charged, charges, free, in_use, pooler_pods, proven
from poolbudget.report import Findings, conditions, live_status

HAND_OVER_SECONDS = 2.0
"""The longest that a round waits for its grants to be taken up.

In a burst, what comes meanwhile is decided at once: its grants would stand in line behind these anyway.
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What the rounds of one server work with. `budgets` changes between rounds; the others remember what they did."""

    name: str
    gatherer: Gatherer
    namespaces: Namespaces
    ledger: LedgerStore
    pods: PodWriter
    notices: Notices
    poolers: Poolers
    rollouts: RolloutWriter
    status: StatusWriter
    unscheduled: Unscheduled
    cooldown: timedelta
    budgets: dict[BudgetKey, Budget] = field(default_factory=dict)
    excess: Excess = field(default_factory=Excess)
    moved: Remembered = field(default_factory=Remembered)

    @property
    def in_order(self) -> tuple[Budget, ...]:
        """Its budgets, the oldest first."""
        return tuple(sorted(self.budgets.values(), key=lambda budget: (budget.created, budget.key)))


class SameServerError(Exception):
    """An older budget reaches the same Postgres by another name: only that one is served."""


async def reconcile(server: Server, elder: Callable[[Server], str | None]) -> None:
    """Run one round; raise `LedgerConflictError` if the picture was old, `ApiError` if the API server failed us.

    `elder` gives the name under which the server is served, if that is another: then raise `SameServerError`.
    """
    # 1. Observe: the ledger, pods and controllers, and last the database.
    budgets = server.in_order
    ledger = await server.ledger.read()
    pooling = pooler_pods(server.poolers.states(server.ledger.poolers))
    seen = await server.gatherer.gather(budgets, ledger, server.ledger.noted, pooling)
    if (name := elder(server)) is not None:
        raise _refuse(server, name, seen)
    namespaces = await server.namespaces.labels(budgets, seen.pods.values())

    # 2. Plan: divide what is usable among the workloads; poolers keep what they may still hold.
    wanted, held = _plan(server, seen, restored(ledger, seen.pods)), server.ledger.poolers
    plan, poolers = as_charged(wanted, held), server.poolers.states(wanted.poolers.keys() | held)

    # 3. Decide: what has ended, what starts, what waits, what makes room.
    books = audit(ledger, seen.pods, seen.sessions, seen.unmanaged, pooler_pods(poolers)) if seen.sessions else None
    applied = server.rollouts.applied(seen.targets.values())
    clients = {key: pooler.clients for key, pooler in poolers.items()}
    snapshot = _snapshot(seen, plan, ledger, books, namespaces, rolled_last(plan, seen.targets, applied), clients)
    decision, now = decide(snapshot), time.monotonic()
    stuck = server.unscheduled.lasting(decision.ledger, seen.pods, now)
    yielding = server.unscheduled.due(stuck, snapshot, decision, now)
    rollouts = decide_rollouts(snapshot, decision, seen.targets, applied, datetime.now(UTC), server.cooldown)

    # 4. Act: the ledger first, for what is not written down is not given. Grants leave before anything is reported.
    room = free(plan, held, decision.committed + snapshot.beside_grants + decision.kept)
    charged = charges(held, wanted.poolers, proven(poolers), room)
    await server.ledger.write(decision.ledger, seen.noted, charged)
    looked_for = addresses(decision.ledger, seen.pods)
    server.poolers.keep(budgets, wanted.poolers, charged, in_use(decision.ledger), looked_for, seen.sessions)
    started = server.pods.start(_starts(snapshot, decision))
    server.pods.recreate(decision.recreated, "Recreated", "was born with the settings of another time")
    server.pods.recreate(yielding, "Unscheduled", "found no node, and others wait for its connections")
    await server.rollouts.start(rollouts.restart)
    await server.pods.taken_up(HAND_OVER_SECONDS)

    # 5. Report: on the pods that wait, on the budgets, in the metrics.
    server.notices.show(decision.waits, seen.pods.values())
    found = Findings(
        snapshot=snapshot,
        decision=decision,
        books=books,
        exceeding=server.excess.lasting(books, now) if books else (),
        unscheduled=stuck,
        blind=seen.blind,
        checks_clients=seen.checks_clients,
        notes=rollouts.notes,
        poolers=poolers,
        charged=charged,
    )
    for budget in budgets:
        await server.status.write(budget.key, budget.generation, live_status(budget, found), conditions(budget, found))
    record_round(server.name, plan.usable, found.committed, len(decision.waits), started)


def _refuse(server: Server, elder: str, seen: Observation) -> SameServerError:
    """Tell the pods that wait; the next look follows the name anew, which may lead elsewhere by then."""
    message = f"{server.name} is {elder} by another name: write that in `database`"
    waits = [Wait(pod, "SameServer", message) for pod in seen.pods.values() if pod.waits]
    server.notices.show(waits, seen.pods.values())
    server.gatherer.disconnect()
    return SameServerError(f"{message}; nothing is granted")


def _plan(server: Server, seen: Observation, ledger: Ledger) -> ServerPlan:
    """Divide what is usable, with what the last rounds planned in mind.

    Poolers stay that pods are behind, and leave room for those that were not seen there yet.
    """
    shown = {key: server.status.shown(key) for key in server.budgets}
    before = server.moved.before(shown, datetime.now(UTC))
    planned = plan_server(seen.budgets, seen.targets, seen.capacity.believed, seen.capacity.least, before)
    server.moved.after(planned)
    kept = with_poolers_in_use(planned, seen.budgets, ledger)
    return lending(kept, seen.budgets, ledger, server.ledger.poolers)


def _snapshot(
    seen: Observation,
    plan: ServerPlan,
    ledger: Ledger,
    books: Books | None,
    namespaces: NamespaceLabels,
    rolled: WorkloadKey | None,
    clients: Clients,
) -> Snapshot:
    specs = {budget.key: budget.spec for budget in seen.budgets}
    return Snapshot(
        specs=specs,
        plan=plan,
        ledger=ledger,
        pods=seen.pods,
        gone=seen.gone,
        sessions=seen.sessions,
        elsewhere=books.elsewhere(plan.for_unnamed) if books else 0,
        namespaces=namespaces,
        boots=seen.boots,
        unmanaged=charge(seen.unmanaged, books.by_unmanaged if books else None, specs),
        rolled=rolled,
        clients=clients,
    )


def _starts(snapshot: Snapshot, decision: Decision) -> list[tuple[Pod, Annotations]]:
    """Return the pods whose gate is opened, with what makes the annotations that they get."""
    granted = [(g.pod, partial(grant_annotations, g, snapshot.specs, snapshot.plan)) for g in decision.grants]
    return [*granted, *((pod, dict) for pod in decision.opened)]
