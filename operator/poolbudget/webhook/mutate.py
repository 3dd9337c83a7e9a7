"""What a new pod of a budget is changed to, as a JSON patch (RFC 6902). Pure.

`webhook.review` calls `mutate` for every labelled pod that is created. The pod then waits at the gate until the
operator writes the annotations that its variables refer to and removes the gate. Called on a pod that it has already
changed, `mutate` returns no operation, so the API server may ask twice.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from poolbudget.api.v1alpha1 import PoolBudgetSpec, UpdateMode, Workload
from poolbudget.detection.podspec import parse_pod_spec
from poolbudget.ledger.model import (
    BUDGET_LABEL,
    BUDGET_NAMESPACE_LABEL,
    CONNECTIONS_ANNOTATION,
    GATE,
    MODE_ANNOTATION,
    MODE_LABEL,
    SETTING_ANNOTATION_PREFIX,
    UNRESOLVED_ANNOTATION,
    WORKLOAD_LABEL,
)
from poolbudget.planning.model import BudgetKey
from poolbudget.planning.settings import annotation_key, setting_names

Budgets = Mapping[BudgetKey, PoolBudgetSpec | None]
"""Every PoolBudget of the cluster; None for one that is not valid."""

Operation = dict[str, Any]
"""One operation of a JSON patch: `op`, `path` and, except for `remove`, `value`."""


class RefusedError(Exception):
    """The pod cannot be admitted at all; the text says what its owner should write instead."""


class UnresolvedError(Exception):
    """The pod names a budget or workload that does not serve it; the text says why. It is admitted, and waits."""


def mutate(pod: Mapping[str, Any], budgets: Budgets) -> list[Operation]:
    """Return the operations that hold the pod at the gate and let its containers read their settings.

    `pod` is the object of the admission request with `metadata.namespace` set, and carries the budget label.
    Raises RefusedError for a pod that brings grants of its own or is already bound to a node.
    """
    _refuse_what_cannot_wait(pod)
    operations = list(_gate(pod))
    try:
        spec, workload = resolve(pod, budgets)
        targets = _target_containers(pod, workload)
    except UnresolvedError as reason:
        return [*operations, *_annotate_unresolved(pod, str(reason))]
    operations += _annotate_unresolved(pod, None)
    if (workload.update_mode or spec.update_mode) is not UpdateMode.OFF:
        operations += _inject(pod, targets, _variables(spec, workload))
    return operations


def resolve(pod: Mapping[str, Any], budgets: Budgets) -> tuple[PoolBudgetSpec, Workload]:
    """Return the budget and the workload that the pod's labels name.

    Raises UnresolvedError. Whether a namespace matches `allowedNamespaces.selector` is left to the operator, which asks
    when it grants: the labels of the namespace may have changed by then.
    """
    metadata = pod["metadata"]
    labels: Mapping[str, str] = metadata.get("labels") or {}
    namespace: str = metadata["namespace"]
    key = BudgetKey(labels.get(BUDGET_NAMESPACE_LABEL, namespace), labels.get(BUDGET_LABEL, ""))
    spec = budgets.get(key)
    if spec is None:
        raise UnresolvedError(f"PoolBudget {key} does not exist or is not valid")
    if key.namespace != namespace and spec.allowed_namespaces.from_ == "Same":
        raise UnresolvedError(f"PoolBudget {key} does not allow pods of namespace {namespace}")
    name = labels.get(WORKLOAD_LABEL, "")
    workload = next((w for w in spec.workloads if w.name == name), None)
    if workload is None:
        known = ", ".join(w.name for w in spec.workloads[:10])
        raise UnresolvedError(f"PoolBudget {key} has no workload {name!r} (label {WORKLOAD_LABEL}); it has {known}")
    return spec, workload


def own_annotations(annotations: Mapping[str, str]) -> list[str]:
    """Return the keys that only the operator writes: the grant and the settings."""
    return [
        key
        for key in annotations
        if key in (CONNECTIONS_ANNOTATION, MODE_ANNOTATION) or key.startswith(SETTING_ANNOTATION_PREFIX)
    ]


def _refuse_what_cannot_wait(pod: Mapping[str, Any]) -> None:
    labels = pod["metadata"].get("labels") or {}
    if own := own_annotations(pod["metadata"].get("annotations") or {}):
        raise RefusedError(f"only the PoolBudget operator writes {', '.join(sorted(own))}: remove these annotations")
    if MODE_LABEL in labels:
        raise RefusedError(f"only the PoolBudget operator writes the label {MODE_LABEL}: remove it")
    if not labels.get(WORKLOAD_LABEL):
        raise RefusedError(f"a pod with the label {BUDGET_LABEL} also needs the label {WORKLOAD_LABEL}: add it")
    if pod["spec"].get("nodeName"):
        raise RefusedError(
            f"a pod with the label {BUDGET_LABEL} waits for its grant before it is scheduled: "
            "leave spec.nodeName out, and use nodeSelector or affinity"
        )


def _gate(pod: Mapping[str, Any]) -> Iterator[Operation]:
    gates = pod["spec"].get("schedulingGates") or []
    if not gates:
        yield {"op": "add", "path": "/spec/schedulingGates", "value": [{"name": GATE}]}
    elif all(gate["name"] != GATE for gate in gates):
        yield {"op": "add", "path": "/spec/schedulingGates/-", "value": {"name": GATE}}


def _annotate_unresolved(pod: Mapping[str, Any], reason: str | None) -> Iterator[Operation]:
    annotations = pod["metadata"].get("annotations")
    path = f"/metadata/annotations/{escape(UNRESOLVED_ANNOTATION)}"
    if reason == (annotations or {}).get(UNRESOLVED_ANNOTATION):
        return
    if reason is None:
        yield {"op": "remove", "path": path}
    elif annotations:
        yield {"op": "add", "path": path, "value": reason}
    else:
        yield {"op": "add", "path": "/metadata/annotations", "value": {UNRESOLVED_ANNOTATION: reason}}


def _target_containers(pod: Mapping[str, Any], workload: Workload) -> set[str]:
    found = {container.name for container in parse_pod_spec(pod).targets(workload.containers)}
    if missing := [name for name in workload.containers or () if name not in found]:
        raise UnresolvedError(f"the pod has no container {', '.join(missing)}, which workload {workload.name} names")
    return found


def _variables(spec: PoolBudgetSpec, workload: Workload) -> list[dict[str, Any]]:
    return [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{annotation_key(name)}']"}}}
        for name in setting_names(spec, workload)
    ]


def _inject(
    pod: Mapping[str, Any], targets: Collection[str], variables: Sequence[dict[str, Any]]
) -> Iterator[Operation]:
    """Put the variables in front, so that what the user's own `$(DB_HOST)` refers to is defined before it."""
    for group in ("containers", "initContainers"):
        for index, container in enumerate(pod["spec"].get(group) or []):
            if container["name"] not in targets:
                continue
            env = container.get("env") or []
            defined = {variable["name"] for variable in env}
            added = [variable for variable in variables if variable["name"] not in defined]
            path = f"/spec/{group}/{index}/env"
            if added and not env:
                yield {"op": "add", "path": path, "value": added}
            elif added:
                yield from ({"op": "add", "path": f"{path}/{at}", "value": v} for at, v in enumerate(added))


def escape(key: str) -> str:
    """Escape a key for a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
