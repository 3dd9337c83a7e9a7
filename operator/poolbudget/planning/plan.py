"""Plan one server: what every workload of all its budgets gets. A pure function of one picture of the cluster.

`reconcile` calls `plan_server` at every round and `poolbudget plan` once for every server of the input.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.planning.admission import Admission, admit, usable_connections
from poolbudget.planning.division import Division, is_behind
from poolbudget.planning.memory import Memory
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
from poolbudget.planning.moving import Move, moves
from poolbudget.planning.poolers import BEHIND_A_POOLER
from poolbudget.planning.results import behind_pooler, direct, refused
from poolbudget.planning.sizing import Sized, size, target_key

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
    memory: Memory | None = None,
) -> ServerPlan:
    """Return the plan of all budgets of one server. `observed` is None where the server is not read (offline).

    A workload that cannot be planned gets nothing, and the others are planned without it. `least` is the smallest
    capacity that was read and is not yet believed. `memory` is what was behind a pooler before, None if nobody knows.
    """
    sizes = [size(b, w, targets.get(target_key(b, w))) for b in budgets for w in b.spec.workloads]
    claimants = [s for s in sizes if isinstance(s, Sized) and s.fits_its_max]
    admission = admit(budgets, claimants, observed)
    division = Division(admission, claimants)
    moved = moves(admission.floors, _limits(admission), division.direct, memory)
    shares = division.shares(moved.keys())
    left = admission.left(frozenset(moved))
    results = (_decide(s, admission, moved, shares, left) for s in sizes)
    workloads = {w.key: w if w.fits or memory is None else _as_before(w, memory) for w in results}
    poolers = division.poolers(moved.keys(), shares)
    return ServerPlan(
        usable=admission.usable,
        planned=sum(w.planned for w in workloads.values()) + sum(p.connections for p in poolers.values()),
        needed=sum(need.beside(frozenset()) for need in admission.needs.values()),
        workloads=workloads,
        conflicts=frozenset(key for key, (reason, _) in admission.refused.items() if reason == "Conflict"),
        observed=observed,
        grantable=min(usable_connections(b, seen) for b in admission.counted for seen in (observed, least or observed)),
        ordinary_reserve=_ordinary_reserve(admission.counted, least or observed),
        poolers=poolers,
    )


def _limits(admission: Admission) -> dict[BudgetKey, int]:
    """Return what the direct pools of a budget may be planned with before more is moved, where it says so."""
    triggers = {key: need.budget.spec.pooler.when for key, need in admission.taken.items()}
    return {
        key: admission.usable * when.planned_above_percent // 100
        for key, when in triggers.items()
        if when is not None and when.planned_above_percent is not None
    }


def _ordinary_reserve(counted: Sequence[Budget], observed: Observed | None) -> int:
    """Return the reserve of the budget that leaves least: those of the others are not set aside."""
    tightest = min(counted, key=lambda budget: (usable_connections(budget, observed), budget.key))
    return max(0, tightest.spec.reserved_connections - (observed.reserved if observed else 0))


def _decide(
    sized: Sized | WorkloadPlan,
    admission: Admission,
    moved: Mapping[WorkloadKey, Move],
    shares: Mapping[WorkloadKey, int],
    left: Mapping[BudgetKey, int],
) -> WorkloadPlan:
    if isinstance(sized, WorkloadPlan):
        return sized
    refusal = admission.refused.get(sized.budget)
    safe = _safe_max_replicas(sized, left[sized.budget], moved, is_divided=refusal is None)
    if not sized.fits_its_max:
        return refused(sized, "CeilingBelowFloor", _ceiling_below_floor(sized), safe)
    if refusal:
        return refused(sized, *refusal, safe)
    if move := moved.get(sized.key):
        return behind_pooler(sized, WorkloadMode.POOLED, move.reason, move.why, safe, move.clear_since)
    if sized.stance.mode in BEHIND_A_POOLER:
        return behind_pooler(sized, sized.stance.mode, sized.stance.reason, sized.stance.why, safe)
    return direct(sized, shares[sized.key], safe)


def _as_before(plan: WorkloadPlan, memory: Memory) -> WorkloadPlan:
    """Leave a workload that does not fit for now where Auto had moved it: else it would come back at once."""
    if plan.workload.mode is not WorkloadMode.AUTO or plan.key not in memory.moved:
        return plan
    mode = plan.mode if plan.mode in BEHIND_A_POOLER else WorkloadMode.POOLED
    return replace(plan, mode=mode, per_pod=0, clear_since=None)


def _safe_max_replicas(sized: Sized, left: int, moved: Collection[WorkloadKey], *, is_divided: bool) -> int | None:
    """Return the largest steady count for which all floors, the other workloads as they are, still fit.

    0 if none does. A pooler takes any number of clients: behind it only the workload's `max` sets a bound, if any.
    """
    if is_behind(sized, moved):
        room = sized.most
    else:
        counted = sized.fits_its_max and (is_divided or sized.stance.mode is WorkloadMode.DIRECT)
        room = left + (sized.claim.floor_cost if counted else 0)
        room = min(room, sized.most) if sized.most is not None else room
    return None if room is None else max(0, room // sized.pod_floor - (sized.peak - sized.steady))


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
