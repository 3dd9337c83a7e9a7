"""Plan one server: what every workload of all its budgets gets. A pure function of one picture of the cluster.

`reconcile` calls `plan_server` at every round and `poolbudget plan` once for every server of the input.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from poolbudget.planning.divide import divide
from poolbudget.planning.model import (
    Budget,
    BudgetKey,
    Observed,
    ServerPlan,
    Target,
    TargetKey,
    WorkloadKey,
    WorkloadPlan,
)
from poolbudget.planning.sizing import Sized, planned, refused, size, target_key

CLUSTER_DOMAIN = "cluster.local"


def server_key(budget: Budget) -> str:
    """Return which server a budget divides: host:port with in-cluster names made full; without a database, itself.

    A host of one label is a Service of the budget's namespace and one of two labels a Service of another, as the
    resolver of a pod takes them first.
    """
    database = budget.spec.database
    if database is None:
        return str(budget.key)
    host = database.host.lower().removesuffix(".")
    if _is_address(host):
        return f"[{host}]:{database.port}" if ":" in host else f"{host}:{database.port}"
    if "." not in host:
        host = f"{host}.{budget.key.namespace}"
    if host.count(".") == 1:
        host = f"{host}.svc"
    if host.endswith(".svc"):
        host = f"{host}.{CLUSTER_DOMAIN}"
    return f"{host}:{database.port}"


def plan_server(
    budgets: Sequence[Budget],
    targets: Mapping[TargetKey, Target],
    observed: Observed | None,
    least: Observed | None = None,
) -> ServerPlan:
    """Return the plan of all budgets of one server. `observed` is None where the server is not read (offline).

    A workload that cannot be planned gets nothing, and the others are planned without it. `least` is the smallest
    capacity that was read and is not yet believed.
    """
    sizes = [size(b, w, targets.get(target_key(b, w))) for b in budgets for w in b.spec.workloads]
    claimants = {s.key: s for s in sizes if isinstance(s, Sized) and s.fits_its_max}
    admission = _admit(budgets, claimants.values(), observed)
    admitted = [s for s in claimants.values() if s.budget in admission.taken]
    shares = divide([s.claim for s in admitted], admission.usable)
    workloads = {s.key: _decide(s, admission, shares) for s in sizes}
    return ServerPlan(
        usable=admission.usable,
        planned=sum(w.planned for w in workloads.values()),
        needed=sum(s.claim.floor_cost for s in claimants.values()),
        workloads=workloads,
        conflicts=frozenset(key for key, (reason, _) in admission.refused.items() if reason == "Conflict"),
        observed=observed,
        grantable=min(usable_connections(b, seen) for b in admission.counted for seen in (observed, least or observed)),
        ordinary_reserve=_ordinary_reserve(admission.counted, least or observed),
    )


def usable_connections(budget: Budget, observed: Observed | None) -> int:
    """Return what one budget leaves to hand out. Negative where there is too little."""
    spec = budget.spec
    if observed is None:
        return spec.max_connections - spec.reserved_connections - spec.headroom
    reserved = max(spec.reserved_connections, observed.reserved)
    return min(spec.max_connections, observed.max_connections) - reserved - spec.headroom


@dataclass(frozen=True, slots=True)
class Admission:
    """Which budgets are divided: `taken`, with what their floors take; the others with reason and message.

    `counted` are those whose maxConnections counts, and `usable` is the smallest that one of them leaves. `alone` is
    what each would leave as the only budget.
    """

    usable: int
    counted: Sequence[Budget]
    taken: Mapping[BudgetKey, int]
    floors: Mapping[BudgetKey, int]
    alone: Mapping[BudgetKey, int]
    refused: Mapping[BudgetKey, tuple[str, str]]

    def room_beside(self, key: BudgetKey) -> int:
        """Return what is left for the floors of a budget beside those of all other budgets that are divided."""
        others = sum(need for taken, need in self.taken.items() if taken != key)
        return min(self.usable, self.alone[key]) - others


def _admit(budgets: Sequence[Budget], claimants: Iterable[Sized], observed: Observed | None) -> Admission:
    """Take budgets, oldest first, as long as what all of them leave holds all their floors.

    One that is refused changes nothing for the older ones, however small its maxConnections: anybody may name a server
    that is not his. Only the oldest counts in any case.
    """
    floors = {budget.key: 0 for budget in budgets}
    by_hand = dict.fromkeys(floors, "")
    for sized in claimants:
        floors[sized.budget] += sized.claim.floor_cost
        if sized.own.pools:
            by_hand[sized.budget] += f"; {sized.key.workload}: {sized.own.message}"
    alone = {budget.key: usable_connections(budget, observed) for budget in budgets}
    counted: list[Budget] = []
    taken: dict[BudgetKey, int] = {}
    refused: dict[BudgetKey, tuple[str, str]] = {}
    for budget in sorted(budgets, key=lambda b: (b.created, b.key)):
        key, need = budget.key, floors[budget.key]
        tightest = min((budget, *counted), key=lambda b: (alone[b.key], b.key)).key
        usable, total = alone[tightest], sum(taken.values()) + need
        if total <= usable:
            taken[key] = need
        elif need > alone[key]:
            refused[key] = ("DoesNotFit", f"{key.name} would need {_excess(need, alone[key])}{by_hand[key]}")
        else:
            beside = f" and the older {', '.join(map(str, taken))}" if taken else ""
            whose = "" if tightest == key else f" of PoolBudget {tightest}, the smallest of this server"
            refused[key] = ("Conflict", f"{key.name}{beside} would need {_excess(total, usable)}{whose}{by_hand[key]}")
        if key in taken or not counted:
            counted.append(budget)
    return Admission(min(alone[b.key] for b in counted), counted, taken, floors, alone, refused)


def _ordinary_reserve(counted: Sequence[Budget], observed: Observed | None) -> int:
    """Return the reserve of the budget that leaves least: those of the others are not set aside."""
    tightest = min(counted, key=lambda budget: (usable_connections(budget, observed), budget.key))
    return max(0, tightest.spec.reserved_connections - (observed.reserved if observed else 0))


def _excess(needed: int, usable: int) -> str:
    remedy = "lower replicas, processes or minPerProcess, or raise maxConnections"
    return f"{needed} of {usable} connections at the floor, {needed - usable} too many: {remedy}"


def _decide(sized: Sized | WorkloadPlan, admission: Admission, shares: Mapping[WorkloadKey, int]) -> WorkloadPlan:
    if isinstance(sized, WorkloadPlan):
        return sized
    safe = _safe_max_replicas(sized, admission)
    if not sized.fits_its_max:
        return refused(sized, "CeilingBelowFloor", _ceiling_below_floor(sized), safe)
    if refusal := admission.refused.get(sized.budget):
        return refused(sized, *refusal, safe)
    return planned(sized, shares[sized.key], safe)


def _safe_max_replicas(sized: Sized, admission: Admission) -> int:
    """Return the largest steady count for which all floors, the other workloads as they are, still fit.

    0 if none does.
    """
    own = sized.claim.floor_cost if sized.fits_its_max else 0
    room = admission.room_beside(sized.budget) - (admission.floors[sized.budget] - own)
    most = min(room, sized.most) if sized.most is not None else room
    return max(0, most // sized.pod_floor - (sized.peak - sized.steady))


def _ceiling_below_floor(sized: Sized) -> str:
    needed = sized.peak * sized.pod_floor
    remedy = "raise max, or lower replicas, processes or minPerProcess"
    allowed = f"max allows {sized.most} connections"
    message = f"{allowed} and {sized.peak} pods need {needed} at the floor of {sized.claim.floor}: {remedy}"
    return sized.own.added_to(message)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
