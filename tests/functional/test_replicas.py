"""What asks for more pods than the budget allows is named in its status, and no longer once it is corrected."""

from typing import Any

from tests.functional.cluster import budget, kubectl
from tests.functional.manifests import autoscaler, deployment
from tests.functional.space import Raw, Space

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}


async def test_an_autoscaler_and_a_disruption_budget_beyond_max_pods_are_named(space: Space) -> None:
    api = {"name": "api", "processes": 1, "maxPods": 2}
    await space.apply(budget(space.name, api, **TWENTY), deployment("api", 2), autoscaler("api", 5))
    kubectl("create", "pdb", "api", "-n", space.name, "--selector=app=api", "--min-available=3")
    status = await space.status("orders", lambda s: "minAvailable" in said(s), what="both are named")
    assert status["workloads"][0]["reason"] == "ReplicasExceedBudget"
    assert "HorizontalPodAutoscaler api: maxReplicas 5 is above maxPods 2, the pods beyond it wait" in said(status)
    assert "PodDisruptionBudget api: minAvailable 3 is above maxPods 2, none of its pods can ever be" in said(status)

    kubectl("delete", "pdb", "api", "-n", space.name)
    await space.patch("HorizontalPodAutoscaler", "api", spec={"maxReplicas": 2})
    status = await space.status("orders", lambda s: "above maxPods" not in said(s), what="nothing is named")
    assert status["workloads"][0]["reason"] == "FitsDirectly"


def said(status: Raw) -> str:
    return status["workloads"][0].get("message", "") if status.get("workloads") else ""
