"""Labelled pods, read from the API server's JSON down to what grants depend on.

The operator's pod cache (`observe.caches`) calls `parse_pod` on every object that it lists or watches;
`observe.unlabelled` reads the same fields of other pods.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.detection.podspec import parse_pod_spec
from poolbudget.ledger.model import (
    BUDGET_LABEL,
    BUDGET_NAMESPACE_LABEL,
    CONNECTIONS_ANNOTATION,
    GATE,
    GRANTED_CONDITION,
    MODE_ANNOTATION,
    UNRESOLVED_ANNOTATION,
    WORKLOAD_LABEL,
    Pod,
)
from poolbudget.planning.model import TargetKey, WorkloadKey

REVISION_LABELS = ("pod-template-hash", "controller-revision-hash", "rollouts-pod-template-hash")


def parse_pod(raw: Mapping[str, Any]) -> tuple[str, Pod] | None:
    """Return the pod under its uid; None if it does not carry both labels."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if BUDGET_LABEL not in labels or WORKLOAD_LABEL not in labels:
        return None
    gates = tuple(gate["name"] for gate in spec.get("schedulingGates") or ())
    namespace = metadata["namespace"]
    pod = Pod(
        uid=metadata["uid"],
        namespace=namespace,
        name=metadata["name"],
        workload=WorkloadKey(
            labels.get(BUDGET_NAMESPACE_LABEL, namespace), labels[BUDGET_LABEL], labels[WORKLOAD_LABEL]
        ),
        created=metadata["creationTimestamp"],
        priority=spec.get("priority") or 0,
        node=spec.get("nodeName") or "",
        address=status.get("podIP") or "",
        host=status.get("hostIP") or "",
        gates=gates,
        deleting="deletionTimestamp" in metadata,
        ended=has_ended(status),
        connections=_number(annotations.get(CONNECTIONS_ANNOTATION)),
        mode=_mode(annotations.get(MODE_ANNOTATION)),
        revision=revision_of(labels),
        owner=owner.kind if (owner := controller_of(metadata)) else "",
        controller=_maker(metadata),
        unresolved=UNRESOLVED_ANNOTATION in annotations,
        annotated=bool(annotations),
        deleting_since=_deleting_since(metadata),
        unschedulable=not spec.get("nodeName") and _is_unschedulable(status),
        spec=parse_pod_spec(raw) if GATE in gates or CONNECTIONS_ANNOTATION not in annotations else None,
        notice=_notice(status),
    )
    return pod.uid, pod


def has_ended(status: Mapping[str, Any]) -> bool:
    """Whether the kubelet has reported that no container runs any more or ever will.

    The kubelet writes a terminal phase only after it has stopped all containers; the pod garbage collector also
    writes one, for pods of lost nodes, without knowing.
    """
    if status.get("phase") not in {"Succeeded", "Failed"}:
        return False
    if any(
        c["type"] == "DisruptionTarget" and c.get("reason") == "DeletionByPodGC" for c in status.get("conditions") or ()
    ):
        return False
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return not any("running" in (container.get("state") or {}) for container in statuses)


def controller_of(metadata: Mapping[str, Any]) -> TargetKey | None:
    """Return the controller that makes an object, None if nobody does."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return TargetKey(owner["kind"], metadata["namespace"], owner["name"])
    return None


def revision_of(labels: Mapping[str, str]) -> str | None:
    """Return what tells the pods of one template from those of the next."""
    return next((labels[name] for name in REVISION_LABELS if name in labels), None)


def _maker(metadata: Mapping[str, Any]) -> TargetKey | None:
    """Return what makes the pod, and makes it anew from a new template: of a Deployment's pod that Deployment."""
    owner = controller_of(metadata)
    template = (metadata.get("labels") or {}).get("pod-template-hash")
    if owner and owner.kind == "ReplicaSet" and template and owner.name.endswith(f"-{template}"):
        return TargetKey("Deployment", owner.namespace, owner.name.removesuffix(f"-{template}"))
    return owner


def _notice(status: Mapping[str, Any]) -> tuple[str, str] | None:
    for condition in status.get("conditions") or ():
        if condition["type"] == GRANTED_CONDITION and condition["status"] == "False":
            return condition.get("reason", ""), condition.get("message", "")
    return None


def _deleting_since(metadata: Mapping[str, Any]) -> str:
    """Return when the pod was asked to end: its deletionTimestamp is when it will be killed."""
    if "deletionTimestamp" not in metadata:
        return ""
    killed = datetime.fromisoformat(metadata["deletionTimestamp"])
    asked = killed - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
    return asked.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_unschedulable(status: Mapping[str, Any]) -> bool:
    """Whether the scheduler has looked for a node in vain; at a gate it has not looked yet."""
    return any(
        c["type"] == "PodScheduled" and c["status"] == "False" and c.get("reason") != "SchedulingGated"
        for c in status.get("conditions") or ()
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _mode(text: str | None) -> WorkloadMode | None:
    return WorkloadMode(text) if text in set(WorkloadMode) else None
