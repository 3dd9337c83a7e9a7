"""What the webhook changes on a pod: applied with a JSON patch library, then compared with what the pod should be."""

import base64
import json
from typing import Any

import jsonpatch
import pytest

from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.planning.model import BudgetKey
from poolbudget.webhook.mutate import Budgets, RefusedError, mutate
from poolbudget.webhook.review import MalformedReviewError, answer

GATE = {"name": "poolbudget.dev/grant"}
UNRESOLVED = "poolbudget.dev/unresolved"
LABELS = {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"}


def budgets(workload: dict[str, Any] | None = None, **spec: Any) -> Budgets:
    api = {"name": "api", **(workload or {})}
    return {
        BudgetKey("shop", "orders"): PoolBudgetSpec.model_validate({"maxConnections": 100, "workloads": [api], **spec})
    }


def pod(*containers: dict[str, Any], labels: dict[str, str] = LABELS, **changes: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "labels": labels, **changes.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"containers": list(containers) or [{"name": "app"}], **changes}}


def mutated(before: dict[str, Any], known: Budgets) -> dict[str, Any]:
    after: dict[str, Any] = jsonpatch.apply_patch(before, mutate(before, known))
    return after


def env(after: dict[str, Any], container: int = 0, group: str = "containers") -> list[str]:
    return [variable["name"] for variable in after["spec"][group][container].get("env", [])]


def test_a_plain_pod_gets_the_gate_and_variables_that_refer_to_its_annotations() -> None:
    after = mutated(pod(), budgets())
    assert after["spec"]["schedulingGates"] == [GATE]
    assert {"DB_POOL_SIZE", "DB_MAX_OVERFLOW", "DB_POOL_CLASS", "DB_APPLICATION_NAME"} <= set(env(after))
    assert "annotations" not in after["metadata"]
    size = next(v for v in after["spec"]["containers"][0]["env"] if v["name"] == "DB_POOL_SIZE")
    assert size == {
        "name": "DB_POOL_SIZE",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['env.poolbudget.dev/DB_POOL_SIZE']"}},
    }


def test_only_settings_that_will_have_a_value_are_referred_to() -> None:
    assert not {"DB_HOST", "DB_PORT", "DB_STATEMENT_TIMEOUT", "DB_COMMAND_TIMEOUT"} & set(
        env(mutated(pod(), budgets()))
    )


def test_the_gate_comes_last_behind_those_of_others() -> None:
    after = mutated(pod(schedulingGates=[{"name": "example.com/quota"}]), budgets())
    assert after["spec"]["schedulingGates"] == [{"name": "example.com/quota"}, GATE]


def test_variables_stand_in_front_so_that_a_later_reference_to_the_host_resolves() -> None:
    known = budgets({"route": "Env"}, database={"host": "db.shop.svc"})
    url = {"name": "DATABASE_URL", "value": "postgresql://$(DB_HOST):$(DB_PORT)/orders"}
    names = env(mutated(pod({"name": "app", "env": [url]}), known))
    assert names[-1] == "DATABASE_URL"
    assert {"DB_HOST", "DB_PORT"} <= set(names[:-1])


def test_what_the_container_defines_itself_is_left_alone() -> None:
    own = [{"name": "DB_POOL_SIZE", "value": "3"}, {"name": "MODE", "value": "x"}]
    after = mutated(pod({"name": "app", "env": own}), budgets())
    assert after["spec"]["containers"][0]["env"][-2:] == own
    assert env(after).count("DB_POOL_SIZE") == 1


def test_own_names_count_per_container() -> None:
    own = {"name": "a", "env": [{"name": "DB_POOL_SIZE", "value": "3"}]}
    after = mutated(pod(own, {"name": "b"}), budgets({"containers": ["a", "b"]}))
    assert "DB_POOL_SIZE" in env(after, 1)
    assert after["spec"]["containers"][0]["env"][-1] == {"name": "DB_POOL_SIZE", "value": "3"}


@pytest.mark.parametrize(
    ("case", "containers", "annotations", "expected"),
    [
        ("the first by default", None, {}, ["first"]),
        ("the default container", None, {"kubectl.kubernetes.io/default-container": "second"}, ["second"]),
        ("those named", ["second", "sidecar"], {}, ["second", "sidecar"]),
        ("an init container that is named", ["migrate"], {}, ["migrate"]),
    ],
)
def test_the_targets_are(
    case: str, containers: list[str] | None, annotations: dict[str, str], expected: list[str]
) -> None:
    before = pod(
        {"name": "first"},
        {"name": "second"},
        initContainers=[{"name": "migrate"}, {"name": "sidecar", "restartPolicy": "Always"}],
        metadata={"annotations": annotations} if annotations else {},
    )
    spec = mutated(before, budgets({"containers": containers} if containers else {}))["spec"]
    assert [c["name"] for c in (*spec["containers"], *spec["initContainers"]) if c.get("env")] == expected, case


