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


def usable_connections(budgets: Iterable[Budget], observed: Observed | None) -> int:
    """Return the smallest number that any budget of the server leaves to hand out.

    Negative where there is too little.
    """
    return min(_usable(budget, observed) for budget in budgets)


def plan_server(
    budgets: Sequence[Budget], targets: Mapping[TargetKey, Target], observed: Observed | None
) -> ServerPlan:
    """Return the plan of all budgets of one server. `observed` is None where the server is not read (offline).

    A workload that cannot be planned gets nothing, and the others are planned without it.
    """
    usable = usable_connections(budgets, observed)
    sizes = [size(b, w, targets.get(target_key(b, w))) for b in budgets for w in b.spec.workloads]
    claimants = {s.key: s for s in sizes if isinstance(s, Sized) and s.fits_its_max}
    admission = _admit(budgets, claimants.values(), usable, observed)
    admitted = [s for s in claimants.values() if s.budget in admission.taken]
    shares = divide([s.claim for s in admitted], usable)
    workloads = {s.key: _decide(s, admission, shares, usable) for s in sizes}
    return ServerPlan(
        usable=usable,
        planned=sum(w.planned for w in workloads.values()),
        needed=sum(s.claim.floor_cost for s in claimants.values()),
        workloads=workloads,
        conflicts=frozenset(key for key, (reason, _) in admission.refused.items() if reason == "Conflict"),
        observed=observed,
    )


@dataclass(frozen=True, slots=True)
class Admission:
    """Which budgets are divided: `taken`, with what their floors take; the others with reason and message.

    `total` is what the floors of all taken budgets take.
    """

    taken: Mapping[BudgetKey, int]
    total: int
    floors: Mapping[BudgetKey, int]
    refused: Mapping[BudgetKey, tuple[str, str]]

    def beside(self, key: BudgetKey) -> int:
        """Return what the floors of a budget take, together with those of all other budgets that are divided."""
        return self.total + (0 if key in self.taken else self.floors[key])


def _admit(budgets: Sequence[Budget], claimants: Iterable[Sized], usable: int, observed: Observed | None) -> Admission:
    """Take budgets, oldest first, as long as all their floors fit beside those already taken."""
    tightest = min(budgets, key=lambda b: (_usable(b, observed), b.key)).key
    floors = {budget.key: 0 for budget in budgets}
    by_hand = dict.fromkeys(floors, "")
    for sized in claimants:
        floors[sized.budget] += sized.claim.floor_cost
        if sized.own.pools:
            by_hand[sized.budget] += f"; {sized.key.workload}: {sized.own.message}"
    taken: dict[BudgetKey, int] = {}
    refusals: dict[BudgetKey, tuple[str, str]] = {}
    for budget in sorted(budgets, key=lambda b: (b.created, b.key)):
        need, others = floors[budget.key], sum(taken.values())
        also = _set_by(tightest, budget.key) + by_hand[budget.key]
        if others + need <= usable:
            taken[budget.key] = need
        elif need > usable or not taken:
            message = f"{budget.key.name} would need {_excess(need, usable)}{also}"
            refusals[budget.key] = ("DoesNotFit", message)
        else:
            older = ", ".join(str(key) for key in taken)
            message = f"{budget.key.name} and the older {older} would need {_excess(others + need, usable)}{also}"
            refusals[budget.key] = ("Conflict", message)
    return Admission(taken, sum(taken.values()), floors, refusals)


def _excess(needed: int, usable: int) -> str:
    remedy = "lower replicas, processes or minPerProcess, or raise maxConnections"
    return f"{needed} of {usable} connections at the floor, {needed - usable} too many: {remedy}"


def _set_by(tightest: BudgetKey, own: BudgetKey) -> str:
    """Name the budget whose maxConnections counts, where it is another one of the same server."""
    return "" if tightest == own else f" of PoolBudget {tightest}, the smallest of this server"


def _decide(
    sized: Sized | WorkloadPlan, admission: Admission, shares: Mapping[WorkloadKey, int], usable: int
) -> WorkloadPlan:
    if isinstance(sized, WorkloadPlan):
        return sized
    safe = _safe_max_replicas(sized, admission, usable)
    if not sized.fits_its_max:
        return refused(sized, "CeilingBelowFloor", _ceiling_below_floor(sized), safe)
    if refusal := admission.refused.get(sized.budget):
        return refused(sized, *refusal, safe)
    return planned(sized, shares[sized.key], safe)


def _safe_max_replicas(sized: Sized, admission: Admission, usable: int) -> int:
    """Return the largest steady count for which all floors, the other workloads as they are, still fit.

    0 if none does.
    """
    own = sized.claim.floor_cost if sized.fits_its_max else 0
    room = usable - (admission.beside(sized.budget) - own)
    most = min(room, sized.most) if sized.most is not None else room
    return max(0, most // sized.pod_floor - (sized.peak - sized.steady))


def _ceiling_below_floor(sized: Sized) -> str:
    needed = sized.peak * sized.pod_floor
    remedy = "raise max, or lower replicas, processes or minPerProcess"
    allowed = f"max allows {sized.most} connections"
    message = f"{allowed} and {sized.peak} pods need {needed} at the floor of {sized.claim.floor}: {remedy}"
    return sized.own.added_to(message)


def _usable(budget: Budget, observed: Observed | None) -> int:
    spec = budget.spec
    if observed is None:
        return spec.max_connections - spec.reserved_connections - spec.headroom
    reserved = max(spec.reserved_connections, observed.reserved)
    return min(spec.max_connections, observed.max_connections) - reserved - spec.headroom


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
