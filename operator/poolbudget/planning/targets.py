"""Read what a controller says of its pods, from the object as the API server or a manifest gives it.

`observe` parses live objects and `cli.manifests` files, both through `parse_target`: a field that is not there means
the API's default. `planning.sizing` reads the result.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from poolbudget.detection.podspec import UNNAMED_CONTAINER, parse_pod_spec
from poolbudget.planning.fields import FieldError, at, count, mapping, said, text
from poolbudget.planning.model import Target, TargetKey
from poolbudget.planning.template import check_template

PERCENT = re.compile(r"[0-9]{1,9}%")
SOME = 1
"""Stands for the default of 25%: only whether there is a surge matters."""

DISRUPTABLE = frozenset({"Deployment", "StatefulSet"})
"""Kinds whose pods disruption budgets select; for the others the labels would only take memory."""

KEDA_MOST_REPLICAS = 100
"""KEDA's default of maxReplicaCount."""


@dataclass(frozen=True, slots=True)
class Pods:
    """How many pods a controller wants, without its autoscaler.

    `most` is None where it cannot tell; `unknown` says why.
    """

    desired: int
    most: int | None
    surges: bool = False
    unknown: str = ""


def parse_target(manifest: Mapping[str, Any], autoscaler_max: int | None) -> Target:
    """Return the target of a controller of a kind in TARGETS. Raises FieldError for a field of the wrong type."""
    kind = manifest["kind"]
    metadata = mapping(manifest, "metadata")
    namespace = text(metadata, "namespace", "default", "metadata.namespace")
    path, pods_of = TARGETS[kind]
    pods = pods_of(manifest)
    steady = pods.most if autoscaler_max is None or pods.most is None else max(pods.most, autoscaler_max)
    template = at(manifest, path)
    if template is not None:
        check_template(template, path, UNNAMED_CONTAINER if kind == "Service" else None)
    return Target(
        key=TargetKey(kind, namespace, text(metadata, "name", "", "metadata.name")),
        desired=pods.desired,
        steady=steady,
        surges=pods.surges,
        template=None if template is None else parse_pod_spec(template),
        unknown=pods.unknown,
        revision=at(manifest, "status.updateRevision"),
        labels=dict(at(template, "metadata.labels") or {}) if template and kind in DISRUPTABLE else {},
    )


def autoscaler_key(manifest: Mapping[str, Any]) -> TargetKey:
    """Return what a HorizontalPodAutoscaler or a KEDA ScaledObject scales."""
    namespace = text(mapping(manifest, "metadata"), "namespace", "default", "metadata.namespace")
    reference = at(manifest, "spec.scaleTargetRef")
    if not isinstance(reference, Mapping):
        raise FieldError("spec.scaleTargetRef", "must name the object to scale: write {kind: Deployment, name: ...}")
    kind = text(reference, "kind", "Deployment", "spec.scaleTargetRef.kind")
    return TargetKey(kind, namespace, text(reference, "name", "", "spec.scaleTargetRef.name"))


def autoscaler_max(manifest: Mapping[str, Any]) -> int:
    """Return the most replicas that a HorizontalPodAutoscaler or a KEDA ScaledObject asks for."""
    if manifest["kind"] == "ScaledObject":
        return count(manifest, "spec.maxReplicaCount", KEDA_MOST_REPLICAS)
    return count(manifest, "spec.maxReplicas", None)


def _deployment(manifest: Mapping[str, Any]) -> Pods:
    replicas = count(manifest, "spec.replicas", 1)
    recreate = at(manifest, "spec.strategy.type") == "Recreate"
    return Pods(replicas, replicas, surges=not recreate and _surges(manifest, "spec.strategy.rollingUpdate", SOME))


def _replicas(manifest: Mapping[str, Any]) -> Pods:
    replicas = count(manifest, "spec.replicas", 1)
    return Pods(replicas, replicas)


