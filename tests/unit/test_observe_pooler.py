"""What is read of a pooler's objects."""

from typing import Any

import pytest

from poolbudget.observe.pooler import parse_pod, parse_stateful_set
from poolbudget.pooler.config import Limits
from poolbudget.pooler.layout import PoolerPod

LIMITS = Limits(10, 100)
ANNOTATIONS = {
    "poolbudget.dev/pooler-limits": LIMITS.text,
    "poolbudget.dev/pooler-config": "c1",
    "poolbudget.dev/pooler-secret": "s1",
}


def pod(*, state: str = "running", ready: str = "True", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "orders-pooler-0", "uid": "u1", "annotations": ANNOTATIONS, **metadata},
        "status": {
            "podIP": "10.0.0.1",
            "hostIP": "10.9.0.1",
            "containerStatuses": [{"containerID": "containerd://1", "state": {state: {}}}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


SERVING = PoolerPod(
    "orders-pooler-0", "u1", "containerd://1", "10.0.0.1", "10.9.0.1", LIMITS, "c1", "s1", ready=True, ending=False
)


def test_a_pod_that_serves() -> None:
    assert parse_pod(pod()) == SERVING


def test_a_container_that_ended_is_no_process() -> None:
    ended = parse_pod(pod(state="waiting", ready="False"))
    assert (ended.process, ended.ready) == ("", False)


def test_a_pod_that_is_deleted_is_ending() -> None:
    assert parse_pod(pod(deletionTimestamp="2026-01-01T00:00:00Z")).ending


def test_a_pod_that_was_just_created_has_neither_address_nor_process() -> None:
    new = parse_pod({"metadata": {"name": "orders-pooler-0", "uid": "u1", "annotations": ANNOTATIONS}})
    assert (new.address, new.process, new.ready, new.limits) == ("", "", False, LIMITS)


@pytest.mark.parametrize(("generation", "observed"), [(3, True), (4, False)])
def test_a_stateful_set_is_observed_when_its_controller_knows_the_newest_template(
    generation: int, observed: bool
) -> None:
    raw = {
        "metadata": {"generation": generation},
        "spec": {"replicas": 2, "template": {"metadata": {"annotations": ANNOTATIONS}}},
        "status": {"observedGeneration": 3},
    }
    seen = parse_stateful_set(raw, (SERVING,))
    assert (seen.replicas, seen.limits, seen.config, seen.observed) == (2, LIMITS, "c1", observed)
    assert seen.spread == 2


def test_no_stateful_set() -> None:
    assert parse_stateful_set(None, ()).replicas is None
