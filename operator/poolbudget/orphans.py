"""Pods whose PoolBudget does not exist: they wait, and say so. `main` runs this beside the servers' tasks."""

import asyncio

from poolbudget.act.notices import Notices
from poolbudget.ledger.model import Wait
from poolbudget.observe.caches import Caches
from poolbudget.planning.model import BudgetKey
from poolbudget.servers import Servers


class Orphans:
    """Explains to waiting pods that nobody knows their budget."""

    def __init__(self, caches: Caches, servers: Servers, notices: Notices) -> None:
        self._caches, self._servers, self._notices = caches, servers, notices
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Look again: a pod or a budget came or went."""
        self._changed.set()

    async def run(self) -> None:
        """Explain for ever, whenever something changed."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            unknown = [key for key in self._caches.budgets_with_pods() if key not in self._servers]
            self._notices.show([wait for key in unknown for wait in self._waits(key)])
            for key in unknown:
                if not self._servers.charges(key):
                    self._caches.forget_departed(key, ())

    def _waits(self, key: BudgetKey) -> list[Wait]:
        message = f"no PoolBudget {key.name} in namespace {key.namespace}: apply it, or correct the pod's labels"
        return [Wait(pod, "BudgetNotFound", message) for pod in self._caches.pods_of(key).values() if pod.waits]
