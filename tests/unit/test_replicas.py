"""Autoscalers, disruption budgets and replica counts that ask for more pods than the budget allows are named."""

from dataclasses import replace
from typing import Any

import pytest

from poolbudget.planning.model import Target, TargetKey, Wish, WorkloadKey
from poolbudget.planning.plan import plan_server
from poolbudget.planning.replicas import autoscaler_wishes, disruption_wish
from poolbudget.planning.selectors import selects
from poolbudget.planning.status import planned_status, workloads_fit
from tests.unit.planning_inputs import budget, target

SCALER = "HorizontalPodAutoscaler api"
KEEPER = "PodDisruptionBudget api"
REMEDY = "lower it to 3, or raise maxPods"


def wish(field: str, pods: int) -> Wish:
    return Wish(KEEPER if field == "minAvailable" else SCALER, field, pods)


def of_target(replicas: int, *wishes: Wish, steady: int = -1, kind: str = "Deployment") -> tuple[TargetKey, Target]:
    key, made = target("api", replicas, steady=steady, kind=kind)
    return key, replace(made, wishes=wishes)


def shown(replicas: int, *wishes: Wish, kind: str = "Deployment", **fields: Any) -> tuple[str | None, str]:
    """Return reason and message of the workload's status; of the message what follows its plan."""
    api = {"name": "api", "processes": 1, "targetRef": {"kind": kind, "name": "api"}, **fields}
    planned = budget(api, maxConnections=30, reservedConnections=10)
    most = max([replicas, *(w.pods for w in wishes if w.field == "maxReplicas")])
    plan = plan_server([planned], dict([of_target(replicas, *wishes, steady=most, kind=kind)]), None)
    (status,) = planned_status(planned, plan).workloads
    said = plan.workloads[WorkloadKey("shop", "orders", "api")].message
    return status.reason, (status.message or "").removeprefix(said).removeprefix("; ")


FITS = ("FitsDirectly", "")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(shown(3, maxPods=3), FITS, id="as many replicas as maxPods"),
        pytest.param(
            shown(5, maxPods=3),
            (
                "ReplicasExceedBudget",
                f"Deployment api: replicas 5 is above maxPods 3, the pods beyond it wait: {REMEDY}",
            ),
            id="more replicas",
        ),
        pytest.param(
            shown(2, wish("minReplicas", 1), wish("maxReplicas", 8), maxPods=3),
            (
                "ReplicasExceedBudget",
                f"{SCALER}: maxReplicas 8 is above maxPods 3, the pods beyond it wait: {REMEDY}",
            ),
            id="an autoscaler's maximum",
        ),
        pytest.param(
            shown(5, wish("minReplicas", 5), wish("maxReplicas", 8), maxPods=3),
            (
                "ReplicasExceedBudget",
                f"{SCALER}: minReplicas 5 is above maxPods 3, the pods beyond it wait: {REMEDY}",
            ),
            id="its minimum goes before its maximum and the replicas that it sets",
        ),
        pytest.param(
            shown(3, wish("minAvailable", 4), maxPods=3),
            (
                "ReplicasExceedBudget",
                f"{KEEPER}: minAvailable 4 is above maxPods 3, none of its pods can ever be evicted: {REMEDY}",
            ),
            id="a disruption budget",
        ),
        pytest.param(shown(3, wish("minAvailable", 3), maxPods=3), FITS, id="a disruption budget of all pods"),
        pytest.param(shown(5, maxPods=3, kind="DaemonSet"), FITS, id="a DaemonSet has no replicas to lower"),
        pytest.param(shown(3, wish("maxReplicas", 8), wish("minAvailable", 9)), FITS, id="without maxPods all count"),
        pytest.param(
            shown(3, wish("maxReplicas", 50)),
            (
                "DoesNotFit",
                f"{SCALER}: maxReplicas 50 is above safeMaxReplicas 10, the pods beyond it wait: lower it to 10",
            ),
            id="where the floors do not fit, the way to make them fit",
        ),
        pytest.param(
            shown(3, wish("maxReplicas", 50), minPerProcess=20, processes=2),
            ("DoesNotFit", ""),
            id="but none where not even one pod would fit",
        ),
    ],
)
def test_what_the_status_says(found: tuple[str | None, str], expected: tuple[str, str]) -> None:
    assert found == expected


def test_the_condition_of_the_budget_stays_short() -> None:
    planned = budget({"name": "api", "processes": 1}, maxConnections=30)
    plan = plan_server([planned], dict([of_target(3, wish("maxReplicas", 50), steady=50)]), None)
    assert SCALER not in workloads_fit(planned, plan)[2]


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (
            {"kind": "HorizontalPodAutoscaler", "spec": {"minReplicas": 2, "maxReplicas": 8}},
            (Wish(SCALER, "minReplicas", 2), Wish(SCALER, "maxReplicas", 8)),
        ),
        (
            {"kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 8}},
            (Wish(SCALER, "maxReplicas", 8),),
        ),
        ({"kind": "ScaledObject", "spec": {}}, (Wish("ScaledObject api", "maxReplicaCount", 100),)),
    ],
    ids=["both", "the maximum alone", "KEDA's default"],
)
def test_what_an_autoscaler_asks_for(manifest: dict[str, Any], expected: tuple[Wish, ...]) -> None:
    assert autoscaler_wishes({"metadata": {"name": "api"}, **manifest}) == expected


@pytest.mark.parametrize(
    ("spec", "pods"),
    [
        pytest.param({"minAvailable": 4, "selector": {"matchLabels": {"app": "api"}}}, 4, id="a number"),
        pytest.param({"minAvailable": "50%", "selector": {}}, None, id="a share follows the pods"),
        pytest.param({"maxUnavailable": 1, "selector": {}}, None, id="so does what may be missing"),
        pytest.param({"minAvailable": 4}, None, id="it selects nothing"),
        pytest.param(
            {"minAvailable": 4, "selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
            None,
            id="invalid",
        ),
    ],
)
def test_what_a_disruption_budget_asks_for(spec: dict[str, Any], pods: int | None) -> None:
    found = disruption_wish({"metadata": {"name": "api"}, "spec": spec})
    assert (found and found[1].pods) == pods
    assert found is None or selects(found[0], {"app": "api"})
