"""What the operator reads of a labelled pod, beyond its labels and annotations."""

from typing import Any

import pytest

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.ledger.model import Pod
from poolbudget.observe.pods import parse_pod

LABELS = {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"}


def parsed(status: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **spec: Any) -> Pod:
    named = {"uid": "1", "namespace": "shop", "name": "api-1", "creationTimestamp": "2024-01-01T00:00:00Z"}
    found = parse_pod({"metadata": {**named, "labels": LABELS, **(metadata or {})}, "spec": spec, "status": status})
    assert found is not None
    return found[1]


def scheduled(status: str, reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": status, "reason": reason}]}


@pytest.mark.parametrize(
    ("pod", "unschedulable"),
    [
        pytest.param(parsed(), False, id="nobody has looked for a node"),
        pytest.param(parsed(scheduled("False", "SchedulingGated")), False, id="it was at the gate"),
        pytest.param(parsed(scheduled("False", "Unschedulable")), True, id="no node suits it"),
        pytest.param(parsed(scheduled("False", "Unschedulable"), nodeName="worker"), False, id="it was bound since"),
        pytest.param(parsed(scheduled("True", "")), False, id="it has a node"),
    ],
)
def test_whether_the_scheduler_has_looked_for_a_node_in_vain(pod: Pod, unschedulable: bool) -> None:
    assert pod.unschedulable is unschedulable


@pytest.mark.parametrize(
    ("metadata", "since"),
    [
        ({}, ""),
        (
            {"deletionTimestamp": "2024-01-01T00:01:00Z", "deletionGracePeriodSeconds": 30},
            "2024-01-01T00:00:30Z",
        ),
        ({"deletionTimestamp": "2024-01-01T00:01:00Z"}, "2024-01-01T00:01:00Z"),
    ],
    ids=["it stays", "it was given time", "at once"],
)
def test_since_when_a_pod_has_been_asked_to_end(metadata: dict[str, Any], since: str) -> None:
    pod = parsed(metadata=metadata)
    assert (pod.deleting, pod.deleting_since) == (bool(metadata), since)


@pytest.mark.parametrize(("annotations", "annotated"), [(None, False), ({}, False), ({"a": "b"}, True)])
def test_whether_a_pod_has_annotations(annotations: dict[str, str] | None, annotated: bool) -> None:
    assert parsed(metadata={"annotations": annotations}).annotated is annotated


@pytest.mark.parametrize(
    ("annotations", "granted"),
    [
        pytest.param({}, (None, None), id="nothing"),
        pytest.param({"connections": "4", "mode": "Direct"}, (4, WorkloadMode.DIRECT), id="connections of its own"),
        pytest.param({"connections": "0", "mode": "Pooled"}, (0, WorkloadMode.POOLED), id="a pool behind the pooler"),
        pytest.param({"connections": "0", "mode": "NullPool"}, (0, WorkloadMode.NULL_POOL), id="none behind it"),
        pytest.param({"connections": "-1", "mode": "Other"}, (None, None), id="what no operator writes"),
    ],
)
def test_what_a_pod_was_granted(annotations: dict[str, str], granted: tuple[int | None, WorkloadMode | None]) -> None:
    pod = parsed(metadata={"annotations": {f"poolbudget.dev/{name}": value for name, value in annotations.items()}})
    assert (pod.connections, pod.mode) == granted
