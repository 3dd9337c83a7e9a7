"""Which workloads go behind a pooler because of what all of them need, and when they come back.

`planning.admission` asks for the fewest without which the floors of a server fit; `planning.plan` asks `moves` for the
final word, with what was moved before.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from poolbudget.planning.memory import Memory
from poolbudget.planning.model import BudgetKey, WorkloadKey
from poolbudget.planning.sizing import Sized

BACK = Fraction(3, 2)
"""A workload comes back only where all would still fit if everything that is direct took this much more."""

NO_MARGIN = Fraction(1)


@dataclass(frozen=True, slots=True)
class Move:
    """Why a workload of mode Auto is behind the pooler. `clear_since`: since when it could go back."""

    reason: str
    why: str
    clear_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Floors:
    """What the floors of a server take: those of direct pools, `movable` ones included, in what poolers leave of it."""

    direct: int
    room: int
    movable: tuple[Sized, ...]


Planned = Callable[[Collection[WorkloadKey]], Mapping[BudgetKey, int]]
"""What is planned for the direct pools of each budget while these workloads are behind the pooler."""


def largest_first(sized: Sized) -> tuple[int, WorkloadKey]:
    """Return the order in which workloads are moved."""
    return -sized.claim.floor_cost, sized.key


def until_floors_fit(floors: Floors, margin: Fraction = NO_MARGIN) -> frozenset[WorkloadKey]:
    """Return the fewest of the movable, largest floor cost first, without which the floors fit; all if they never do.

    The floors must fit `margin` times.
    """
    moved, direct = set(), floors.direct
    for sized in sorted(floors.movable, key=largest_first):
        if margin * direct <= floors.room:
            break
        moved.add(sized.key)
        direct -= sized.claim.floor_cost
    return frozenset(moved)


def moves(
    floors: Floors, limits: Mapping[BudgetKey, int], planned: Planned, memory: Memory | None
) -> dict[WorkloadKey, Move]:
    """Return what goes behind a pooler, and why; what is not named stays direct.

    `limits` are the connections that the direct pools of a budget may be planned with (plannedAbovePercent).
    """
    needed = _needed(floors, limits, planned, NO_MARGIN)
    if memory is None:
        return needed
    with_margin = _needed(floors, limits, planned, BACK)
    before = (sized.key for sized in floors.movable if sized.key in memory.moved and sized.key not in needed)
    kept = {key: move for key in before if (move := _kept(key, memory, is_clear=key not in with_margin))}
    return needed | kept


def _needed(
    floors: Floors, limits: Mapping[BudgetKey, int], planned: Planned, margin: Fraction
) -> dict[WorkloadKey, Move]:
    """Return what has to be behind a pooler if everything that is direct takes `margin` times what it does."""
    why = f"direct pools would need {floors.direct} of {floors.room} connections at the floor"
    found = dict.fromkeys(until_floors_fit(floors, margin), Move("DirectDoesNotFit", why))
    for budget, limit in limits.items():
        of_budget = [s.key for s in sorted(floors.movable, key=largest_first) if s.budget == budget]
        more = _until_below(budget, limit / margin, planned, found.keys(), of_budget)
        why = f"direct pools may have {limit} connections by pooler.when.plannedAbovePercent"
        found |= dict.fromkeys(more, Move("PlannedAbovePercent", why))
    return found


def _until_below(
    budget: BudgetKey, limit: Fraction, planned: Planned, moved: Collection[WorkloadKey], movable: list[WorkloadKey]
) -> list[WorkloadKey]:
    """Return how many more are moved, in order, until the direct pools of the budget are planned within the limit."""
    rest = [key for key in movable if key not in moved]
    count = bisect_left(range(len(rest)), True, key=lambda n: planned({*moved, *rest[:n]})[budget] <= limit)
    return rest[:count]


def _kept(key: WorkloadKey, memory: Memory, *, is_clear: bool) -> Move | None:
    """Return how a workload that is no longer needed behind the pooler stays there; None if it may go back."""
    if not is_clear:
        return Move("Stabilizing", f"it goes back once {float(BACK)} times what direct pools need would fit")
    since = memory.moved[key] or memory.now
    seconds = int(memory.stabilization.total_seconds())
    why = f"it goes back once {float(BACK)} times what direct pools need has fitted for {seconds} s"
    return None if memory.now - since >= memory.stabilization else Move("Stabilizing", why, since)
