"""Starts a pod that the operator cannot start: what `poolbudget release` and `poolbudget uninstall` write to it.

Such a pod has no reservation in any ledger. Its variables refer to annotations, so these must get a value: the smallest
that its workload works with, because nobody counts the pod.
"""

from collections.abc import Mapping
from typing import Any

from poolbudget.api.v1alpha1 import PoolBudgetSpec, Workload, WorkloadMode
from poolbudget.detection.podspec import parse_pod_spec
from poolbudget.kube import JSON_PATCH, ApiError, Kube
from poolbudget.ledger.model import (
    BUDGET_LABEL,
    BUDGET_NAMESPACE_LABEL,
    GATE,
    SETTING_ANNOTATION_PREFIX,
    WORKLOAD_LABEL,
)
from poolbudget.planning.model import BudgetKey
from poolbudget.planning.profiles import process_pools
from poolbudget.planning.settings import annotation_key, setting_values
from poolbudget.planning.sizing import DEFAULT_FLOOR
from poolbudget.webhook.mutate import Operation, escape


class MissingSettingsError(Exception):
    """Nobody knows the values of these variables; `names` are the annotations that the pod refers to."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def is_gated(pod: Mapping[str, Any]) -> bool:
    """Whether the pod waits at the gate."""
    return any(gate["name"] == GATE for gate in pod["spec"].get("schedulingGates") or [])


def budget_key(pod: Mapping[str, Any]) -> BudgetKey:
    """Return the budget that the pod's labels name."""
    labels = pod["metadata"].get("labels") or {}
    return BudgetKey(labels.get(BUDGET_NAMESPACE_LABEL, pod["metadata"]["namespace"]), labels.get(BUDGET_LABEL, ""))


def release_patch(pod: Mapping[str, Any], spec: PoolBudgetSpec | None, given: Mapping[str, str]) -> list[Operation]:
    """Return the JSON patch that gives a gated pod the floor of its workload and opens its gate. Pure.

    `spec` is its budget, None if there is none any more; `given` are variables with values that go before the computed
    ones. The API server refuses it if the pod is another one by now, or has been granted. Raises MissingSettingsError.
    """
    values = {annotation_key(name): value for name, value in (_floor(pod, spec) | dict(given)).items()}
    wanted = _annotations_referred_to(pod)
    if missing := sorted(wanted - values.keys()):
        raise MissingSettingsError(missing)
    gates = pod["spec"]["schedulingGates"]
    annotations = {key: values[key] for key in sorted(wanted)}
    return [
        {"op": "test", "path": "/metadata/uid", "value": pod["metadata"]["uid"]},
        {"op": "test", "path": "/spec/schedulingGates", "value": gates},
        *_annotate(pod, annotations),
        {"op": "replace", "path": "/spec/schedulingGates", "value": [gate for gate in gates if gate["name"] != GATE]},
    ]


async def release(kube: Kube, pod: Mapping[str, Any], patch: list[Operation]) -> bool:
    """Send the patch; return False if the pod is gone or was started in the meantime. Raises ApiError otherwise."""
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
    try:
        await kube.patch(path, patch, JSON_PATCH)
    except ApiError as error:
        if error.status != 404:
            current = await kube.get(path)
            if is_gated(current) and current["metadata"]["uid"] == pod["metadata"]["uid"]:
                raise
        return False
    return True


def _annotate(pod: Mapping[str, Any], annotations: Mapping[str, str]) -> list[Operation]:
    if not pod["metadata"].get("annotations"):
        return [{"op": "add", "path": "/metadata/annotations", "value": annotations}]
    return [
        {"op": "add", "path": f"/metadata/annotations/{escape(key)}", "value": value}
        for key, value in annotations.items()
    ]


def _annotations_referred_to(pod: Mapping[str, Any]) -> set[str]:
    spec = parse_pod_spec(pod)
    return {
        variable.annotation
        for container in (*spec.containers, *spec.sidecars, *spec.init_containers)
        for variable in container.env
        if variable.annotation is not None and variable.annotation.startswith(SETTING_ANNOTATION_PREFIX)
    }


def _floor(pod: Mapping[str, Any], spec: PoolBudgetSpec | None) -> dict[str, str]:
    """Return the variables of the smallest share; if budget or workload is gone, those of an unconfigured one."""
    name = (pod["metadata"].get("labels") or {}).get(WORKLOAD_LABEL, "unknown")
    workload = next((w for w in spec.workloads if w.name == name), None) if spec else None
    if spec is None or workload is None:
        workload = Workload(name=name)
        spec = PoolBudgetSpec(max_connections=1, reserved_connections=0, workloads=[workload])
    share = workload.min_per_process or min(DEFAULT_FLOOR, workload.max_per_process)
    pools = process_pools(workload, max(share, len(workload.pools or ())))
    return setting_values(budget_key(pod), spec, workload, pools, WorkloadMode.DIRECT)
