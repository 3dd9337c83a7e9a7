"""Budgets of one server with a pooler, in short: workloads that can be moved, and what is planned for them."""

from typing import Any

from poolbudget.planning.model import BudgetKey, ServerPlan
from tests.unit.planning_inputs import NAMESPACE, budget, plan, target

DATABASE = {"host": "db"}
EXTERNAL = {"mode": "External", "external": {"host": "bouncer", "connections": 30}}
OWN: dict[str, Any] = {"authSecretRef": {"name": "users"}}
ORDERS = BudgetKey(NAMESPACE, "orders")


def routed(name: str = "api", **fields: Any) -> dict[str, Any]:
    return {"name": name, "processes": 1, "route": "Env", **fields}


def workers(**processes: int) -> list[dict[str, Any]]:
    return [routed(name, processes=count, minPerProcess=1) for name, count in processes.items()]


def modes_of(result: ServerPlan, name: str = "orders") -> dict[str, str]:
    return {key.workload: plan.mode for key, plan in result.workloads.items() if key.budget == name}


def plan_with_own_pooler(*workloads: dict[str, Any], **pooler: Any) -> ServerPlan:
    one = budget(*workloads, database=DATABASE, pooler={**OWN, **pooler})
    return plan(one, *(target(fields["name"]) for fields in workloads))
