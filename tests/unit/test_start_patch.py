"""What starting a pod changes on it."""

from typing import Any

import jsonpatch
import pytest

from poolbudget.act.pods import start_patch
from tests.unit.ledger_builders import waiting

LABELS = {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"}


def started(annotations: dict[str, str]) -> dict[str, Any]:
    pod = waiting(annotated=True)
    before = {
        "metadata": {"uid": pod.uid, "labels": LABELS, "annotations": {}},
        "spec": {"schedulingGates": [{"name": "poolbudget.dev/grant"}]},
    }
    after: dict[str, Any] = jsonpatch.apply_patch(before, start_patch(pod, annotations))
    assert after["spec"] == {}
    found: dict[str, str] = after["metadata"]["labels"]
    return found


@pytest.mark.parametrize("mode", ["Direct", "Pooled", "NullPool"])
def test_a_granted_pod_says_in_a_label_how_it_reaches_the_server(mode: str) -> None:
    assert started({"poolbudget.dev/mode": mode}) == LABELS | {"poolbudget.dev/mode": mode}


def test_a_pod_that_starts_without_a_grant_gets_no_label() -> None:
    assert started({}) == LABELS