def _daemon_set(manifest: Mapping[str, Any]) -> Pods:
    on_delete = at(manifest, "spec.updateStrategy.type") == "OnDelete"
    surges = not on_delete and _surges(manifest, "spec.updateStrategy.rollingUpdate", 0)
    if at(manifest, "status.desiredNumberScheduled") is None:
        return Pods(0, None, surges, "a DaemonSet runs one pod on each node: set `maxPods` to the number of nodes")
    nodes = count(manifest, "status.desiredNumberScheduled", 0)
    return Pods(nodes, nodes, surges)


def _job(manifest: Mapping[str, Any], path: str = "spec") -> Pods:
    parallelism = count(manifest, f"{path}.parallelism", 1)
    pods = min(parallelism, count(manifest, f"{path}.completions", parallelism))
    return Pods(pods, pods)


def _cron_job(manifest: Mapping[str, Any]) -> Pods:
    job = _job(manifest, "spec.jobTemplate.spec")
    if at(manifest, "spec.concurrencyPolicy") in {"Forbid", "Replace"}:
        return job
    remedy = "set its concurrencyPolicy to Forbid or Replace, or `maxPods` of the workload"
    return Pods(
        job.desired, None, unknown=f"a CronJob of concurrencyPolicy Allow may run any number of Jobs at once: {remedy}"
    )


def _rollout(manifest: Mapping[str, Any]) -> Pods:
    replicas = count(manifest, "spec.replicas", 1)
    if at(manifest, "spec.strategy.blueGreen") is not None:
        remedy = "set `maxPods` of the workload to the pods of both"
        return Pods(replicas, None, unknown=f"a blue-green Rollout runs two full sets of pods at once: {remedy}")
    return Pods(replicas, replicas, surges=_surges(manifest, "spec.strategy.canary", SOME))


def _knative_service(manifest: Mapping[str, Any]) -> Pods:
    annotations = at(manifest, "spec.template.metadata.annotations") or {}
    written = annotations.get("autoscaling.knative.dev/max-scale") or annotations.get(
        "autoscaling.knative.dev/maxScale"
    )
    if isinstance(written, str) and written.isdecimal() and int(written) > 0:
        # A new revision starts beside the old one.
        return Pods(0, int(written), surges=True)
    remedy = 'annotate its template with autoscaling.knative.dev/max-scale: "10", or set `maxPods` of the workload'
    return Pods(0, None, surges=True, unknown=f"a Knative Service without a maximum scales without bound: {remedy}")


def _scaled_job(manifest: Mapping[str, Any]) -> Pods:
    job = _job(manifest, "spec.jobTargetRef")
    return Pods(0, job.desired * count(manifest, "spec.maxReplicaCount", KEDA_MOST_REPLICAS))


def _surges(manifest: Mapping[str, Any], path: str, default: int) -> bool:
    """Whether a rolling update starts new pods before old ones end. More than one at a time wait for their grant."""
    surge = at(manifest, f"{path}.maxSurge")
    if not isinstance(surge, str):
        return count(manifest, f"{path}.maxSurge", default) > 0
    if not PERCENT.fullmatch(surge):
        raise FieldError(f"{path}.maxSurge", f'must be a number of pods or a share such as "25%", not {said(surge)}')
    return int(surge.removesuffix("%")) > 0


TARGETS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Pods]]] = {
    "Deployment": ("spec.template", _deployment),
    "StatefulSet": ("spec.template", _replicas),
    "ReplicaSet": ("spec.template", _replicas),
    "DaemonSet": ("spec.template", _daemon_set),
    "Job": ("spec.template", _job),
    "CronJob": ("spec.jobTemplate.spec.template", _cron_job),
    "Rollout": ("spec.template", _rollout),
    "Service": ("spec.template", _knative_service),
    "ScaledJob": ("spec.jobTargetRef.template", _scaled_job),
}
"""By kind: where the pod template stands, and how many pods there are. `Service` is that of Knative."""