@pytest.mark.parametrize(
    ("case", "labels", "known", "reason"),
    [
        (
            "unknown budget",
            LABELS | {"poolbudget.dev/budget": "odrers"},
            budgets(),
            "PoolBudget shop/odrers does not exist",
        ),
        ("invalid budget", LABELS, {BudgetKey("shop", "orders"): None}, "does not exist or is not valid"),
        ("unknown workload", LABELS | {"poolbudget.dev/workload": "apii"}, budgets(), "no workload 'apii'"),
        ("unknown container", LABELS, budgets({"containers": ["web"]}), "no container web"),
    ],
)
def test_what_does_not_resolve_is_admitted_gated_and_marked(
    case: str, labels: dict[str, str], known: Budgets, reason: str
) -> None:
    after = mutated(pod(labels=labels), known)
    assert after["spec"]["schedulingGates"] == [GATE], case
    assert reason in after["metadata"]["annotations"][UNRESOLVED]
    assert env(after) == []


@pytest.mark.parametrize(
    ("allowed", "resolved"),
    [({"from": "Same"}, False), ({"from": "All"}, True), ({"from": "Selector", "selector": {}}, True)],
)
def test_a_budget_of_another_namespace_serves_only_where_it_allows_it(allowed: dict[str, Any], resolved: bool) -> None:
    known = budgets(allowedNamespaces=allowed)
    foreign = pod(labels=LABELS | {"poolbudget.dev/budget-namespace": "shop"}, metadata={"namespace": "web"})
    after = mutated(foreign, known)
    assert (UNRESOLVED in after["metadata"].get("annotations", {})) is not resolved
    assert bool(env(after)) is resolved


@pytest.mark.parametrize(
    "where", [{"updateMode": "Off"}, {"workload": {"updateMode": "Off"}}], ids=["budget", "workload"]
)
def test_update_mode_off_holds_the_pod_but_gives_it_nothing(where: dict[str, Any]) -> None:
    after = mutated(pod(), budgets(**where))
    assert after["spec"]["schedulingGates"] == [GATE]
    assert env(after) == []


def test_a_workload_may_switch_injection_on_where_its_budget_has_it_off() -> None:
    assert env(mutated(pod(), budgets({"updateMode": "Initial"}, updateMode="Off")))


@pytest.mark.parametrize(
    "before",
    [
        pod(),
        pod(labels=LABELS | {"poolbudget.dev/budget": "unknown"}),
        pod(metadata={"annotations": {"a/b~c": "1"}}, labels=LABELS | {"poolbudget.dev/workload": "unknown"}),
        pod({"name": "app", "env": [{"name": "DB_POOL_SIZE", "value": "3"}]}, {"name": "other"}),
    ],
)
def test_a_second_call_changes_nothing(before: dict[str, Any]) -> None:
    assert mutate(mutated(before, budgets()), budgets()) == []


def test_a_mark_that_no_longer_holds_is_removed() -> None:
    after = mutated(pod(metadata={"annotations": {UNRESOLVED: "PoolBudget shop/orders does not exist"}}), budgets())
    assert after["metadata"]["annotations"] == {}


@pytest.mark.parametrize(
    "key", ["poolbudget.dev/connections", "poolbudget.dev/mode", "env.poolbudget.dev/DB_POOL_SIZE"]
)
def test_a_pod_that_brings_its_own_grant_is_refused(key: str) -> None:
    with pytest.raises(RefusedError, match=f"{key}: remove"):
        mutate(pod(metadata={"annotations": {key: "9"}}), budgets())


def test_a_pod_that_says_itself_how_it_reaches_the_server_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"writes the label poolbudget.dev/mode: remove it"):
        mutate(pod(labels=LABELS | {"poolbudget.dev/mode": "Direct"}), budgets())


def test_a_pod_without_the_workload_label_is_refused_with_a_remedy() -> None:
    with pytest.raises(RefusedError, match=r"also needs the label poolbudget.dev/workload: add it"):
        mutate(pod(labels={"poolbudget.dev/budget": "orders"}), budgets())


def test_a_pod_that_is_bound_already_is_refused_with_a_remedy() -> None:
    with pytest.raises(RefusedError, match=r"leave spec.nodeName out"):
        mutate(pod(nodeName="node-1"), budgets())


def review(before: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in before["metadata"].items() if key != "namespace"}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "u-1", "namespace": "shop", "object": {"kind": "Pod", **before, "metadata": metadata}},
    }


def test_a_review_is_answered_with_a_patch() -> None:
    response = answer(review(pod()), budgets())["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u-1", True, "JSONPatch")
    assert json.loads(base64.b64decode(response["patch"])) == mutate(pod(), budgets())


def test_a_review_of_a_pod_that_is_as_it_should_be_has_no_patch() -> None:
    assert answer(review(mutated(pod(), budgets())), budgets())["response"] == {"uid": "u-1", "allowed": True}


def test_a_refusal_is_a_sentence_for_the_owner() -> None:
    response = answer(review(pod(nodeName="node-1")), budgets())["response"]
    assert response["allowed"] is False
    assert response["status"]["code"] == 403


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"apiVersion": "admission.k8s.io/v1beta1"}, {"apiVersion": "admission.k8s.io/v1", "request": 1}],
)
def test_what_is_no_review_is_called_malformed(body: Any) -> None:
    with pytest.raises(MalformedReviewError):
        answer(body, budgets())
