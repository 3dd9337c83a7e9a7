"""What controllers say of their pods, live and in manifests."""

from typing import Any

import pytest

from poolbudget.planning.fields import FieldError
from poolbudget.planning.model import TargetKey
from poolbudget.planning.targets import autoscaler_key, autoscaler_max, parse_target

ROLLING = {"type": "RollingUpdate"}

PODS: dict[str, tuple[str, dict[str, Any], int | None, int, int | None, bool]] = {
    # kind, fields, autoscaler's maximum, desired, steady, surges
    "a Deployment has one replica and surges by default": ("Deployment", {"spec": {}}, None, 1, 1, True),
    "a Deployment with replicas": ("Deployment", {"spec": {"replicas": 4}}, None, 4, 4, True),
    "its autoscaler's maximum counts": ("Deployment", {"spec": {"replicas": 4}}, 9, 4, 9, True),
    "the replicas count where they are above the maximum": ("Deployment", {"spec": {"replicas": 4}}, 3, 4, 4, True),
    "a Deployment scaled to zero": ("Deployment", {"spec": {"replicas": 0}}, None, 0, 0, True),
    "strategy Recreate": ("Deployment", {"spec": {"strategy": {"type": "Recreate"}}}, None, 1, 1, False),
    "maxSurge 0": (
        "Deployment",
        {"spec": {"strategy": {**ROLLING, "rollingUpdate": {"maxSurge": 0}}}},
        None,
        1,
        1,
        False,
    ),
    "maxSurge 0%": (
        "Deployment",
        {"spec": {"strategy": {**ROLLING, "rollingUpdate": {"maxSurge": "0%"}}}},
        None,
        1,
        1,
        False,
    ),
    "maxSurge 200%": (
        "Deployment",
        {"spec": {"strategy": {**ROLLING, "rollingUpdate": {"maxSurge": "200%"}}}},
        None,
        1,
        1,
        True,
    ),
    "a StatefulSet": ("StatefulSet", {"spec": {"replicas": 3}}, None, 3, 3, False),
    "a bare ReplicaSet": ("ReplicaSet", {"spec": {"replicas": 2}}, None, 2, 2, False),
    "a DaemonSet of which only the manifest is known": ("DaemonSet", {"spec": {}}, None, 0, None, False),
    "a live DaemonSet": ("DaemonSet", {"spec": {}, "status": {"desiredNumberScheduled": 5}}, None, 5, 5, False),
    "a live DaemonSet with surge": (
        "DaemonSet",
        {
            "spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
            "status": {"desiredNumberScheduled": 5},
        },
        None,
        5,
        5,
        True,
    ),
    "a Job": ("Job", {"spec": {}}, None, 1, 1, False),
    "a Job in parallel": ("Job", {"spec": {"parallelism": 5}}, None, 5, 5, False),
    "a Job with fewer completions": ("Job", {"spec": {"parallelism": 5, "completions": 2}}, None, 2, 2, False),
    "a CronJob of policy Allow": ("CronJob", {"spec": {"jobTemplate": {"spec": {}}}}, None, 1, None, False),
    "a CronJob of policy Forbid": (
        "CronJob",
        {"spec": {"concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {"parallelism": 3}}}},
        None,
        3,
        3,
        False,
    ),
    "a canary Rollout": ("Rollout", {"spec": {"replicas": 3, "strategy": {"canary": {}}}}, None, 3, 3, True),
    "a blue-green Rollout": ("Rollout", {"spec": {"replicas": 3, "strategy": {"blueGreen": {}}}}, None, 3, None, False),
    "a Knative Service without a maximum": ("Service", {"spec": {"template": {}}}, None, 0, None, True),
    "a Knative Service": (
        "Service",
        {"spec": {"template": {"metadata": {"annotations": {"autoscaling.knative.dev/max-scale": "7"}}}}},
        None,
        0,
        7,
        True,
    ),
    "a KEDA ScaledJob": (
        "ScaledJob",
        {"spec": {"maxReplicaCount": 6, "jobTargetRef": {"parallelism": 2}}},
        None,
        0,
        12,
        False,
    ),
    "a KEDA ScaledJob by default": ("ScaledJob", {"spec": {"jobTargetRef": {}}}, None, 0, 100, False),
}


def manifest(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "api", "namespace": "shop"}, **fields}


@pytest.mark.parametrize(("kind", "fields", "maximum", "desired", "steady", "surges"), PODS.values(), ids=PODS.keys())
def test_pods(
    kind: str, fields: dict[str, Any], maximum: int | None, desired: int, steady: int | None, surges: bool
) -> None:
    target = parse_target(manifest(kind, **fields), maximum)
    assert target.key == TargetKey(kind, "shop", "api")
    assert (target.desired, target.steady, target.surges) == (desired, steady, surges)
    assert bool(target.unknown) == (steady is None)


TEMPLATE = {"spec": {"containers": [{"name": "app", "args": ["x"], "env": [{"name": "A", "value": "1"}]}]}}
WITH_TEMPLATE: dict[str, dict[str, Any]] = {
    "Deployment": {"template": TEMPLATE},
    "CronJob": {"jobTemplate": {"spec": {"template": TEMPLATE}}},
    "ScaledJob": {"jobTargetRef": {"template": TEMPLATE}},
}


@pytest.mark.parametrize("kind", WITH_TEMPLATE)
def test_the_pod_template_is_found(kind: str) -> None:
    parsed = parse_target(manifest(kind, spec=WITH_TEMPLATE[kind]), None).template
    assert parsed is not None
    assert parsed.containers[0].args == ("x",)


def test_the_newest_revision_of_a_stateful_set_is_known() -> None:
    live = manifest("StatefulSet", spec={}, status={"updateRevision": "api-7c"})
    assert parse_target(live, None).revision == "api-7c"


AUTOSCALERS: dict[str, tuple[dict[str, Any], int]] = {
    "a HorizontalPodAutoscaler": (
        {
            "kind": "HorizontalPodAutoscaler",
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "api"}, "maxReplicas": 9},
        },
        9,
    ),
    "a KEDA ScaledObject": (
        {"kind": "ScaledObject", "spec": {"scaleTargetRef": {"name": "api"}, "maxReplicaCount": 4}},
        4,
    ),
    "a KEDA ScaledObject by default": ({"kind": "ScaledObject", "spec": {"scaleTargetRef": {"name": "api"}}}, 100),
}


