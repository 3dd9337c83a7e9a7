"""Pods of other namespaces use a budget that selects their namespace by its labels."""

from collections.abc import Iterator

import pytest

from tests.functional.cluster import budget, kubectl
from tests.functional.manifests import replica_set
from tests.functional.space import Space, connections, notice


@pytest.fixture
def guest(space: Space) -> Iterator[Space]:
    """Return a second namespace, without labels that anybody selects."""
    guest = Space(space.kube, f"{space.name}-guest")
    kubectl("create", "namespace", guest.name)
    kubectl("wait", "-n", guest.name, "--for=create", "serviceaccount/default", "--timeout=60s")
    yield guest
    kubectl("delete", "namespace", guest.name, "--wait=false")


async def test_a_namespace_uses_the_budget_once_it_has_the_labels(space: Space, guest: Space) -> None:
    selected = {"from": "Selector", "selector": {"matchLabels": {"team": space.name}}}
    api = {"name": "api", "processes": 1, "maxPods": 1}
    await space.apply(budget(space.name, api, maxConnections=20, reservedConnections=0, allowedNamespaces=selected))
    await space.status("orders")
    pods = replica_set("api", 1)
    pods["spec"]["template"]["metadata"]["labels"]["poolbudget.dev/budget-namespace"] = space.name
    await guest.apply(pods)
    (waiting,) = await guest.until_pods("api", waiting=1, reason="NamespaceNotAllowed")
    assert f"give the namespace {guest.name} the labels" in notice(waiting)["message"]

    kubectl("label", "namespace", guest.name, f"team={space.name}")
    (granted,) = await guest.until_pods("api", granted=1)
    assert (granted["metadata"]["uid"], connections(granted)) == (waiting["metadata"]["uid"], 10)
