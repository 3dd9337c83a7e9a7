"""The controllers that the tests of grants put under a budget. Their pods belong to the budget `orders`.

Most of them are parked: no node suits them, so they cost nothing, and a grant is all that they ever get. Those that run
are given a second to end: with none the API server would drop them without asking the kubelet whether they have ended.
"""

import copy
from collections.abc import Mapping
from typing import Any

from tests.functional.cluster import pod

IMAGE = "poolbudget/example:dev"
NOWHERE = {"tests.poolbudget.dev/no-such-node": "true"}


def template(workload: str, *, parked: bool = True, **spec: Any) -> dict[str, Any]:
    """Return a pod template with the two labels; `spec` changes the pod's spec."""
    where = {"nodeSelector": NOWHERE} if parked else {"terminationGracePeriodSeconds": 1}
    made = pod("", workload, labels=labels(workload), **where, **spec)
    return {"metadata": {"labels": made["metadata"]["labels"]}, "spec": made["spec"]}


def labels(workload: str) -> dict[str, str]:
    return {"app": workload, "poolbudget.dev/budget": "orders", "poolbudget.dev/workload": workload}


def deployment(
    name: str, replicas: int, *, strategy: Mapping[str, Any] | None = None, parked: bool = True, **spec: Any
) -> dict[str, Any]:
    """Return a Deployment; without `strategy` it replaces its pods by Recreate, and needs no slot for a rollout."""
    return controller(
        "Deployment", name, replicas, template(name, parked=parked, **spec), strategy=strategy or {"type": "Recreate"}
    )


def unlabelled(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a controller whose pods know nothing of a budget."""
    changed: dict[str, Any] = copy.deepcopy(dict(manifest))
    metadata = changed["spec"]["template"]["metadata"]
    metadata["labels"] = {key: value for key, value in metadata["labels"].items() if "poolbudget" not in key}
    return changed


def stateful_set(name: str, replicas: int) -> dict[str, Any]:
    return controller("StatefulSet", name, replicas, template(name), serviceName=name)


def replica_set(name: str, replicas: int) -> dict[str, Any]:
    return controller("ReplicaSet", name, replicas, template(name))


def job(name: str, **spec: Any) -> dict[str, Any]:
    """Return a Job whose pods run; `spec` changes its own, `containers` and `initContainers` that of its pods."""
    of_pods = {key: spec.pop(key) for key in ("containers", "initContainers") if key in spec}
    pods = template(name, parked=False, restartPolicy="Never", **of_pods)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": pods, **spec}}


def cron_job(name: str, **spec: Any) -> dict[str, Any]:
    """Return a CronJob that nobody starts but the test: the 30th of February never comes."""
    jobs = {"spec": job(name)["spec"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {"schedule": "0 0 30 2 *", "jobTemplate": jobs, **spec},
    }


def controller(kind: str, name: str, replicas: int, pods: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": selector, "template": pods, **spec},
    }


def autoscaler(name: str, most: int) -> dict[str, Any]:
    """Return an HPA of the Deployment `name`. It has no metrics to act on: only its maximum matters."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": most,
        },
    }
