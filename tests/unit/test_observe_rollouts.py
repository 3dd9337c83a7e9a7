"""How far a controller is, read from the status that Kubernetes writes."""

from typing import Any

import pytest

from poolbudget.observe.rollouts import parse_rollout
from poolbudget.planning.model import Rollout

DEPLOYED = {"replicas": 4, "updatedReplicas": 4, "availableReplicas": 4}
SHARES = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
SET = {"replicas": 3, "availableReplicas": 3, "currentRevision": "a", "updateRevision": "a"}
ROLLING = {"type": "RollingUpdate"}


def parsed(kind: str, spec: dict[str, Any], status: dict[str, Any], **metadata: Any) -> Rollout:
    of_template = {"labels": {"app": "api", **metadata.pop("labels", {})}, **metadata.pop("template", {})}
    raw = {
        "metadata": {"uid": "u", "generation": 2, **metadata},
        "spec": {"template": {"metadata": of_template}, **spec},
        "status": {"observedGeneration": 2, **status},
    }
    found = parse_rollout(kind, raw)
    assert found is not None
    return found


PROGRESS: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[bool, int]]] = {
    "a Deployment at rest": ("Deployment", {}, {}, (False, 0)),
    "a Deployment whose change is unnoticed": ("Deployment", {}, {"observedGeneration": 1}, (True, 0)),
    "a Deployment with an old pod beside its new ones": (
        "Deployment",
        {},
        {"replicas": 5, "availableReplicas": 5},
        (True, 0),
    ),
    "a Deployment between its old pods and its new ones": (
        "Deployment",
        {},
        {"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0},
        (True, 4),
    ),
    "a Deployment whose new pods are not ready": ("Deployment", {}, {"availableReplicas": 1}, (False, 3)),
    "a Deployment that is scaled down": ("Deployment", {"replicas": 2}, {}, (False, 0)),
    "a StatefulSet at rest": ("StatefulSet", {}, {}, (False, 0)),
    "a StatefulSet in a rollout": (
        "StatefulSet",
        {},
        {"updateRevision": "b", "replicas": 2, "availableReplicas": 2},
        (True, 1),
    ),
    "a StatefulSet that has yet to make pods": ("StatefulSet", {}, {"replicas": 2, "availableReplicas": 1}, (False, 1)),
    "a DaemonSet at rest": ("DaemonSet", {}, {}, (False, 0)),
    "a DaemonSet in a rollout": ("DaemonSet", {}, {"updatedNumberScheduled": 1, "numberAvailable": 2}, (True, 1)),
}
AT_REST: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Deployment": ({"replicas": 4, "strategy": SHARES}, DEPLOYED),
    "StatefulSet": ({"replicas": 3, "updateStrategy": ROLLING}, SET),
    "DaemonSet": (
        {"updateStrategy": {**ROLLING, "rollingUpdate": {"maxUnavailable": 1}}},
        {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3},
    ),
}


@pytest.mark.parametrize(("kind", "spec", "status", "told"), PROGRESS.values(), ids=PROGRESS.keys())
def test_progress(kind: str, spec: dict[str, Any], status: dict[str, Any], told: tuple[bool, int]) -> None:
    usual, finished = AT_REST[kind]
    found = parsed(kind, usual | spec, finished | status)
    assert (found.outdated, found.unready) == told
    assert not found.obstacle


PROCEEDS: dict[str, tuple[str, dict[str, Any], dict[str, Any], bool]] = {
    "a Deployment with all its pods and one to spare": ("Deployment", {}, {}, True),
    "a Deployment that has spent it": ("Deployment", {}, {"availableReplicas": 3}, False),
    "a Deployment with a surge pod and none to spare": ("Deployment", {"replicas": 3}, {"availableReplicas": 3}, False),
    "and with one more than it wants": ("Deployment", {"replicas": 3}, {"availableReplicas": 4}, True),
    "a StatefulSet whose pods are all ready": ("StatefulSet", {}, {}, True),
    "a StatefulSet with one that is not": ("StatefulSet", {}, {"availableReplicas": 2}, False),
    "a DaemonSet with one that is not": ("DaemonSet", {}, {"numberAvailable": 2}, False),
}


