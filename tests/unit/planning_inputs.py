"""Short ways to write what planning takes."""

from collections.abc import Mapping
from typing import Any

from poolbudget.api.v1alpha1 import PoolBudgetSpec, Workload
from poolbudget.detection.podspec import parse_pod_spec
from poolbudget.planning.model import Budget, BudgetKey, ServerPlan, Target, TargetKey, WorkloadKey, WorkloadPlan
from poolbudget.planning.plan import plan_server

NAMESPACE = "shop"


def budget(*workloads: Mapping[str, Any], name: str = "orders", created: str = "1", **spec: Any) -> Budget:
    declared = {"maxConnections": 200, "workloads": list(workloads), **spec}
    return Budget(BudgetKey(NAMESPACE, name), PoolBudgetSpec.model_validate(declared), created=created)


def workload(**fields: Any) -> Workload:
    return Workload.model_validate({"name": "api", **fields})


def target(
    name: str,
    replicas: int = 1,
    *,
    surges: bool = False,
    kind: str = "Deployment",
    command: tuple[str, ...] = (),
    steady: int | None = -1,
    unknown: str = "",
) -> tuple[TargetKey, Target]:
    key = TargetKey(kind, NAMESPACE, name)
    template = parse_pod_spec({"spec": {"containers": [{"name": "app", "command": list(command)}]}})
    return key, Target(key, replicas, replicas if steady == -1 else steady, surges, template, unknown)


def plan(one: Budget, *targets: tuple[TargetKey, Target]) -> ServerPlan:
    return plan_server([one], dict(targets), None)


def planned(result: ServerPlan, name: str = "api", budget_name: str = "orders") -> WorkloadPlan:
    return result.workloads[WorkloadKey(NAMESPACE, budget_name, name)]