@pytest.mark.parametrize(("autoscaler", "maximum"), AUTOSCALERS.values(), ids=AUTOSCALERS.keys())
def test_autoscalers(autoscaler: dict[str, Any], maximum: int) -> None:
    scaled = {"metadata": {"name": "any", "namespace": "shop"}, **autoscaler}
    assert autoscaler_key(scaled) == TargetKey("Deployment", "shop", "api")
    assert autoscaler_max(scaled) == maximum


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "replicas in quotes": ({"spec": {"replicas": "3"}}, "spec.replicas"),
    "replicas below zero": ({"spec": {"replicas": -1}}, "spec.replicas"),
    "replicas as a boolean": ({"spec": {"replicas": True}}, "spec.replicas"),
    "a spec that is a list": ({"spec": []}, "spec"),
    "a template that is text": ({"spec": {"template": "x"}}, "spec.template"),
    "containers that are an object": (
        {"spec": {"template": {"spec": {"containers": {}}}}},
        "spec.template.spec.containers",
    ),
    "a command that is text": (container(command="uvicorn"), "spec.template.spec.containers[0].command"),
    "an argument that is a number": (container(args=["-w", 4]), "spec.template.spec.containers[0].args[1]"),
    "a variable that is a number": (
        container(env=[{"name": "WORKERS", "value": 4}]),
        "spec.template.spec.containers[0].env[0].value",
    ),
    "a container without a name": (
        {"spec": {"template": {"spec": {"containers": [{}]}}}},
        "spec.template.spec.containers[0].name",
    ),
}


def test_a_container_of_a_knative_service_may_do_without_a_name() -> None:
    fields = {"spec": {"template": {"spec": {"containers": [{"command": ["uvicorn", "app:app"]}]}}}}
    template = parse_target(manifest("Service", **fields), None).template
    assert template is not None
    assert [(c.name, c.command[0]) for c in template.containers] == [("user-container", "uvicorn")]


@pytest.mark.parametrize(("fields", "path"), WRONG.values(), ids=WRONG.keys())
def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_target(manifest("Deployment", **fields), None)
    assert caught.value.path == path