@pytest.mark.parametrize(("kind", "spec", "status", "proceeds"), PROCEEDS.values(), ids=PROCEEDS.keys())
def test_whether_it_may_end_another_pod(
    kind: str, spec: dict[str, Any], status: dict[str, Any], proceeds: bool
) -> None:
    usual, finished = AT_REST[kind]
    assert bool(parsed(kind, usual | spec, finished | status).endable) is proceeds


def strategy(surge: int | str, unavailable: int | str) -> dict[str, Any]:
    return {"strategy": {**ROLLING, "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}


SPARE: dict[str, tuple[str, dict[str, Any], int]] = {
    "shares of four pods": ("Deployment", {}, 1),
    "shares of three pods round down": ("Deployment", {"replicas": 3}, 0),
    "as given": ("Deployment", strategy(1, 2), 2),
    "one, where both are nothing": ("Deployment", strategy("0%", "0%"), 1),
    "all, where the strategy is Recreate": ("Deployment", {"strategy": {"type": "Recreate"}}, 4),
    "one of a StatefulSet": ("StatefulSet", {}, 1),
    "shares of a DaemonSet round up": (
        "DaemonSet",
        {"updateStrategy": {**ROLLING, "rollingUpdate": {"maxUnavailable": "40%"}}},
        2,
    ),
    "none of a DaemonSet that surges": (
        "DaemonSet",
        {"updateStrategy": {**ROLLING, "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
        0,
    ),
}


@pytest.mark.parametrize(("kind", "spec", "spare"), SPARE.values(), ids=SPARE.keys())
def test_pods_that_may_end_before_a_new_one_is_ready(kind: str, spec: dict[str, Any], spare: int) -> None:
    usual, finished = AT_REST[kind]
    assert parsed(kind, usual | spec, finished).spare == spare


OBSTACLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a paused Deployment": ("Deployment", {"paused": True}, "it is paused"),
    "a StatefulSet with OnDelete": (
        "StatefulSet",
        {"updateStrategy": {"type": "OnDelete"}},
        "its updateStrategy is OnDelete",
    ),
    "a DaemonSet with OnDelete": (
        "DaemonSet",
        {"updateStrategy": {"type": "OnDelete"}},
        "its updateStrategy is OnDelete",
    ),
    "a StatefulSet with a partition": (
        "StatefulSet",
        {"updateStrategy": {**ROLLING, "rollingUpdate": {"partition": 1}}},
        "its updateStrategy has a partition",
    ),
}


@pytest.mark.parametrize(("kind", "spec", "obstacle"), OBSTACLES.values(), ids=OBSTACLES.keys())
def test_a_template_that_replaces_no_pods(kind: str, spec: dict[str, Any], obstacle: str) -> None:
    usual, finished = AT_REST[kind]
    found = parsed(kind, usual | spec, finished | {"observedGeneration": 1, "updateRevision": "b"})
    assert (found.obstacle, found.outdated) == (obstacle, False)


def test_our_labels_and_annotations_are_kept_and_no_others() -> None:
    found = parsed(
        "Deployment",
        *AT_REST["Deployment"],
        labels={"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"},
        template={"annotations": {"poolbudget.dev/restarted-at": "2024-01-01T00:00:00Z", "other": "x"}},
        annotations={"poolbudget.dev/times-labelled": "2"},
    )
    assert found.labels == {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"}
    assert (found.restarted_at, found.labelled) == ("2024-01-01T00:00:00Z", 2)


def test_kinds_that_keep_their_pods_have_no_rollout() -> None:
    assert parse_rollout("ReplicaSet", {}) is None
