"""The poolers that this operator runs: `reconcile` says in every round what each is to be, and reads how it is.

A task for each pooler (`act.pooler_keeper`) brings it about, so that no round waits for a PgBouncer. What a pooler may
take is in the ledger before it is raised here, and stays there until it is proven that no pod can take it any more.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from poolbudget.act.pooler_keeper import Keeper, Wish
from poolbudget.kube import Kube
from poolbudget.ledger.release import Sessions
from poolbudget.ledger.unseen import Clients
from poolbudget.planning.model import Budget, BudgetKey, PoolerPlan
from poolbudget.pooler.layout import PoolerState


class Poolers:
    """All poolers that this operator runs. `image` is PgBouncer's where a budget names none."""

    def __init__(self, kube: Kube, image: str, namespace: str, wake: Callable[[BudgetKey], None]) -> None:
        self._kube, self._image, self._namespace, self._wake = kube, image, namespace, wake
        self._keepers: dict[BudgetKey, Keeper] = {}
        self._group: asyncio.TaskGroup | None = None

    def keep(
        self,
        budgets: Iterable[Budget],
        planned: Mapping[BudgetKey, PoolerPlan],
        charged: Mapping[BudgetKey, int],
        in_use: frozenset[BudgetKey],
        unseen: Clients,
        sessions: Sessions | None,
    ) -> None:
        """Take in what the poolers of one server are to be.

        `in_use`: budgets with pods that still reach the server over their pooler, whatever is planned by now. `unseen`:
        the addresses to look out for among its clients.
        """
        known = {budget.key: budget for budget in budgets}
        own = {key: plan for key, plan in planned.items() if not plan.external}
        backends = sessions.by_address if sessions is not None else None
        for key in own.keys() | charged:
            looked_for = unseen.get(key, frozenset())
            wish = Wish(known.get(key), own.get(key), charged.get(key, 0), key in in_use, looked_for, backends)
            self._keeper(key).want(wish)

    def states(self, keys: Iterable[BudgetKey]) -> dict[BudgetKey, PoolerState]:
        """Return how the poolers of these budgets are, as far as they have one."""
        return {key: self._keepers[key].state for key in keys if key in self._keepers}

    async def run(self) -> None:
        """Keep all poolers for ever."""
        async with asyncio.TaskGroup() as self._group:
            for keeper in self._keepers.values():
                self._group.create_task(keeper.run())
            await asyncio.Event().wait()

    def _keeper(self, key: BudgetKey) -> Keeper:
        if key not in self._keepers:
            self._keepers[key] = Keeper(self._kube, key, self._image, self._namespace, self._wake)
            if self._group is not None:
                self._group.create_task(self._keepers[key].run())
        return self._keepers[key]
