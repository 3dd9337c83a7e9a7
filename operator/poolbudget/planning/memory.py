"""What Auto has moved behind poolers, from one plan to the next: it comes back later than it would have been moved.

`reconcile` keeps one `Remembered` for each server; `planning.moving` decides with the `Memory` that it gives. A new
operator finds in the status of a budget what the last one knew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from poolbudget.api.v1alpha1 import PoolBudgetStatus, WorkloadMode
from poolbudget.planning.model import BudgetKey, ServerPlan, WorkloadKey

STABILIZATION = timedelta(seconds=300)

Moved = Mapping[WorkloadKey, datetime | None]
"""What is behind a pooler: since when the way back of each workload has been clear, None while it is not."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What was `moved` before, as far as is known `now`. `stabilization`: how long a way back must have been clear."""

    moved: Moved
    now: datetime
    stabilization: timedelta = STABILIZATION


class Remembered:
    """What is behind the poolers of one server, budget by budget."""

    def __init__(self, stabilization: timedelta = STABILIZATION) -> None:
        self._stabilization = stabilization
        self._moved: dict[BudgetKey, Moved] = {}

    def before(self, shown: Mapping[BudgetKey, PoolBudgetStatus], now: datetime) -> Memory:
        """Return what the next plan has to know. `shown` are the statuses of all budgets, which count for new ones."""
        known = [self._moved[key] if key in self._moved else moved_before(key, status) for key, status in shown.items()]
        return Memory({key: since for moved in known for key, since in moved.items()}, now, self._stabilization)

    def after(self, plan: ServerPlan) -> None:
        """Take note of a plan."""
        moved: dict[BudgetKey, dict[WorkloadKey, datetime | None]] = {}
        for key, workload in plan.workloads.items():
            behind = moved.setdefault(key.budget_key, {})
            if workload.mode is not WorkloadMode.DIRECT:
                behind[key] = workload.clear_since
        self._moved = dict(moved)


def moved_before(budget: BudgetKey, status: PoolBudgetStatus) -> Moved:
    """Return what was behind the pooler of a budget by its last status."""
    behind = [workload for workload in status.workloads if workload.mode is not WorkloadMode.DIRECT]
    return {
        WorkloadKey(*budget, w.name): datetime.fromisoformat(w.clear_since) if w.clear_since else None for w in behind
    }
