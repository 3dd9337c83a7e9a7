"""Which budgets of a server are divided, and what of theirs has to go behind a pooler for that.

`planning.plan` asks `admit` before it divides: a budget whose floors do not fit beside those of older ones gets
nothing, and changes nothing for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from poolbudget.api.server import DEFAULT_REPLICAS
from poolbudget.api.v1alpha1 import PoolerMode, Route, WorkloadMode
from poolbudget.planning.model import Budget, BudgetKey, Observed, WorkloadKey
from poolbudget.planning.moving import Floors
from poolbudget.planning.poolers import BEHIND_A_POOLER, Pooler, endpoint, pooler
from poolbudget.planning.sizing import Sized

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Need:
    """What one budget takes at the floors: its direct pools, `movable` ones included, and its pooler."""

    budget: Budget
    pooler: Pooler | None
    direct: tuple[Sized, ...]

    @property
    def movable(self) -> tuple[Sized, ...]:
        """Those of its direct workloads that may go behind the pooler."""
        return tuple(sized for sized in self.direct if sized.stance.mode is WorkloadMode.AUTO)

    @property
    def minimum(self) -> int:
        """What is set aside for its pooler."""
        return self.pooler.minimum if self.pooler else 0

    @property
    def least(self) -> int:
        """What it takes with everything that may be moved behind the pooler."""
        return self.beside(frozenset(sized.key for sized in self.movable))

    def beside(self, moved: frozenset[WorkloadKey]) -> int:
        """Return what it takes while these are behind the pooler."""
        return self.minimum + sum(sized.claim.floor_cost for sized in self.direct if sized.key not in moved)


@dataclass(frozen=True, slots=True)
class Admission:
    """Which budgets are divided: `taken`, with what they need; the others with reason and message.

    `counted` are those whose maxConnections counts, and `usable` is the smallest that one of them leaves. `alone` is
    what each would leave as the only budget.
    """

    usable: int
    counted: Sequence[Budget]
    taken: Mapping[BudgetKey, Need]
    needs: Mapping[BudgetKey, Need]
    alone: Mapping[BudgetKey, int]
    refused: Mapping[BudgetKey, tuple[str, str]]

    @property
    def floors(self) -> Floors:
        """What the floors of all that is divided take."""
        needs = self.taken.values()
        direct = sum(sized.claim.floor_cost for need in needs for sized in need.direct)
        movable = tuple(sized for need in needs for sized in need.movable)
        return Floors(direct, self.usable - sum(need.minimum for need in needs), movable)

    def left(self, moved: frozenset[WorkloadKey]) -> dict[BudgetKey, int]:
        """Return what the floors leave to each budget, with these behind the pooler: negative where it does not fit.

        For a budget that is not divided everything that may be moved is behind the pooler.
        """
        taken = {key: need.beside(moved) for key, need in self.taken.items()}
        everything, left = sum(taken.values()), {}
        for key, need in self.needs.items():
            others = everything - taken.get(key, 0)
            left[key] = min(self.usable, self.alone[key]) - others - taken.get(key, need.least)
        return left


def usable_connections(budget: Budget, observed: Observed | None) -> int:
    """Return what one budget leaves to hand out. Negative where there is too little."""
    spec = budget.spec
    if observed is None:
        return spec.max_connections - spec.reserved_connections - spec.headroom
    reserved = max(spec.reserved_connections, observed.reserved)
    return min(spec.max_connections, observed.max_connections) - reserved - spec.headroom


def admit(budgets: Sequence[Budget], claimants: Iterable[Sized], observed: Observed | None) -> Admission:
    """Take budgets, oldest first, as long as what all of them leave holds all their floors.

    One that is refused changes nothing for the older ones, however small its maxConnections: anybody may name a server
    that is not his. Only the oldest counts in any case.
    """
    needs = _needs(budgets, claimants)
    alone = {budget.key: usable_connections(budget, observed) for budget in budgets}
    counted: list[Budget] = []
    taken: dict[BudgetKey, Need] = {}
    refused: dict[BudgetKey, tuple[str, str]] = {}
    older = 0
    for budget in sorted(budgets, key=lambda b: (b.created, b.key)):
        key, need = budget.key, needs[budget.key]
        tightest = min((budget, *counted), key=lambda b: (alone[b.key], b.key)).key
        least, usable = need.least, alone[tightest]
        if older + least <= usable:
            taken[key] = need
            older += least
        elif least > alone[key]:
            refused[key] = ("DoesNotFit", f"{key.name} would need {_excess(need, least, alone[key])}")
        else:
            beside = f" and the older {', '.join(map(str, taken))}" if taken else ""
            whose = "" if tightest == key else f" of PoolBudget {tightest}, the smallest of this server"
            refused[key] = ("Conflict", f"{key.name}{beside} would need {_excess(need, older + least, usable, whose)}")
        if key in taken or not counted:
            counted.append(budget)
    return Admission(min(alone[b.key] for b in counted), counted, taken, needs, alone, refused)


def _needs(budgets: Sequence[Budget], claimants: Iterable[Sized]) -> dict[BudgetKey, Need]:
    direct: dict[BudgetKey, list[Sized]] = {budget.key: [] for budget in budgets}
    for sized in claimants:
        if sized.stance.mode not in BEHIND_A_POOLER:
            direct[sized.budget].append(sized)
    return {budget.key: Need(budget, pooler(budget), tuple(direct[budget.key])) for budget in budgets}


def _excess(need: Need, needed: int, usable: int, whose: str = "") -> str:
    behind = f" with {_some(need.movable)} behind the pooler" if need.movable else ""
    remedy = f"lower replicas, processes or minPerProcess, or raise maxConnections{whose}"
    by_hand = "".join(f"; {sized.key.workload}: {sized.own.message}" for sized in need.direct if sized.own.pools)
    excess, moving = needed - usable, _moving(need, needed - usable)
    return f"{needed} of {usable} connections at the floor{behind}, {excess} too many: {remedy}{by_hand}{moving}"


def _moving(need: Need, excess: int) -> str:
    """Return what to write so that more can go behind a pooler, where that would make the floors fit."""
    spec = need.budget.spec
    stuck = [s for s in need.direct if s.workload.mode is WorkloadMode.AUTO and s.stance.mode is WorkloadMode.DIRECT]
    if endpoint(need.budget.key, spec) is not None:
        stuck = [sized for sized in stuck if sized.workload.route is Route.NONE]
        remedy = f"or set `route: Env` of {_some(stuck)}, to be moved behind the pooler"
    elif spec.pooler.mode is PoolerMode.AUTO:
        stuck = [sized for sized in stuck if sized.workload.route is Route.ENV]
        missing = "pooler.authSecretRef" if spec.database else "`database` and pooler.authSecretRef"
        remedy = f"{_some(stuck)} would be moved behind a pooler: set {missing}"
    else:
        return ""
    for_pooler = 0 if need.pooler else spec.pooler.min_connections or spec.pooler.replicas or DEFAULT_REPLICAS
    helps = sum(sized.claim.floor_cost for sized in stuck) - for_pooler >= excess
    return f"; {remedy}" if helps else ""


def _some(workloads: Sequence[Sized]) -> str:
    names = [sized.key.workload for sized in workloads]
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + rest
