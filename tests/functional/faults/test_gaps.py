"""Pods that vanish: their end is known to a standby, proven by their node, or else said by a person."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.codec import decode
from poolbudget.ledger.model import Reservation
from tests.functional.cluster import budget, poolbudget
from tests.functional.faults.operators import Operators
from tests.functional.faults.proxy import Proxy
from tests.functional.manifests import deployment
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space, connections

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
ONE_PROCESS = {"name": "api", "processes": 1}


async def test_a_pod_that_ends_between_two_leaders_is_known_to_the_one_that_stood_by(
    space: Space, second_proxy: Proxy, operators: Operators
) -> None:
    first = await operators.start()
    old = await only_pod(space)
    await operators.start(second_proxy.url)
    await second_proxy.until("GET", "/leases")  # it asks for the lease once its picture is complete

    await first.kill()
    await space.delete("Pod", old["metadata"]["name"])
    (new,) = await space.until_pods("api", granted=1)
    assert (new["metadata"]["uid"] != old["metadata"]["uid"], connections(new)) == (True, 20)


async def test_a_pod_that_vanished_unseen_is_named_and_a_person_can_let_it_go(
    space: Space, operators: Operators
) -> None:
    first = await operators.start()
    old = await only_pod(space)
    await first.kill()
    name = old["metadata"]["name"]
    await space.delete("Pod", name)
    await operators.start()

    (waiting,) = await space.until_pods("api", waiting=1)
    held = f"20 connections are held for pods that vanished without proof of their end ({space.name}/{name})"
    conditions = waiting["status"]["conditions"]
    assert any(held in condition.get("message", "") for condition in conditions)

    said = await poolbudget("forget", name, "-n", space.name)
    assert said == f"20 connections that were held for {space.name}/{name} are free\n"
    await space.until_pods("api", granted=1)
    assert "no ledger holds anything" in await poolbudget("forget", name, "-n", space.name)


@pytest.mark.parametrize("proof", ["booted", "deleted"])
async def test_a_pod_that_vanished_is_held_until_its_node_has_booted_or_is_gone(
    space: Space, operators: Operators, proof: str
) -> None:
    await operators.start()
    old = await only_pod(space)
    uid = old["metadata"]["uid"]
    async with lost_node(space) as node:
        await space.kube.post(
            f"{space.path('Pod', old['metadata']['name'])}/binding",
            {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": old["metadata"]["name"]}, "target": node},
        )
        await until_ledger(space, uid, lambda entry: entry.node == node["name"])
        await space.kube.delete(space.path("Pod", old["metadata"]["name"]), {"gracePeriodSeconds": 0})
        await space.until_pods("api", waiting=1)
        await until_ledger(space, uid, lambda entry: entry.boot.endswith("-boot1"))

        if proof == "booted":
            await report_boot(space.kube, node["name"], "boot2")
        else:
            await space.kube.delete(f"/api/v1/nodes/{node['name']}", {})
        (new,) = await space.until_pods("api", granted=1)
        assert connections(new) == 20


@asynccontextmanager
async def lost_node(space: Space) -> AsyncIterator[dict[str, str]]:
    """Make a Node that no kubelet speaks for, after its first boot; return a reference to it."""
    name = f"lost-{space.name}"
    await space.kube.post("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    try:
        await report_boot(space.kube, name, "boot1")
        yield {"apiVersion": "v1", "kind": "Node", "name": name}
    finally:
        with suppress(ApiError):  # one of the proofs is that it is gone
            await space.kube.delete(f"/api/v1/nodes/{name}", {})


async def report_boot(kube: Kube, node: str, boot: str) -> None:
    await kube.patch(f"/api/v1/nodes/{node}/status", {"status": {"nodeInfo": {"bootID": boot}}})


async def until_ledger(space: Space, uid: str, holds: Callable[[Reservation], bool]) -> None:
    """Wait until the entry of a pod is as wanted."""

    def hold(ledgers: list[Raw]) -> bool:
        entries = [entry for ledger in ledgers if (entry := (ledger.get("data") or {}).get(uid))]
        return any(holds(decode({uid: entry})[uid]) for entry in entries)

    await Space(space.kube, OPERATOR_NAMESPACE).until("ConfigMap", hold, what=f"the ledger's entry of {uid}")


async def only_pod(space: Space) -> Raw:
    """Fill the budget with one pod, and return it."""
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 1))
    (pod,) = await space.until_pods("api", granted=1)
    return pod
