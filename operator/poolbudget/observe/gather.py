"""Gather one picture of a server, on which everything of a round is decided.

First step of `reconcile`. The order matters: pods first, then the pods that vanished, then the database, so that what
the database shows is never older than a pod's end.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.model import Ledger, Pod
from poolbudget.ledger.release import Sessions
from poolbudget.observe.caches import Caches
from poolbudget.observe.database import Monitor, Reading, Unobservable
from poolbudget.planning.model import Budget, Observed, Target, TargetKey

CONFIRMATIONS_IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Observation:
    """What the cluster and the database say of one server now.

    `blind` says why the database could not be read: a CamelCase reason, and what to do.
    """

    budgets: tuple[Budget, ...]
    targets: Mapping[TargetKey, Target]
    pods: Mapping[str, Pod]
    gone: Mapping[str, Pod | None]
    capacity: Observed | None
    sessions: Sessions | None
    blind: tuple[str, str] | None

    @property
    def ordinary_reserve(self) -> int:
        """What sessions of nobody may hold for free: the reserve, less what the server keeps for superusers."""
        reserved = max(budget.spec.reserved_connections for budget in self.budgets)
        return max(0, reserved - (self.capacity.reserved if self.capacity else 0))


class Gatherer:
    """Gathers for one server; remembers what was confirmed gone, and when each address was last seen."""

    def __init__(self, kube: Kube, caches: Caches, settle_time: float) -> None:
        self._kube, self._caches, self._settle_time = kube, caches, settle_time
        self._gone: dict[str, Pod | None] = {}
        self._seen: dict[str, float] = {}
        self._watching_since: float | None = None
        self._sees_pods = False
        self._monitor: Monitor | None = None
        self._last_capacity: Observed | None = None
        self.last_sessions: Sessions | None = None

    async def gather(self, budgets: tuple[Budget, ...], ledger: Ledger) -> Observation:
        """Return the picture; raise `ApiError` if a vanished pod cannot be asked for."""
        targets = self._targets(budgets)
        keys = {budget.key for budget in budgets} | {entry.workload.budget_key for entry in ledger.values()}
        pods = {uid: pod for key in keys for uid, pod in self._caches.pods_of(key).items()}
        gone = await self._confirm_gone(ledger, pods)
        for key in keys:
            self._caches.forget_departed(key, ledger)
        reading = await self._read(budgets)
        if isinstance(reading, Unobservable):
            self._watching_since = self.last_sessions = None
            return Observation(budgets, targets, pods, gone, self._last_capacity, None, (reading.reason, str(reading)))
        self._last_capacity = Observed(reading.max_connections, reading.reserved)
        self.last_sessions = self._sessions(ledger, pods, reading)
        return Observation(budgets, targets, pods, gone, self._last_capacity, self.last_sessions, None)

    async def _read(self, budgets: tuple[Budget, ...]) -> Reading | Unobservable:
        """Ask the database as the oldest budget that has credentials says."""
        configured = [(b.key.namespace, b.spec.database) for b in budgets if b.spec.database]
        with_credentials = [(ns, database) for ns, database in configured if database.credentials_secret_ref]
        wanted = next(iter(with_credentials or configured), None)
        if wanted is None:
            return Unobservable("NotConfigured", "set `database` with credentialsSecretRef to observe the server")
        if self._monitor is None or self._monitor.configuration != wanted:
            if self._monitor:
                self._monitor.close()
            self._monitor = Monitor(self._kube, *wanted)
        try:
            return await self._monitor.read()
        except Unobservable as blind:
            return blind

    def _targets(self, budgets: tuple[Budget, ...]) -> dict[TargetKey, Target]:
        keys = {
            TargetKey(workload.target.kind, budget.key.namespace, workload.target.name)
            for budget in budgets
            for workload in budget.spec.workloads
        }
        return {key: target for key in keys if (target := self._caches.target(key)) is not None}

    async def _confirm_gone(self, ledger: Ledger, pods: Mapping[str, Pod]) -> dict[str, Pod | None]:
        """Ask the API server for every pod of the ledger that the cache no longer shows."""
        missing = [uid for uid in ledger if uid not in pods and uid not in self._gone]
        in_flight = asyncio.Semaphore(CONFIRMATIONS_IN_FLIGHT)

        async def exists(uid: str) -> bool:
            path = f"/api/v1/namespaces/{ledger[uid].namespace}/pods/{ledger[uid].pod}"
            async with in_flight:
                try:
                    found = await self._kube.get(path)
                except ApiError as error:
                    if error.status == 404:
                        return False
                    raise
            return bool(found["metadata"]["uid"] == uid)

        for uid, there in zip(missing, await asyncio.gather(*map(exists, missing)), strict=True):
            if not there:
                self._gone[uid] = self._caches.departed_of(ledger[uid].workload.budget_key).get(uid)
        self._gone = {uid: last for uid, last in self._gone.items() if uid in ledger}
        return dict(self._gone)

    def _sessions(self, ledger: Ledger, pods: Mapping[str, Pod], reading: Reading) -> Sessions:
        """Turn a reading to sessions; an address has settled when it showed no backend all through the settle time.

        None has while no pod's own address was ever seen: addresses may be translated on the way to the database.
        """
        own = {pod.address for pod in pods.values() if pod.address != pod.host}
        self._sees_pods = self._sees_pods or not own.isdisjoint(reading.backends)
        now = asyncio.get_running_loop().time()
        if self._watching_since is None:
            self._watching_since = now
            self._seen.clear()
        self._seen.update(dict.fromkeys(reading.backends, now))
        addresses = {reservation.address for reservation in ledger.values()} - {""}
        settled = {
            address
            for address in addresses
            if now - max(self._seen.get(address, 0.0), self._watching_since) >= self._settle_time
        }
        return Sessions(reading.backends, frozenset(settled if self._sees_pods else ()))
