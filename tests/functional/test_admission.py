"""What a labelled pod becomes when the real API server asks the real webhook."""

from typing import Any

import pytest

from tests.functional.cluster import GATE, budget, create, eventually, get, kubectl, pod

pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
def orders(namespace: str) -> str:
    """Return a namespace whose budget `orders` the webhook already knows."""
    create(budget(namespace))
    know_budget(namespace)
    return namespace


def know_budget(namespace: str) -> None:
    probe = pod(namespace, "probe")
    eventually(lambda: not annotations(create(probe, "--dry-run=server")), "the webhook knows the budget")


def annotations(made: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = made["metadata"].get("annotations", {})
    return found


def names(made: dict[str, Any]) -> list[str]:
    return [variable["name"] for variable in made["spec"]["containers"][0]["env"]]


def container(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "app", "image": "poolbudget/example:dev", "command": ["sleep", "600"], **changes}]


def test_a_labelled_pod_is_gated_and_reads_its_settings_from_its_annotations(orders: str) -> None:
    made = create(pod(orders), "--dry-run=server")
    assert made["spec"]["schedulingGates"] == [GATE]
    reference = made["spec"]["containers"][0]["env"][0]
    assert (
        reference["valueFrom"]["fieldRef"]["fieldPath"]
        == f"metadata.annotations['env.poolbudget.dev/{reference['name']}']"
    )


def test_a_pod_without_the_label_is_left_alone(orders: str) -> None:
    made = create(pod(orders, labels={"app": "api"}), "--dry-run=server")
    assert "schedulingGates" not in made["spec"]
    assert "env" not in made["spec"]["containers"][0]


def test_a_pod_that_has_been_through_admission_goes_through_again_unchanged(orders: str) -> None:
    made = create(pod(orders), "--dry-run=server")
    again = create(pod(orders, containers=made["spec"]["containers"], schedulingGates=[GATE]), "--dry-run=server")
    assert again["spec"]["containers"] == made["spec"]["containers"]
    assert again["spec"]["schedulingGates"] == [GATE]


def test_names_that_the_container_defines_are_left_alone(orders: str) -> None:
    own = {"name": "DB_POOL_SIZE", "value": "7"}
    made = create(pod(orders, containers=container(env=[own])), "--dry-run=server")
    assert made["spec"]["containers"][0]["env"][-1] == own
    assert names(made).count("DB_POOL_SIZE") == 1


def test_the_users_own_reference_to_the_injected_host_resolves_in_the_running_container(namespace: str) -> None:
    api = {"name": "api", "processes": 1, "maxPods": 1, "route": "Env"}
    create(budget(namespace, api, database={"host": "orders-db.shop.svc", "port": 5433}))
    know_budget(namespace)
    command = ["sh", "-c", "echo $DATABASE_URL size $DB_POOL_SIZE"]
    url = {"name": "DATABASE_URL", "value": "postgresql://$(DB_HOST):$(DB_PORT)/orders"}
    create(pod(namespace, containers=container(env=[url], command=command), restartPolicy="Never"))
    kubectl("wait", "-n", namespace, "pod/api-1", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    said = kubectl("logs", "-n", namespace, "api-1").stdout.split()
    assert said[0].startswith("postgresql://orders-db.shop.svc")
    assert said[0].endswith(":5433/orders")
    assert said[2] == annotations(get("pod", "-n", namespace, "api-1"))["env.poolbudget.dev/DB_POOL_SIZE"]
    assert int(said[2]) > 0


@pytest.mark.parametrize(
    ("label", "value", "reason"),
    [
        ("poolbudget.dev/budget", "odrers", "does not exist"),
        ("poolbudget.dev/workload", "apii", "has no workload 'apii'"),
    ],
)
def test_what_does_not_resolve_waits_and_says_why(orders: str, label: str, value: str, reason: str) -> None:
    labels = pod(orders)["metadata"]["labels"] | {label: value}
    made = create(pod(orders, labels=labels), "--dry-run=server")
    assert made["spec"]["schedulingGates"] == [GATE]
    assert reason in annotations(made)["poolbudget.dev/unresolved"]


def test_a_dry_run_reserves_nothing(orders: str) -> None:
    create(pod(orders))
    kubectl("wait", "-n", orders, "pod/api-1", "--for=condition=Ready", "--timeout=60s")
    before = ledgers(orders)
    create(pod(orders, "api-2"), "--dry-run=server")
    create(pod(orders, "api-3"))
    eventually(
        lambda: get("pod", "-n", orders, "api-3")["status"].get("conditions"), "the operator has looked at api-3"
    )
    assert "api-1" in before
    assert "api-2" not in ledgers(orders)
    assert kubectl("get", "pod", "-n", orders, "api-2", check=False).returncode == 1


def ledgers(namespace: str) -> str:
    kept = get("configmaps", "-n", "poolbudget-system")["items"]
    return "\n".join(text for c in kept for text in c.get("data", {}).values() if namespace in text)


@pytest.mark.parametrize("key", ["poolbudget.dev/connections", "env.poolbudget.dev/DB_POOL_SIZE"])
def test_a_pod_that_brings_its_own_grant_is_refused(orders: str, key: str) -> None:
    refused = kubectl("create", "-f", "-", stdin=pod(orders, annotations={key: "99"}), check=False)
    assert f"only the PoolBudget operator writes {key}: remove" in refused.stderr


def test_a_pod_that_names_its_node_is_told_what_to_write(orders: str) -> None:
    refused = kubectl("create", "-f", "-", stdin=pod(orders, nodeName="node-1"), check=False)
    assert "leave spec.nodeName out" in refused.stderr
