"""What the poolers of a server are charged, from round to round. Pure; called by `reconcile`.

A pooler raises what it takes only into room that is there, and what it gives back stays charged until it is proven that
none of its pods can hold it any more. The ledger keeps the charge.
"""

from collections.abc import Mapping
from dataclasses import replace

from poolbudget.ledger import books
from poolbudget.ledger.model import Ledger
from poolbudget.planning.model import BudgetKey, PoolerPlan, ServerPlan
from poolbudget.pooler.layout import PoolerState

GONE = PoolerPlan("", 0, connections=0, clients=0, replicas=0, prepared_statements=True, external=False)


def as_charged(plan: ServerPlan, held: Mapping[BudgetKey, int]) -> ServerPlan:
    """Return the plan with what poolers may still hold, where that is more than planned or none is planned any more."""
    own = {key: plan.poolers.get(key, GONE) for key in held}
    more = {key: _with(pooler, held[key]) for key, pooler in own.items()}
    return replace(plan, poolers={**plan.poolers, **more})


def _with(pooler: PoolerPlan, held: int) -> PoolerPlan:
    return replace(pooler, connections=max(pooler.connections, held), held=held)


def free(plan: ServerPlan, held: Mapping[BudgetKey, int], committed: int) -> int:
    """Return what poolers can raise into: neither `committed` (all but poolers) nor charged to any of them.

    What is planned for one of them and not yet charged is in it.
    """
    external = sum(pooler.connections for pooler in plan.poolers.values() if pooler.external)
    return plan.grantable - committed - external - sum(held.values())


def charges(
    held: Mapping[BudgetKey, int], planned: Mapping[BudgetKey, PoolerPlan], least: Mapping[BudgetKey, int], room: int
) -> dict[BudgetKey, int]:
    """Return what each pooler of the operator's own is charged from now on.

    `held`: what it was charged so far; `least`: what it is proven to need (`proven`), where that is known; `room`: what
    is free beside everything that is charged, poolers included. Raises come in the order of the keys.
    """
    charged = {}
    own = {key: plan.connections for key, plan in planned.items() if not plan.external}
    for key in sorted(held.keys() | own):
        have, wanted = held.get(key, 0), own.get(key, 0)
        if wanted > have:
            step = max(0, min(wanted - have, room))
            room -= step
            charged[key] = have + step
        else:
            charged[key] = max(wanted, min(have, least.get(key, have)))
    return {key: connections for key, connections in charged.items() if connections}


def proven(poolers: Mapping[BudgetKey, PoolerState]) -> dict[BudgetKey, int]:
    """Return the most that each pooler is proven to hold, of those that something is proven of."""
    return {key: state.least for key, state in poolers.items() if state.least is not None}


def pooler_pods(poolers: Mapping[BudgetKey, PoolerState]) -> list[books.PoolerPod]:
    """Return the pods of all poolers, for the books."""
    return [pod for state in poolers.values() for pod in state.pods]


def in_use(ledger: Ledger) -> frozenset[BudgetKey]:
    """Return the budgets that have pods behind their pooler, whatever is planned by now."""
    return frozenset(entry.workload.budget_key for entry in ledger.values() if entry.sent_to_pooler)
