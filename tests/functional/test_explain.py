"""`poolbudget explain` on a real cluster: what ledger, pods and Lease say, and to a plain user what he may see."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from poolbudget.cli.explanation import picture
from poolbudget.cli.running import InputError
from poolbudget.kube import Kube
from poolbudget.planning.model import BudgetKey
from tests.functional.cluster import POOLBUDGET, budget, kubectl, pod, poolbudget
from tests.functional.manifests import deployment
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space, condition, connections, notice

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
TWO_PODS = {"name": "api", "processes": 1, "maxPods": 2}
AWAY = {"host": "no-such-db", "name": "orders", "credentialsSecretRef": {"name": "no-such-secret"}}


async def explain(*arguments: str, code: int = 0) -> tuple[str, str]:
    """Run the command as a user would; return what it prints and what it says against it."""
    command = await asyncio.create_subprocess_exec(
        POOLBUDGET, "explain", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, said = await command.communicate()
    assert command.returncode == code, said.decode()
    return printed.decode(), said.decode()


async def document(*arguments: str) -> Raw:
    found: Raw = json.loads((await explain(*arguments, "-o", "json"))[0])
    return found


async def full(space: Space) -> list[Raw]:
    """Two pods hold all of a budget of 20, and a third one waits; returns them in this order."""
    await space.apply(budget(space.name, TWO_PODS, **TWENTY), deployment("api", 3))
    return await space.until_pods("api", granted=2, waiting=1)


async def test_a_budget_shows_who_holds_what_and_what_waits_for_whom(space: Space) -> None:
    *holding, waiting = await full(space)
    await space.status("orders", lambda s: s["capacity"]["committed"] == 20, what="both grants are in the status")
    shown = await document("orders", "-n", space.name)
    rows = {row["name"]: row for row in shown["pods"]}

    assert rows.keys() == {pod["metadata"]["name"] for pod in (*holding, waiting)}
    held = [rows[pod["metadata"]["name"]] for pod in holding]
    assert [(row["granted"], row["configured"]) for row in held] == [(10, 10)] * 2
    row = rows[waiting["metadata"]["name"]]
    said = notice(waiting)
    assert (row["state"], row["since"], row["reason"]) == ("waiting", said["lastTransitionTime"], said["reason"])
    assert "granted" not in row
    assert {key: shown["capacity"][key] for key in ("usable", "committed", "granted")} == {
        "usable": 20,
        "committed": 20,
        "granted": 20,
    }
    lease = await space.kube.get(
        f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/poolbudget-operator"
    )
    assert shown["leader"] == {
        "leads": True,
        "holder": lease["spec"]["holderIdentity"],
        "since": lease["spec"]["acquireTime"],
    }
    assert shown["gaps"] == []

    text, _ = await explain("orders", "-n", space.name)
    assert f"server {space.name}/orders: 20 usable, 20 committed, 0 free" in text
    assert f"{waiting['metadata']['name']}: {said['reason']}: {said['message']}" in text


async def test_a_waiting_pod_shows_its_settings_and_who_holds_the_rest_of_the_server(space: Space) -> None:
    """Another budget names the same server: its pods hold connections that this one lacks."""
    first = budget(space.name, TWO_PODS, **TWENTY, database=AWAY)
    second = budget(space.name, {"name": "batch", "processes": 1, "maxPods": 1}, name="z", **TWENTY, database=AWAY)
    job = pod(space.name, "batch-1", labels={"poolbudget.dev/budget": "z", "poolbudget.dev/workload": "batch"})
    await space.apply(first, second)
    for name in ("orders", "z"):
        await space.status(name, lambda s: s["capacity"]["planned"] > 10, what="both share the server")
    await space.kube.post(space.path("Pod"), job)
    (batch,) = await space.until_pods("batch", granted=1)
    await space.apply(deployment("api", 3))
    *holding, waiting = await space.until_pods("api", granted=2, waiting=1)

    name = waiting["metadata"]["name"]
    shown = await document(name, "-n", space.name)
    held = {holder["name"]: (holder["workload"], holder["granted"]) for holder in shown["holders"]}
    apis = {pod["metadata"]["name"]: (f"{space.name}/orders/api", connections(pod)) for pod in holding}
    assert held == {**apis, "batch-1": (f"{space.name}/z/batch", connections(batch))}
    assert {s["source"] for s in shown["pod"]["settings"]} == {"not granted"}

    text, _ = await explain(name, "-n", space.name)
    assert text.startswith(f"Pod {space.name}/{name} of {space.name}/orders/api: waiting for ")
    assert "the database cannot be read: SecretNotFound" in text
    whole = await document("orders", "-n", space.name)
    assert whole["others"] == [{"budget": f"{space.name}/z", "pods": 1, "granted": connections(batch)}]


async def test_a_pod_that_vanished_is_shown_with_what_would_free_it(space: Space) -> None:
    await space.apply(budget(space.name, TWO_PODS, **TWENTY))
    await space.kube.post(space.path("Pod"), pod(space.name))
    (gone,) = await space.until_pods("api", granted=1)
    kubectl("wait", "-n", space.name, "pod/api-1", "--for=condition=Ready", "--timeout=60s")
    kubectl("delete", "pod", "-n", space.name, "api-1", "--grace-period=0", "--force")

    shown = await document("api-1", "-n", space.name)
    assert (shown["pod"]["state"], shown["pod"]["granted"]) == ("vanished", connections(gone))
    text, _ = await explain("orders", "-n", space.name)
    assert f"poolbudget forget api-1 -n {space.name}" in text
    assert "on node " in text
    assert "are free" in await poolbudget("forget", "api-1", "-n", space.name)
    assert (await document("orders", "-n", space.name))["pods"] == []


async def test_a_value_of_the_pods_own_is_named_beside_the_granted_ones(space: Space) -> None:
    own = pod(space.name)
    own["spec"]["containers"][0]["env"] = [{"name": "DB_STATEMENT_CACHE_SIZE", "value": "0"}]
    await space.apply(budget(space.name))
    await space.kube.post(space.path("Pod"), own)
    await space.until_pods("api", granted=1)
    settings = {s["variable"]: s for s in (await document("pod/api-1", "-n", space.name))["pod"]["settings"]}
    source = {"container": "app", "source": "pod"}
    assert settings["DB_STATEMENT_CACHE_SIZE"] == {"variable": "DB_STATEMENT_CACHE_SIZE", "value": "0", **source}
    assert (settings["DB_POOL_SIZE"]["value"], settings["DB_POOL_SIZE"]["source"]) == ("20", "grant")


async def test_who_may_read_his_own_namespace_only_sees_what_his_pods_show(space: Space, tmp_path: Path) -> None:
    await full(space)
    shown = await document("orders", "-n", space.name, "--kubeconfig", str(plain_user(space.name, tmp_path)))
    assert sorted(row.get("granted", 0) for row in shown["pods"]) == [0, 10, 10]
    assert (shown["leader"], shown["capacity"]["granted"]) == (None, None)
    ledger, lease = shown["gaps"]
    assert "the ledger cannot be read" in ledger
    assert "who leads cannot be read" in lease
    assert f'in the namespace "{OPERATOR_NAMESPACE}"' in ledger


def plain_user(namespace: str, folder: Path) -> Path:
    """Return a kubeconfig of a service account that may read budgets and pods of one namespace."""
    kubectl(
        "create", "role", "reader", "-n", namespace, "--verb=get,list", "--resource=pods,poolbudgets.poolbudget.dev"
    )
    kubectl(
        "create", "rolebinding", "reader", "-n", namespace, "--role=reader", f"--serviceaccount={namespace}:default"
    )
    config: Raw = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json").stdout)
    token = kubectl("create", "token", "default", "-n", namespace).stdout.strip()
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


async def test_what_cannot_be_explained_is_said_in_one_line(space: Space) -> None:
    plain = pod(space.name, "plain", labels={})
    await space.kube.post(space.path("Pod"), plain)
    here = ("-n", space.name)
    refusals = {
        ("nothing",): f"there is no PoolBudget and no pod nothing in namespace {space.name}",
        ("pb/nothing",): f"there is no PoolBudget nothing in namespace {space.name}",
        ("pod/nothing",): f"there is no pod nothing in namespace {space.name}",
        ("plain",): f"pod {space.name}/plain carries no label poolbudget.dev/budget: it has no part in a PoolBudget",
        ("service/api",): "service cannot be explained: write pb/NAME or pod/NAME",
    }
    for arguments, message in refusals.items():
        assert await explain(*arguments, *here, code=2) == ("", f"Error: {message}\n")


async def test_a_name_that_a_budget_and_a_pod_share_has_to_be_told_apart(space: Space) -> None:
    await space.apply(budget(space.name))
    await space.kube.post(space.path("Pod"), pod(space.name, "orders"))
    _, said = await explain("orders", "-n", space.name, code=2)
    assert said == "Error: a PoolBudget and a pod are called orders: write pb/orders or pod/orders\n"
    assert "pod" in await document("pod/orders", "-n", space.name)


async def test_a_budget_that_no_operator_has_seen_says_so(space: Space) -> None:
    """One in another operator namespace: neither ledger nor Lease are there."""
    await space.apply(budget(space.name))
    status = await space.status("orders", lambda s: bool(condition(s, "Ready")), what="it is ready")
    assert status
    text, _ = await explain("orders", "-n", space.name, "--operator-namespace", space.name)
    assert f"note: no operator has ever led in {space.name}: name its namespace, --operator-namespace" in text


async def test_a_cluster_without_the_resource_is_named(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "API_VERSION", "absent.poolbudget.dev/v1alpha1")
    with pytest.raises(InputError, match="this cluster does not know PoolBudgets: install PoolBudget"):
        await picture.find_budget(kube, BudgetKey("default", "orders"))


async def test_a_cluster_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {}}]
    config.write_text(
        json.dumps({"clusters": [cluster], "contexts": [context], "users": users, "current-context": "c"})
    )
    _, said = await explain("orders", "--kubeconfig", str(config), code=2)
    assert said.startswith("Error: ")
    assert "127.0.0.1" in said
    assert said.count("\n") == 1
