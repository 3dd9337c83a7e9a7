"""The objects of a pooler, as an auditor would read them."""

import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest

from poolbudget.api.v1alpha1 import LabelSelector, WorkloadMode
from poolbudget.ledger.model import MODE_LABEL
from poolbudget.planning.model import Budget, BudgetKey
from poolbudget.planning.poolers import service_name
from poolbudget.planning.selectors import selects
from poolbudget.pooler.config import Limits
from poolbudget.pooler.objects import Pooler, grace_seconds, manifests, secret, server_policy_name
from tests.unit.test_pooler_config import spec

Manifest = dict[str, Any]
LIMITS = Limits.of(10, 80)


def pooler(**fields: Any) -> Pooler:
    budget = Budget(BudgetKey("shop", "orders"), spec(**fields), uid="uid-1")
    return Pooler("orders-pooler", budget, "poolbudget/pgbouncer:1.24", "poolbudget-system")


def rendered(replicas: int = 2, limits: Limits = LIMITS, **fields: Any) -> dict[str, Manifest]:
    return {m["kind"]: m for m in manifests(pooler(**fields), replicas, limits, "PEM")}


def template(**fields: Any) -> Manifest:
    found: Manifest = rendered(**fields)["StatefulSet"]["spec"]["template"]
    return found


def test_everything_is_owned_by_the_budget_and_goes_with_it() -> None:
    objects = [*rendered().values(), secret(pooler(), {})]
    assert {m["kind"] for m in objects} == {
        "ConfigMap",
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "StatefulSet",
        "Secret",
    }
    for manifest in objects:
        metadata = manifest["metadata"]
        assert (metadata["name"], metadata["namespace"]) == ("orders-pooler", "shop")
        assert [(o["kind"], o["name"], o["uid"]) for o in metadata["ownerReferences"]] == [
            ("PoolBudget", "orders", "uid-1")
        ]
        assert metadata["labels"]["poolbudget.dev/pooler"] == "orders"


def test_the_pods_carry_no_label_that_would_hold_them_back() -> None:
    assert not {"poolbudget.dev/budget", "poolbudget.dev/workload"} & template()["metadata"]["labels"].keys()


