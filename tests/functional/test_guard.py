"""Who may write what on a labelled pod: asked of the real API server, as a user who may do all in his namespace."""

import json
from typing import Any

import pytest

from tests.functional.cluster import GATE, budget, create, eventually, get, kubectl, pod

pytestmark = pytest.mark.usefixtures("installed")

ORDINARY = "--as=ordinary"
BREAK_GLASS = ("--as=breaker", "--as-group=poolbudget:break-glass")
OPERATOR = "--as=system:serviceaccount:poolbudget-system:poolbudget-operator"
HELD: dict[str, Any] = {"schedulingGates": [{"name": "example.com/held"}]}
GRANT = {"metadata": {"annotations": {"env.poolbudget.dev/DB_POOL_SIZE": "99"}}}


@pytest.fixture
def waiting(namespace: str) -> str:
    """Return a namespace with a pod `api-1` that waits (somebody else's gate keeps it), where `ordinary` may do all."""
    kubectl("create", "rolebinding", "ordinary", "-n", namespace, "--clusterrole=cluster-admin", "--user=ordinary")
    create(budget(namespace))
    create(pod(namespace, **HELD))
    return namespace


def patch(namespace: str, body: dict[str, Any], *args: str) -> str:
    """Merge `body` into the pod as the user in `args`; return what is said against it."""
    done = kubectl("patch", "pod", "api-1", "-n", namespace, "--type=merge", "-p", json.dumps(body), *args, check=False)
    return done.stderr


def labels(**changes: str | None) -> dict[str, Any]:
    return {
        "metadata": {"labels": {f"poolbudget.dev/{key.replace('_', '-')}": value for key, value in changes.items()}}
    }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (GRANT, "only the PoolBudget operator writes"),
        ({"metadata": {"annotations": {"poolbudget.dev/connections": "1"}}}, "only the PoolBudget operator writes"),
        ({"metadata": {"annotations": {"poolbudget.dev/mode": "Direct"}}}, "only the PoolBudget operator writes"),
        ({"metadata": {"annotations": {"poolbudget.dev/unresolved": "x"}}}, "is kept by PoolBudget"),
        ({"spec": HELD}, "only the PoolBudget operator removes the scheduling gate"),
        (labels(budget="other"), "change them in the pod template"),
        (labels(budget=None), "change them in the pod template"),
        (labels(workload=None), "change them in the pod template"),
        (labels(budget_namespace="other"), "change them in the pod template"),
        (labels(mode="Direct"), "only the PoolBudget operator writes the label poolbudget.dev/mode"),
    ],
    ids=[
        *("setting", "connections", "mode", "unresolved", "gate"),
        *("label", "no label", "no workload", "new label", "mode label"),
    ],
)
def test_an_ordinary_user_is_refused_and_told_what_to_do(waiting: str, body: dict[str, Any], says: str) -> None:
    assert says in patch(waiting, body, ORDINARY)


def test_a_grant_cannot_be_written_through_the_status_either(waiting: str) -> None:
    assert "only the PoolBudget operator writes" in patch(waiting, GRANT, ORDINARY, "--subresource=status")


def test_a_grant_cannot_be_changed_or_removed_later(waiting: str) -> None:
    assert patch(waiting, {"spec": {"schedulingGates": [GATE]}}, ORDINARY) == ""
    kubectl("wait", "-n", waiting, "pod/api-1", "--for=condition=Ready", "--timeout=60s")
    assert "only the PoolBudget operator writes" in patch(waiting, GRANT, ORDINARY)
    gone = {"metadata": {"annotations": {"poolbudget.dev/connections": None}}}
    assert "only the PoolBudget operator writes" in patch(waiting, gone, ORDINARY)
    assert "writes the label poolbudget.dev/mode" in patch(waiting, labels(mode=None), ORDINARY)
    assert "writes the label poolbudget.dev/mode" in patch(waiting, labels(mode="Pooled"), ORDINARY)


@pytest.mark.parametrize("key", ["annotations", "labels"])
def test_a_pod_is_not_created_with_the_mode_of_a_grant(waiting: str, key: str) -> None:
    made = pod(waiting, "api-2")
    made["metadata"][key] = {**made["metadata"].get(key, {}), "poolbudget.dev/mode": "Direct"}
    refused = kubectl("create", "-f", "-", "--dry-run=server", ORDINARY, stdin=made, check=False)
    assert "only the PoolBudget operator writes" in refused.stderr


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"labels": {"team": "shop"}}},
        {"metadata": {"annotations": {"note": "x"}}},
        {"spec": {"schedulingGates": [GATE]}},
    ],
    ids=["label of his own", "annotation of his own", "gate of his own"],
)
def test_what_is_not_ours_is_not_guarded(waiting: str, body: dict[str, Any]) -> None:
    assert patch(waiting, body, ORDINARY) == ""


def test_a_pod_cannot_be_labelled_once_it_runs(waiting: str) -> None:
    create(pod(waiting, "plain", labels={"app": "plain"}))
    refused = kubectl("label", "pod", "plain", "-n", waiting, "poolbudget.dev/budget=orders", ORDINARY, check=False)
    assert "change them in the pod template" in refused.stderr


@pytest.mark.parametrize("user", [(OPERATOR,), BREAK_GLASS], ids=["operator", "break-glass"])
def test_the_operator_and_the_break_glass_group_may(waiting: str, user: tuple[str, ...]) -> None:
    assert patch(waiting, GRANT | {"spec": HELD}, *user) == ""
    made = get("pod", "-n", waiting, "api-1")
    assert made["metadata"]["annotations"] == GRANT["metadata"]["annotations"]
    assert made["spec"]["schedulingGates"] == HELD["schedulingGates"]


def test_a_deleted_pod_goes_although_it_waits(waiting: str) -> None:
    kubectl("delete", "pod", "api-1", "-n", waiting, ORDINARY, "--wait=false")
    eventually(lambda: kubectl("get", "pod", "api-1", "-n", waiting, check=False).returncode, "the pod is gone")
