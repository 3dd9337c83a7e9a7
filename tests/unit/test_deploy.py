"""The manifests, as `kubectl kustomize` renders them: what an auditor would ask of them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
Manifest = dict[str, Any]

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl renders the manifests")


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return render("deploy")


def render(folder: str) -> list[Manifest]:
    done = subprocess.run(["kubectl", "kustomize", str(ROOT / folder)], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    found = [m for m in manifests if m["kind"] in kinds]
    assert found, f"no {kinds}"
    return found


def pod_specs(manifests: list[Manifest]) -> list[Manifest]:
    return [d["spec"]["template"]["spec"] for d in of_kind(manifests, "Deployment")]


def containers(manifests: list[Manifest]) -> list[Manifest]:
    return [c for spec in pod_specs(manifests) for c in spec["containers"]]


def rules(manifests: list[Manifest]) -> list[Manifest]:
    return [rule for role in of_kind(manifests, "Role", "ClusterRole") for rule in role["rules"]]


def policy(manifests: list[Manifest], name: str) -> Manifest:
    (found,) = [p for p in of_kind(manifests, "ValidatingAdmissionPolicy") if p["metadata"]["name"] == name]
    return found


def test_no_role_has_a_wildcard(manifests: list[Manifest]) -> None:
    assert not [r for r in rules(manifests) if "*" in (*r["apiGroups"], *r["resources"], *r["verbs"])]


def test_secrets_are_never_listed_or_watched(manifests: list[Manifest]) -> None:
    verbs = [verb for r in rules(manifests) if "secrets" in r["resources"] for verb in r["verbs"]]
    assert not {"list", "watch", "deletecollection"} & set(verbs)


def test_the_webhook_may_read_budgets_and_its_own_certificate_and_nothing_else(manifests: list[Manifest]) -> None:
    mine = [m for m in of_kind(manifests, "Role", "ClusterRole") if m["metadata"]["name"] == "poolbudget-webhook"]
    assert sorted((r["resources"], r["verbs"], r.get("resourceNames")) for m in mine for r in m["rules"]) == [
        (["poolbudgets"], ["list", "watch"], None),
        (["secrets"], ["get"], ["poolbudget-webhook-tls"]),
    ]


def test_the_operator_may_roll_controllers_and_change_nothing_else_of_them(manifests: list[Manifest]) -> None:
    changed = {
        (resource, verb)
        for rule in rules(manifests)
        if {"apps", "batch", "autoscaling"} & set(rule["apiGroups"])
        for resource in rule["resources"]
        for verb in set(rule["verbs"]) - {"get", "list", "watch"}
    }
    of_poolers = {("statefulsets", "create"), ("statefulsets", "delete")}
    rolled = {(resource, "patch") for resource in ("deployments", "statefulsets", "daemonsets")}
    assert changed == rolled | of_poolers


def test_every_binding_names_a_role_and_an_account_that_exist(manifests: list[Manifest]) -> None:
    roles = {(m["kind"], m["metadata"]["name"]) for m in of_kind(manifests, "Role", "ClusterRole")}
    accounts = {(m["metadata"]["namespace"], m["metadata"]["name"]) for m in of_kind(manifests, "ServiceAccount")}
    for binding in of_kind(manifests, "RoleBinding", "ClusterRoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles
        served = [s for s in binding["subjects"] if s["kind"] == "ServiceAccount"]
        assert {(s["namespace"], s["name"]) for s in served} <= accounts


def test_every_container_is_locked_down(manifests: list[Manifest]) -> None:
    for container in containers(manifests):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    for spec in pod_specs(manifests):
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_every_container_has_probes_requests_and_a_memory_limit(manifests: list[Manifest]) -> None:
    for container in containers(manifests):
        assert {"livenessProbe", "readinessProbe"} <= container.keys()
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"memory"}


def test_every_deployment_survives_the_drain_of_a_node(manifests: list[Manifest]) -> None:
    selectors = [b["spec"]["selector"] for b in of_kind(manifests, "PodDisruptionBudget")]
    for deployment in of_kind(manifests, "Deployment"):
        assert deployment["spec"]["replicas"] == 2
        assert deployment["spec"]["selector"] in selectors
        assert "podAntiAffinity" in deployment["spec"]["template"]["spec"]["affinity"]


def test_the_webhook_spares_its_own_namespace_and_the_control_plane(manifests: list[Manifest]) -> None:
    (configuration,) = of_kind(manifests, "MutatingWebhookConfiguration")
    (webhook,) = configuration["webhooks"]
    (excluded,) = webhook["namespaceSelector"]["matchExpressions"]
    assert (excluded["operator"], set(excluded["values"])) == ("NotIn", {"kube-system", "poolbudget-system"})
    assert (webhook["failurePolicy"], webhook["timeoutSeconds"], webhook["sideEffects"]) == ("Fail", 2, "None")
    assert webhook["reinvocationPolicy"] == "IfNeeded"


def test_the_guard_sees_the_same_pods_as_the_webhook(manifests: list[Manifest]) -> None:
    (webhook,) = of_kind(manifests, "MutatingWebhookConfiguration")[0]["webhooks"]
    constraints = policy(manifests, "poolbudget")["spec"]["matchConstraints"]
    for selector in ("objectSelector", "namespaceSelector"):
        assert constraints[selector] == webhook[selector]


def test_the_guard_knows_the_operator_by_its_service_account(manifests: list[Manifest]) -> None:
    operator = next(d for d in of_kind(manifests, "Deployment") if d["metadata"]["name"] == "poolbudget-operator")
    account = operator["spec"]["template"]["spec"]["serviceAccountName"]
    name = f"'system:serviceaccount:{operator['metadata']['namespace']}:{account}'"
    assert name in next(
        c["expression"]
        for c in policy(manifests, "poolbudget")["spec"]["matchConditions"]
        if c["name"] == "not-the-operator"
    )


def test_the_configuration_that_the_operator_may_patch_is_the_one_that_is_installed(manifests: list[Manifest]) -> None:
    (configuration,) = of_kind(manifests, "MutatingWebhookConfiguration")
    (rule,) = [r for r in rules(manifests) if "mutatingwebhookconfigurations" in r["resources"]]
    assert rule["resourceNames"] == [configuration["metadata"]["name"]]


def test_the_tests_install_the_same_objects(manifests: list[Manifest]) -> None:
    def names(rendered: list[Manifest]) -> list[tuple[str, str]]:
        return [(m["kind"], m["metadata"]["name"]) for m in rendered]

    assert names(render("tests/functional/deploy")) == names(manifests)


def test_the_operator_reads_namespaces_by_name_only(manifests: list[Manifest]) -> None:
    (rule,) = [r for r in rules(manifests) if "namespaces" in r["resources"]]
    assert rule["verbs"] == ["get"]


def test_what_the_operator_may_create_in_any_namespace_is_held_to_its_own_poolers(manifests: list[Manifest]) -> None:
    held = policy(manifests, "poolbudget-poolers")["spec"]
    watched = {
        (resource, operation)
        for rule in held["matchConstraints"]["resourceRules"]
        for resource in rule["resources"]
        for operation in rule["operations"]
    }
    (role,) = [m for m in of_kind(manifests, "ClusterRole") if m["metadata"]["name"] == "poolbudget-poolers"]
    operations = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE"}
    allowed = {
        (resource, operations[verb])
        for r in role["rules"]
        for resource in r["resources"]
        for verb in set(r["verbs"]) - {"get"}
    }
    assert allowed - watched == {("statefulsets", "UPDATE")}
    (condition,) = held["matchConditions"]
    assert "system:serviceaccount:poolbudget-system:poolbudget-operator" in condition["expression"]
    assert "poolbudget.dev/pooler" in held["validations"][0]["expression"]
    bound = [b["spec"]["policyName"] for b in of_kind(manifests, "ValidatingAdmissionPolicyBinding")]
    assert "poolbudget-poolers" in bound