def test_the_pods_satisfy_the_restricted_pod_security_standard() -> None:
    pod = template()["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"memory"}


def test_pgbouncer_may_open_as_many_files_as_the_node_lets_it(tmp_path: Path) -> None:
    (container,) = template()["spec"]["containers"]
    program = tmp_path / "pgbouncer"
    program.write_text('#!/bin/sh\nulimit -S -n\necho "$@"\n')
    program.chmod(0o755)
    few = ["sh", "-c", 'ulimit -S -n 64; exec "$@"', "sh", *container["command"]]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    files, arguments = subprocess.run(few, env=path, capture_output=True, text=True, check=True).stdout.split()
    assert int(files) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert arguments == "/etc/pgbouncer/pgbouncer.ini"


def test_every_selector_finds_the_pods() -> None:
    found = rendered()
    labels = found["StatefulSet"]["spec"]["template"]["metadata"]["labels"].items()
    for kind in ("StatefulSet", "PodDisruptionBudget"):
        assert found[kind]["spec"]["selector"]["matchLabels"].items() <= labels
    assert found["Service"]["spec"]["selector"].items() <= labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels


def test_the_limits_are_an_annotation_that_pgbouncer_reads_as_a_file() -> None:
    assert template()["metadata"]["annotations"]["poolbudget.dev/pooler-limits"] == LIMITS.text
    (volume,) = template()["spec"]["volumes"]
    (shown,) = [s["downwardAPI"] for s in volume["projected"]["sources"] if "downwardAPI" in s]
    field = {"fieldPath": "metadata.annotations['poolbudget.dev/pooler-limits']"}
    assert shown["items"] == [{"path": "limits.ini", "fieldRef": field}]


def test_the_key_of_the_authority_is_not_mounted() -> None:
    (volume,) = template()["spec"]["volumes"]
    keys = [i["key"] for s in volume["projected"]["sources"] if "secret" in s for i in s["secret"]["items"]]
    assert sorted(keys) == ["auth.ini", "tls.crt", "tls.key", "userlist.txt"]


def test_the_authority_of_the_server_is_mounted_where_it_is_named() -> None:
    tls = {"mode": "VerifyFull", "caSecretRef": {"name": "orders-db-ca", "key": "root.pem"}}
    (volume,) = template(pooler={"tls": tls})["spec"]["volumes"]
    expected = {"name": "orders-db-ca", "items": [{"key": "root.pem", "path": "server-ca.crt"}]}
    assert {"secret": expected} in volume["projected"]["sources"]


@pytest.mark.parametrize(
    ("why", "changed", "is_replaced"),
    [
        ("other limits are told to the process", {"limits": Limits.of(5, 800)}, False),
        ("another configuration is read at the start", {"pooler": {"poolMode": "session"}}, True),
        ("another server", {"database": {"host": "other-db.shop.svc"}}, True),
        ("more replicas", {"replicas": 3}, False),
    ],
)
def test_pods_are_replaced_only_for_what_a_running_process_cannot_take_over(
    why: str, changed: Manifest, is_replaced: bool
) -> None:
    def config(**fields: Any) -> str:
        found: str = template(**fields)["metadata"]["annotations"]["poolbudget.dev/pooler-config"]
        return found

    assert (config(**changed) != config()) is is_replaced, why


@pytest.mark.parametrize(
    ("why", "replicas", "recycle", "seconds"),
    [
        ("all connections of the pools are replaced before", 2, 1800, 1835),
        ("a node is not held for ever", 2, 604_800, 3600),
        ("the only one must not keep new clients out", 1, 1800, 30),
        ("pools that never replace any", 2, 0, 35),
    ],
)
def test_how_long_a_pod_may_take_to_end(why: str, replicas: int, recycle: int, seconds: int) -> None:
    given = pooler(workloads=[{"name": "api", "pool": {"recycleSeconds": recycle}}])
    assert grace_seconds(given.budget, replicas) == seconds, why


def test_only_pods_of_the_budget_and_the_operator_reach_it() -> None:
    (rule,) = rendered()["NetworkPolicy"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": 6432, "protocol": "TCP"}]
    own, operator = rule["from"]
    assert own == {"podSelector": {"matchLabels": {"poolbudget.dev/budget": "orders"}}}
    system = {"matchLabels": {"kubernetes.io/metadata.name": "poolbudget-system"}}
    assert operator["namespaceSelector"] == system


def test_pods_of_other_namespaces_reach_it_if_they_may_use_the_budget() -> None:
    (rule,) = rendered(allowedNamespaces={"from": "All"})["NetworkPolicy"]["spec"]["ingress"]
    labels = {"poolbudget.dev/budget": "orders", "poolbudget.dev/budget-namespace": "shop"}
    assert {"namespaceSelector": {}, "podSelector": {"matchLabels": labels}} in rule["from"]


def policies(selector: Manifest | None = None) -> dict[str, Manifest]:
    declared = {"authSecretRef": {"name": "users"}, "serverPodSelector": selector}
    found = manifests(pooler(pooler=declared), 2, LIMITS, "PEM")
    return {m["metadata"]["name"]: m for m in found if m["kind"] == "NetworkPolicy"}


SELECTORS: list[Manifest] = [
    {"matchLabels": {"app": "orders-db"}},
    {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "replica"]}]},
    {"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "role", "operator": "Exists"}]},
]


@pytest.mark.parametrize("selector", SELECTORS, ids=["labels", "an expression", "both"])
def test_the_pods_of_the_server_are_selected_as_the_user_wrote_it(selector: Manifest) -> None:
    assert policies(selector)["orders-pooler-server"]["spec"]["podSelector"] == selector


def test_pods_behind_a_pooler_do_not_reach_the_server_and_all_others_do() -> None:
    closed = policies(SELECTORS[0])["orders-pooler-server"]
    assert closed["spec"]["policyTypes"] == ["Ingress"]
    (rule,) = closed["spec"]["ingress"]
    (peer,) = rule["from"]
    assert (rule.keys(), peer["namespaceSelector"]) == ({"from"}, {})
    let_in = LabelSelector.model_validate(peer["podSelector"])
    own = {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"}
    refused = [mode for mode in WorkloadMode if not selects(let_in, own | {MODE_LABEL: mode})]
    assert refused == [WorkloadMode.POOLED, WorkloadMode.NULL_POOL]
    assert selects(let_in, own)
    assert selects(let_in, template()["metadata"]["labels"])


def test_the_policy_of_the_server_belongs_to_the_budget_as_the_other_does() -> None:
    own, server = policies(SELECTORS[0]).values()
    assert server["metadata"] == own["metadata"] | {"name": "orders-pooler-server"}


def test_without_a_selector_the_server_gets_no_policy() -> None:
    assert policies().keys() == {"orders-pooler"}


def test_the_name_of_the_servers_policy_fits_a_label() -> None:
    assert len(server_policy_name(service_name("n" * 63))) <= 63
