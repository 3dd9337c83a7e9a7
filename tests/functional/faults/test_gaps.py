"""Pods that end while nobody leads: known to a standby, and otherwise held until a person says that they ended."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from tests.functional.cluster import budget
from tests.functional.faults.operators import Operators
from tests.functional.faults.proxy import Proxy
from tests.functional.manifests import deployment
from tests.functional.space import Raw, Space, connections

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
ONE_PROCESS = {"name": "api", "processes": 1}
POOLBUDGET = Path(sys.executable).with_name("poolbudget")


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

    said = await run("forget", name, "-n", space.name)
    assert said == f"20 connections that were held for {space.name}/{name} are free\n"
    await space.until_pods("api", granted=1)
    assert "no ledger holds anything" in await run("forget", name, "-n", space.name)


async def only_pod(space: Space) -> Raw:
    """Fill the budget with one pod, and return it."""
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 1))
    (pod,) = await space.until_pods("api", granted=1)
    return pod


async def run(*arguments: str) -> str:
    """Run a command of ours as a user would; return what it says."""
    command = await asyncio.create_subprocess_exec(
        POOLBUDGET, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await command.communicate()
    return said.decode()
