"""Which budgets share which server, and one task for each server, its single writer.

`main` feeds it budgets (from kopf) and changes of the cluster (from `observe.caches`). A task wakes, runs a round
(`reconcile`), and sleeps until the next change or the next look at the database.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from poolbudget.act.ledger import LedgerConflictError
from poolbudget.kube import ApiError
from poolbudget.ledger.codec import LedgerCorruptError
from poolbudget.ledger.namesakes import Namesakes
from poolbudget.ledger.release import Evidence, keep_what_may_live
from poolbudget.metrics import ROUND_FAILURES, ROUND_SECONDS
from poolbudget.planning.model import Budget, BudgetKey, TargetKey
from poolbudget.planning.plan import server_key
from poolbudget.pooler.charges import charges, pooler_pods, proven
from poolbudget.reconcile import SameServerError, Server, reconcile

log = logging.getLogger(__name__)

OBSERVE_SECONDS = 5.0
RETRY_SECONDS = 1.0
REST_SECONDS = 0.5
"""The longest rest after a round: as long as the processor worked, so that a burst leaves half of it to others."""


class Servers:
    """All servers that budgets name. `make` prepares what the rounds of a new server work with."""

    def __init__(self, make: Callable[[str], Server]) -> None:
        self._make = make
        self._budgets: dict[BudgetKey, Budget] = {}
        self._tasks: dict[str, ServerTask] = {}
        self._namesakes = Namesakes()
        self._running: asyncio.TaskGroup | None = None

    def __contains__(self, key: BudgetKey) -> bool:
        return key in self._budgets

    def set_budget(self, budget: Budget) -> None:
        """Take in a new or changed budget; the server that it named before learns that it left."""
        if self._budgets.get(budget.key) == budget:
            return
        self.remove_budget(budget.key)
        self._budgets[budget.key] = budget
        name = server_key(budget)
        self.add_server(name)
        self._tasks[name].server.budgets[budget.key] = budget
        self._tasks[name].wake()

    def remove_budget(self, key: BudgetKey) -> None:
        """Take out a deleted budget. Its ledger stays, since its pods still run."""
        if (budget := self._budgets.pop(key, None)) is not None:
            task = self._tasks[server_key(budget)]
            del task.server.budgets[key]
            task.wake()

    def namespaces(self) -> frozenset[str]:
        """Return the namespaces that have budgets."""
        return frozenset(key.namespace for key in self._budgets)

    def charges(self, key: BudgetKey) -> bool:
        """Whether pods of the budget stand in a ledger, although it may have been deleted."""
        return any(task.server.ledger.charges(key) for task in self._tasks.values())

    def sessions(self) -> dict[str, Mapping[str, int]]:
        """Return the client backends by client address that each observed server showed last."""
        seen = {name: task.server.gatherer.last_sessions for name, task in self._tasks.items()}
        return {name: sessions.by_address for name, sessions in seen.items() if sessions is not None}

    def wake_budget(self, key: BudgetKey) -> None:
        """Run a round for the server of a budget whose pods changed."""
        if (budget := self._budgets.get(key)) is not None:
            self._tasks[server_key(budget)].wake()

    def wake_target(self, key: TargetKey) -> None:
        """Run a round for every server of which this controller makes a workload."""
        for budget in self._budgets.values():
            names = {(w.target.kind, w.target.name) for w in budget.spec.workloads}
            if budget.key.namespace == key.namespace and (key.kind, key.name) in names:
                self._tasks[server_key(budget)].wake()

    async def run(self) -> None:
        """Run rounds for ever, those of each server one after another, those of different servers side by side."""
        async with asyncio.TaskGroup() as self._running:
            for task in self._tasks.values():
                self._running.create_task(task.run())
            await asyncio.Event().wait()

    def add_server(self, name: str) -> None:
        """Take in a server, also one of which nothing but its ledger is left."""
        if name in self._tasks:
            return
        self._tasks[name] = ServerTask(self._make(name), self._elder, self._identified)
        if self._running is not None:
            self._running.create_task(self._tasks[name].run())

    async def _identified(self) -> None:
        """Return once every server was asked who it is."""
        for task in tuple(self._tasks.values()):
            await task.identified.wait()

    def _elder(self, server: Server) -> str | None:
        """Return the name under which this Postgres is served, if an older budget reaches it by another one."""
        named = {name: task.server for name, task in self._tasks.items() if task.server.budgets}
        starts = {name: start for name, other in named.items() if (start := other.gatherer.started) is not None}
        names = {server.name, *self._namesakes.of(server.name, starts)} & named.keys()
        oldest = min(names, key=lambda name: (named[name].in_order[0].created, name), default=server.name)
        return None if oldest == server.name else oldest


class ServerTask:
    """Runs the rounds of one server, one at a time.

    `elder`: see `reconcile`. It can tell once all are `identified`.
    """

    def __init__(
        self, server: Server, elder: Callable[[Server], str | None], all_identified: Callable[[], Awaitable[None]]
    ) -> None:
        self.server = server
        self.identified = asyncio.Event()
        self._elder, self._all_identified = elder, all_identified
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Ask for a round; those asked for during a round become one."""
        self._changed.set()

    async def run(self) -> None:
        """Run rounds for ever. A failed one is logged and tried again: it has left nothing half done."""
        await self.server.gatherer.identify(self.server.in_order)
        self.identified.set()
        await self._all_identified()
        while True:
            self._changed.clear()
            worked = time.process_time()
            await self._round()
            await asyncio.sleep(min(REST_SECONDS, time.process_time() - worked))
            with suppress(TimeoutError):
                async with asyncio.timeout(OBSERVE_SECONDS):
                    await self._changed.wait()

    async def _round(self) -> None:
        try:
            with ROUND_SECONDS.time():
                await (reconcile(self.server, self._elder) if self.server.budgets else _drain(self.server))
        except LedgerConflictError as conflict:
            log.info("%s: deciding anew: %s", self.server.name, conflict)
            self.wake()
        except ApiError as error:
            log.warning("%s: %s", self.server.name, error)
            await self._try_again(error)
        except SameServerError as same:
            await self._report("SameServer", str(same))
        except LedgerCorruptError as error:
            message = f"ConfigMap {self.server.ledger.name}: {error}: correct or delete that line; nothing is granted"
            log.warning("%s: %s", self.server.name, message)
            await self._report("LedgerCorrupt", message)
            await self._try_again(error)
        except Exception as error:  # one server's trouble must not end the rounds of the others
            log.exception("%s: the round failed", self.server.name)
            await self._report("RoundFailed", f"the operator failed, see its log: {error!r}; nothing is granted")
            await self._try_again(error)

    async def _report(self, reason: str, message: str) -> None:
        for budget in tuple(self.server.budgets.values()):  # kopf may add and remove some meanwhile
            await self.server.status.write_failure(budget.key, budget.generation, reason, message)

    async def _try_again(self, error: Exception) -> None:
        ROUND_FAILURES.labels(self.server.name, type(error).__name__).inc()
        await asyncio.sleep(RETRY_SECONDS)
        self.wake()


async def _drain(server: Server) -> None:
    """Release what ends at a server that no budget names any more: pods of a deleted budget still run."""
    ledger, held = await server.ledger.read(), server.ledger.poolers
    if ledger or held:
        pooling = pooler_pods(server.poolers.states(held))
        seen = await server.gatherer.gather((), ledger, server.ledger.noted, pooling)
        evidence = Evidence(seen.pods, seen.gone, seen.boots, seen.sessions)
        charged = charges(held, {}, proven(server.poolers.states(held)), room=0)
        await server.ledger.write(keep_what_may_live(ledger, evidence), poolers=charged)
        server.poolers.keep((), {}, charged, frozenset(), {}, seen.sessions)
    else:
        await server.ledger.remove()
