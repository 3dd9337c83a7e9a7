"""A slot is never spent twice, whatever happens between the write of the ledger and the start of a pod."""

import json
from typing import Any

from poolbudget.act.ledger import LedgerStore
from tests.functional.cluster import budget, kubectl
from tests.functional.faults.operators import Operators
from tests.functional.faults.proxy import Hold, PrivateLease, Proxy, lose_answer
from tests.functional.faults.treatments import Crash
from tests.functional.invariant import never_more_than
from tests.functional.manifests import deployment
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space, connections, is_gated

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
TWO_PODS = {"name": "api", "processes": 1, "maxPods": 2}


async def begin(space: Space) -> None:
    """Three pods where the plan holds two of 10."""
    await space.apply(budget(space.name, TWO_PODS, **TWENTY), deployment("api", 3))


async def check(space: Space) -> list[Raw]:
    """Two pods hold 10 each, the third one waits, and the ledger says the same."""
    *granted, waiting = await space.until_pods("api", granted=2, waiting=1)
    assert [connections(pod) for pod in granted] == [10, 10]
    reserved = {uid: entry.connections for uid, entry in (await space.ledger()).items()}
    assert reserved == {pod["metadata"]["uid"]: 10 for pod in granted}
    return [*granted, waiting]


async def killed_after_a_write(proxy: Proxy, operators: Operators, ledger: str) -> str:
    """Start an operator and kill it after its first write, which is returned; "" if it has nothing to write."""
    crash = Crash()
    fault = proxy.lay("POST|PUT|PATCH|DELETE", "/", crash, times=1)
    proxy.lay("GET|POST|PUT", "/leases", PrivateLease())  # so that nobody waits for the lease of the dead
    crash.operator = await operators.start(proxy.url)
    write = await crash.before(proxy.until("GET", f"/configmaps/{ledger}", times=2))  # read by rounds seconds apart
    fault.times = 0
    if write is None:
        return ""
    await crash.operator.ended()
    return write


async def test_an_operator_killed_between_ledger_and_pods_leaves_its_successor_the_same_reservations(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    hold = Hold()
    proxy.lay("PATCH", f"/namespaces/{space.name}/pods/", hold)
    first = await operators.start(proxy.url)
    await begin(space)
    await hold.arrival()
    await first.kill()
    hold.drop()
    reserved = await space.ledger()
    assert [entry.connections for entry in reserved.values()] == [10, 10]
    pods = await space.all("Pod")
    assert all(is_gated(pod) and not connections(pod) for pod in pods)

    await operators.start()
    *granted, _ = await check(space)
    assert reserved.keys() == {pod["metadata"]["uid"] for pod in granted}


async def test_an_operator_killed_after_each_of_its_writes_in_turn_leaves_its_successors_nothing_to_correct(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    """Each one makes its first write, does not live to see the answer, and the next one goes on from there."""
    writes: list[str] = []
    ledger = LedgerStore(space.kube, OPERATOR_NAMESPACE, f"{space.name}/orders").name
    async with never_more_than(space, 20):
        await begin(space)
        while write := await killed_after_a_write(proxy, operators, ledger):
            writes.append(write)
        await check(space)
    print("\n".join(writes))
    assert len(writes) >= 4  # the ledger, a grant, why a pod waits, the status


async def test_a_ledger_write_whose_answer_is_lost_is_not_repeated_blindly(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    fault = proxy.lay("POST", "/configmaps", lose_answer, times=1)
    await operators.start(proxy.url)
    await begin(space)
    await check(space)
    assert fault.times == 0
    assert proxy.count("POST", "/configmaps") == 1


async def test_a_grant_whose_answer_is_lost_counts_as_given(space: Space, proxy: Proxy, operators: Operators) -> None:
    fault = proxy.lay("PATCH", f"/namespaces/{space.name}/pods/api-", lose_answer, times=2)
    await operators.start(proxy.url)
    await begin(space)
    await check(space)
    assert fault.times == 0


async def test_a_grant_that_never_arrived_is_given_again_as_it_was(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    lost = Hold()
    lost.drop()
    fault = proxy.lay("PATCH", f"/namespaces/{space.name}/pods/api-", lost, times=2)
    await operators.start(proxy.url)
    await begin(space)
    await check(space)
    assert fault.times == 0


async def test_a_grant_that_comes_too_late_leaves_a_started_pod_as_it_is(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    late = Hold()
    proxy.lay("PATCH", f"/namespaces/{space.name}/pods/api-", late)
    await operators.start(proxy.url)
    await space.apply(budget(space.name, TWO_PODS, **TWENTY), deployment("api", 1))
    await late.arrival()
    (pod,) = await space.all("Pod")
    by_hand = {"metadata": {"annotations": {"note": "by hand"}}, "spec": {"schedulingGates": None}}
    who = ("--as=breaker", "--as-group=poolbudget:break-glass")
    kubectl("patch", "pod", pod["metadata"]["name"], "-n", space.name, "--type=merge", "-p", json.dumps(by_hand), *who)

    late.release()
    await proxy.until("GET", "/configmaps/")
    refused = proxy.count("PATCH", f"/namespaces/{space.name}/pods/api-", 422)
    (started,) = await space.all("Pod")
    assert (refused, started["metadata"]["annotations"]) == (1, {"note": "by hand"})


async def test_a_ledger_deleted_between_read_and_write_is_written_anew_with_all_it_held(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    await operators.start(proxy.url)
    await space.apply(budget(space.name, TWO_PODS, **TWENTY), deployment("api", 1))
    (first,) = await space.until_pods("api", granted=1)
    system = Space(space.kube, OPERATOR_NAMESPACE)
    (ledger,) = [c for c in await system.all("ConfigMap") if first["metadata"]["uid"] in (c.get("data") or {})]

    hold = Hold()
    proxy.lay("PUT", f"/configmaps/{ledger['metadata']['name']}", hold)
    await space.scale("Deployment", "api", 2)
    await hold.arrival()
    await system.delete("ConfigMap", ledger["metadata"]["name"])
    hold.release()

    pods = await space.until_pods("api", granted=2)
    assert (await space.ledger()).keys() == {pod["metadata"]["uid"] for pod in pods}
    assert proxy.count("PUT", f"/configmaps/{ledger['metadata']['name']}", 404) == 1
