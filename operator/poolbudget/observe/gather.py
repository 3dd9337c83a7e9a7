"""Gather one picture of a server, on which everything of a round is decided.

First step of `reconcile`. The order matters: pods first, then the pods that vanished, then the nodes of these, then the
database: what a node or the database shows is never older than the end of a pod.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.books import PoolerPod
from poolbudget.ledger.model import Ledger, Noted, Pod
from poolbudget.ledger.namesakes import Start
from poolbudget.ledger.release import Boots, Sessions
from poolbudget.ledger.sightings import Sightings
from poolbudget.ledger.unmanaged import UnmanagedPod, ungranted
from poolbudget.observe.caches import Caches
from poolbudget.observe.database import Monitor, Reading
from poolbudget.observe.login import Unobservable
from poolbudget.observe.unlabelled import Unlabelled
from poolbudget.planning.capacity import Belief
from poolbudget.planning.model import Budget, Target, TargetKey, WorkloadKey
from poolbudget.planning.sizing import target_key

CONFIRMATIONS_IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Observation:
    """What the cluster and the database say of one server now.

    `unmanaged`: live pods of its workloads that never passed admission. `boots` are the nodes of the pods that are
    `gone`. `capacity` is what is believed of the server, and what was noted of it before where it cannot be read now.
    `blind` says why it could not be read: a CamelCase reason, and what to do. `shows_pods`: it has
    shown a pod at the pod's own address. `checks_clients`: it soon ends a backend whose client vanished.
    """

    budgets: tuple[Budget, ...]
    targets: Mapping[TargetKey, Target]
    pods: Mapping[str, Pod]
    gone: Mapping[str, Pod | None]
    boots: Boots
    capacity: Belief
    sessions: Sessions | None
    blind: tuple[str, str] | None
    unmanaged: tuple[UnmanagedPod, ...]
    shows_pods: bool
    checks_clients: bool = True

    @property
    def noted(self) -> Noted:
        """What the operator to come should know of it."""
        return Noted(self.capacity.believed, self.shows_pods)


class Gatherer:
    """Gathers for one server; remembers what was confirmed gone, and what the database has shown.

    `started`: what the server said last of when it did, None while nobody could ask it.
    """

    def __init__(self, kube: Kube, caches: Caches, unlabelled: Unlabelled, settle_time: float) -> None:
        self._kube, self._caches, self._unlabelled = kube, caches, unlabelled
        self._gone: dict[str, Pod | None] = {}
        self._sightings = Sightings(settle_time)
        self._monitor: Monitor | None = None
        self._capacity: Belief | None = None
        self.last_sessions: Sessions | None = None
        self.started: Start | None = None

    async def identify(self, budgets: tuple[Budget, ...]) -> None:
        """Ask the database who it is: `started` says so from then on. What goes wrong, the first round says."""
        with suppress(Exception):
            await self._read(budgets)

    def disconnect(self) -> None:
        """Let the next look at the database go wherever its name leads by then."""
        if self._monitor is not None:
            self._monitor.close()

    async def gather(
        self, budgets: tuple[Budget, ...], ledger: Ledger, noted: Noted, poolers: Iterable[PoolerPod]
    ) -> Observation:
        """Return the picture; raise `ApiError` if a vanished pod or its node cannot be asked for.

        `noted` is what an earlier operator knew of the server; `poolers` are the pods of the server's poolers.
        """
        without_labels = await self._unlabelled.of(_workloads_by_target(budgets))
        targets = self._targets(budgets)
        keys = {budget.key for budget in budgets} | {entry.workload.budget_key for entry in ledger.values()}
        pods = {uid: pod for key in keys for uid, pod in self._caches.pods_of(key).items()}
        gone = await self._confirm_gone(ledger, pods)
        for key in keys:
            self._caches.forget_departed(key, ledger)
        boots = await self._boots({ledger[uid].node for uid in gone} - {""})
        unmanaged = (*ungranted(pods.values(), ledger), *(pod for pod in without_labels if pod.uid not in ledger))
        reading = await self._read(budgets)
        self._capacity = self._capacity or Belief.of(noted.capacity)
        self._sightings.shows_pods |= noted.shows_pods
        if isinstance(reading, Unobservable):
            self._sightings.interrupt()
            self.last_sessions = None
            blind = (reading.reason, str(reading))
            seen = (budgets, targets, pods, gone, boots, self._capacity, None, blind, unmanaged)
            return Observation(*seen, self._sightings.shows_pods)
        now = asyncio.get_running_loop().time()
        self._capacity = self._capacity.after(reading.capacity, now)
        own: list[Pod | PoolerPod] = [*pods.values(), *poolers]
        addresses = {reservation.address for reservation in ledger.values()} - {""}
        self.last_sessions = sessions = self._sightings.enter(reading.backends, own, addresses, now)
        found = (budgets, targets, pods, gone, boots, self._capacity, sessions, None, unmanaged)
        return Observation(*found, self._sightings.shows_pods, checks_clients=reading.checks_clients)

    async def _read(self, budgets: tuple[Budget, ...]) -> Reading | Unobservable:
        """Ask the database as the oldest budget that has credentials says."""
        configured = [(b.key.namespace, b.spec.database) for b in budgets if b.spec.database]
        with_credentials = [(ns, database) for ns, database in configured if database.credentials_secret_ref]
        wanted = next(iter(with_credentials or configured), None)
        if wanted is None:
            return Unobservable("NotConfigured", "set `database` with credentialsSecretRef to observe the server")
        if self._monitor is None or self._monitor.configuration != wanted:
            self.disconnect()
            self._monitor = Monitor(self._kube, *wanted)
        try:
            reading = await self._monitor.read()
        except Unobservable as blind:
            return blind
        self.started = Start(reading.started, asyncio.get_running_loop().time())
        return reading

    def _targets(self, budgets: tuple[Budget, ...]) -> dict[TargetKey, Target]:
        keys = _workloads_by_target(budgets)
        return {key: target for key in keys if (target := self._caches.target(key)) is not None}

    async def _confirm_gone(self, ledger: Ledger, pods: Mapping[str, Pod]) -> dict[str, Pod | None]:
        """Ask the API server for every pod of the ledger that the cache no longer shows."""
        missing = [uid for uid in ledger if uid not in pods and uid not in self._gone]
        found = await self._ask(f"/api/v1/namespaces/{ledger[uid].namespace}/pods/{ledger[uid].pod}" for uid in missing)
        for uid, pod in zip(missing, found, strict=True):
            if pod is None or pod["metadata"]["uid"] != uid:
                self._gone[uid] = self._caches.departed_of(ledger[uid].workload.budget_key).get(uid)
        self._gone = {uid: last for uid, last in self._gone.items() if uid in ledger}
        return dict(self._gone)

    async def _boots(self, names: set[str]) -> dict[str, str | None]:
        """Ask the API server which instance and boot the nodes are now."""
        nodes = await self._ask(f"/api/v1/nodes/{name}" for name in names)
        return {name: parse_boot(node) if node else None for name, node in zip(names, nodes, strict=True)}

    async def _ask(self, paths: Iterable[str]) -> list[dict[str, Any] | None]:
        """Read objects from the API server itself (quorum); None where there is none."""
        in_flight = asyncio.Semaphore(CONFIRMATIONS_IN_FLIGHT)

        async def ask(path: str) -> dict[str, Any] | None:
            async with in_flight:
                try:
                    return await self._kube.get(path)
                except ApiError as error:
                    if error.status == 404:
                        return None
                    raise

        return await asyncio.gather(*map(ask, paths))


def parse_boot(node: Mapping[str, Any]) -> str:
    """Return one word for the instance (uid) and the boot of a Node: either changes when its processes have ended."""
    boot = node.get("status", {}).get("nodeInfo", {}).get("bootID", "")
    return "-".join((node["metadata"]["uid"], *boot.split()))


def _workloads_by_target(budgets: tuple[Budget, ...]) -> dict[TargetKey, WorkloadKey]:
    """Return whose pods a controller makes: the first workload that names it, if several do."""
    workloads: dict[TargetKey, WorkloadKey] = {}
    for budget in budgets:
        for workload in budget.spec.workloads:
            workloads.setdefault(target_key(budget, workload), WorkloadKey(*budget.key, workload.name))
    return workloads
