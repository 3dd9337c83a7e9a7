"""The operator's process: leads or waits to lead, and then runs the rounds. Called by `poolbudget operator`.

kopf watches PoolBudgets (`on.event` only: no finalizer, no annotation), `observe.caches` everything else; both feed
`servers`. The process ends, and its Deployment starts it again, whenever it can no longer know that it leads.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from poolbudget.act.authority import Validity
from poolbudget.act.certificates import keep_certificates
from poolbudget.act.lease import LEASE_NAME, Lease, default_identity
from poolbudget.act.ledger import LedgerStore, servers_with_ledger
from poolbudget.act.notices import Notices
from poolbudget.act.outbox import Outbox
from poolbudget.act.pods import PodWriter
from poolbudget.act.pooler import Poolers
from poolbudget.act.rollouts import RolloutWriter
from poolbudget.act.status import StatusWriter
from poolbudget.budgets import Budgets, watch_budgets
from poolbudget.health import Health, serve_health
from poolbudget.kube import Kube
from poolbudget.ledger.unscheduled import Unscheduled
from poolbudget.metrics import LEADING
from poolbudget.observe.caches import Caches
from poolbudget.observe.gather import Gatherer
from poolbudget.observe.namespaces import Namespaces
from poolbudget.observe.unlabelled import Unlabelled
from poolbudget.orphans import Orphans
from poolbudget.planning.memory import Remembered
from poolbudget.planning.model import BudgetKey
from poolbudget.reconcile import Server
from poolbudget.servers import Servers

log = logging.getLogger(__name__)

CERTIFICATE_SETTLE_FACTOR = 6
"""A change of trust reaches API servers and webhooks later than a session shows in the database: settle times."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the operator was started; times in seconds."""

    namespace: str
    kubeconfig: str | None
    health_port: int
    lease_duration: float
    settle_time: float
    cooldown: float
    stabilization: float
    pooler_image: str


async def run(options: Options) -> None:
    """Wait for the lease and lead until told to stop; raise `LeaseLostError` if the lease is lost before."""
    _collect_rarely()
    stop, health = asyncio.Event(), Health()
    _stop_on_signals(stop)
    async with serve_health(options.health_port, health), Kube.connect(options.kubeconfig) as kube:
        lease = Lease(kube, options.namespace, LEASE_NAME, default_identity(), options.lease_duration)
        await _until(stop, _watch_and_lead(kube, lease, options, health, stop))
        await lease.release()


def _collect_rarely() -> None:
    """Let the collector leave alone what was imported, and look at the rest less often.

    Each page of a list is a hundred thousand objects that live only a moment: looking for cycles among them, and among
    all pods each time, took two fifths of the processor time of listing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Work until it is done or fails, or until told to stop."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
    await asyncio.gather(working, stopping, return_exceptions=True)
    if not working.cancelled() and (error := working.exception()) is not None:
        raise error


async def _watch_and_lead(kube: Kube, lease: Lease, options: Options, health: Health, stop: asyncio.Event) -> None:
    """Watch the cluster, and once the lease is ours run everything that a leader does; ends when a part of it fails.

    A replica that does not lead watches, too: a pod that ends while nobody leads is known to have ended.
    """
    reporter, outbox = default_identity(), Outbox()
    status = StatusWriter(kube, reporter)

    def make(name: str) -> Server:
        return Server(
            name=name,
            gatherer=Gatherer(kube, caches, unlabelled, options.settle_time),
            namespaces=Namespaces(kube),
            ledger=LedgerStore(kube, options.namespace, name),
            pods=PodWriter(kube, outbox, reporter),
            notices=Notices(kube, outbox, reporter),
            poolers=poolers,
            rollouts=RolloutWriter(kube, reporter),
            status=status,
            unscheduled=Unscheduled(options.cooldown),
            cooldown=timedelta(seconds=options.cooldown),
            moved=Remembered(timedelta(seconds=options.stabilization)),
        )

    def budget_touched(key: BudgetKey) -> None:
        servers.wake_budget(key)
        orphans.wake()

    def budgets_changed() -> None:
        unlabelled.keep(servers.namespaces())
        orphans.wake()

    servers = Servers(make)
    poolers = Poolers(kube, options.pooler_image, options.namespace, servers.wake_budget)
    health.sessions = servers.sessions
    caches = Caches(kube, budget_touched, servers.wake_target)
    unlabelled = Unlabelled(kube, caches)
    orphans = Orphans(caches, servers, Notices(kube, outbox, reporter))
    budgets = Budgets(servers, status, budgets_changed)
    async with asyncio.TaskGroup() as group:
        for watch in caches.run():
            group.create_task(watch)
        await caches.synced()
        health.ready = True
        await lease.acquire()
        LEADING.set(1)
        settle = timedelta(seconds=CERTIFICATE_SETTLE_FACTOR * options.settle_time)
        group.create_task(lease.keep())
        group.create_task(keep_certificates(kube, options.namespace, validity=Validity(settle=settle)))
        group.create_task(watch_budgets(budgets, options.kubeconfig))
        await budgets.synced(kube)
        group.create_task(budgets.confirm(kube))
        _stop_on_signals(stop)  # kopf has put its own handlers in their place
        for name in await servers_with_ledger(kube, options.namespace):
            servers.add_server(name)
        log.info("leading: the picture of the cluster is complete")
        for part in (unlabelled.run(), outbox.run(), orphans.run(), poolers.run(), servers.run()):
            group.create_task(part)
