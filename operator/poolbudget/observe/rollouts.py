"""How far a controller is with replacing its pods, read from the API server's JSON.

`observe.caches` calls `parse_rollout` on every controller; `ledger.rollouts` decides on the result which of them gets a
new template next. What counts as finished is what `kubectl rollout status` waits for.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from poolbudget.ledger.model import BUDGET_LABEL, BUDGET_NAMESPACE_LABEL, WORKLOAD_LABEL
from poolbudget.ledger.rollouts import LABELLED_ANNOTATION, RESTARTED_ANNOTATION
from poolbudget.planning.fields import at
from poolbudget.planning.model import Rollout

Fields = Mapping[str, Any]
LABELS = (BUDGET_LABEL, WORKLOAD_LABEL, BUDGET_NAMESPACE_LABEL)


class Progress(NamedTuple):
    """What spec and status of one kind of controller mean: fields of `planning.model.Rollout`."""

    outdated: bool
    desired: int
    pods: int
    available: int
    spare: int
    obstacle: str = ""


def parse_rollout(kind: str, raw: Fields) -> Rollout | None:
    """Return the state of a live controller's rollout; None for kinds whose pods stay when the template changes."""
    if kind not in PROGRESS:
        return None
    metadata, status = raw["metadata"], raw.get("status") or {}
    progress = PROGRESS[kind](raw["spec"], status)
    template = raw["spec"]["template"].get("metadata") or {}
    labels = template.get("labels") or {}
    labelled = (metadata.get("annotations") or {}).get(LABELLED_ANNOTATION, "")
    unnoticed = status.get("observedGeneration", 0) < metadata["generation"]
    return Rollout(
        uid=metadata["uid"],
        generation=metadata["generation"],
        labels={name: labels[name] for name in LABELS if name in labels},
        restarted_at=(template.get("annotations") or {}).get(RESTARTED_ANNOTATION, ""),
        labelled=int(labelled) if labelled.isdecimal() else 0,
        obstacle=progress.obstacle,
        outdated=not progress.obstacle and (unnoticed or progress.outdated),
        desired=progress.desired,
        pods=progress.pods,
        available=progress.available,
        spare=progress.spare,
    )


def _deployment(spec: Fields, status: Fields) -> Progress:
    replicas = spec["replicas"]
    pods = max(replicas, status.get("replicas", 0))
    return Progress(
        outdated=status.get("updatedReplicas", 0) < pods,
        desired=replicas,
        pods=pods,
        available=status.get("availableReplicas", 0),
        spare=_spare(spec["strategy"], replicas),
        obstacle="it is paused" if spec.get("paused") else "",
    )


def _spare(strategy: Fields, replicas: int) -> int:
    if strategy["type"] == "Recreate":
        return replicas
    surge = _pods(strategy["rollingUpdate"]["maxSurge"], replicas, up=True)
    spare = _pods(strategy["rollingUpdate"]["maxUnavailable"], replicas, up=False)
    # With neither a rollout could not begin: Kubernetes then takes one pod away.
    return spare if surge or spare else 1


def _stateful_set(spec: Fields, status: Fields) -> Progress:
    partition = at(spec, "updateStrategy.rollingUpdate.partition")
    outdated = status.get("updateRevision") != status.get("currentRevision")
    return Progress(
        outdated=outdated,
        desired=spec["replicas"],
        # Pods that it has yet to make wait for those before them: only those that are there can be unready.
        pods=spec["replicas"] if outdated else status.get("replicas", 0),
        available=status.get("availableReplicas", 0),
        spare=1,
        obstacle="its updateStrategy has a partition" if partition else _on_delete(spec),
    )


def _daemon_set(spec: Fields, status: Fields) -> Progress:
    nodes = status.get("desiredNumberScheduled", 0)
    unavailable = at(spec, "updateStrategy.rollingUpdate.maxUnavailable")
    return Progress(
        outdated=status.get("updatedNumberScheduled", 0) < nodes,
        desired=nodes,
        pods=nodes,
        available=status.get("numberAvailable", 0),
        spare=0 if unavailable is None else _pods(unavailable, nodes, up=True),
        obstacle=_on_delete(spec),
    )


def _on_delete(spec: Fields) -> str:
    return "its updateStrategy is OnDelete" if spec["updateStrategy"]["type"] == "OnDelete" else ""


def _pods(share: int | str, of: int, *, up: bool) -> int:
    """Return a number of pods that is given as such or as a percentage."""
    if isinstance(share, int):
        return share
    percent = int(share.removesuffix("%"))
    return -(-percent * of // 100) if up else percent * of // 100


PROGRESS: Mapping[str, Callable[[Fields, Fields], Progress]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
}
"""By kind: what spec and status tell. These three make new pods when their template changes."""
