"""Two operators at once, and none: nothing is spent twice, and pods go on being admitted."""

import asyncio
import signal
import time
from typing import Any

from tests.functional.cluster import budget
from tests.functional.faults.operators import LEASE_SECONDS, Operators
from tests.functional.faults.proxy import Hold, PrivateLease, Proxy
from tests.functional.manifests import controller, deployment, replica_set, template
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space, connections, is_gated

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
ONE_PROCESS = {"name": "api", "processes": 1}
REPLICA_SET = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api"}


async def test_two_operators_that_both_believe_to_lead_never_grant_more_than_there_is(
    space: Space, proxy: Proxy, second_proxy: Proxy, operators: Operators
) -> None:
    """The second one chooses other pods than the first, before either has written its choice down."""
    holds = [Hold(), Hold()]
    proxy.lay("POST", "/configmaps", holds[0])
    second_proxy.lay("POST", "/configmaps", holds[1])
    second_proxy.lay("GET|POST|PUT", "/leases", PrivateLease())
    totals: list[int] = []
    watching = asyncio.create_task(note_totals(space, totals))

    await space.apply(budget(space.name, ONE_PROCESS | {"maxPods": 10, "targetRef": REPLICA_SET}, **TWENTY))
    await space.apply(replica_set("api", 10))
    await space.until("Pod", lambda pods: len(pods) == 10, what="ten pods are admitted")
    await operators.start(proxy.url)
    await holds[0].arrival()
    await space.apply(urgent_pods(10))
    await space.until("Pod", lambda pods: len(pods) == 20, what="ten more are admitted")
    await operators.start(second_proxy.url)
    await holds[1].arrival()
    for hold in holds:
        hold.release()

    pods = await space.until_pods("api", granted=10, waiting=10)
    assert [connections(pod) for pod in pods[:10]] == [2] * 10
    watching.cancel()
    assert max(totals) == 20
    assert (await space.ledger()).keys() == {pod["metadata"]["uid"] for pod in pods[:10]}
    assert sum(each.count("POST", "/configmaps", 409) for each in (proxy, second_proxy)) == 1


def urgent_pods(replicas: int) -> Raw:
    """Return a ReplicaSet of pods of the same workload that are granted before the others."""
    pods = template("api", priorityClassName="system-cluster-critical")
    pods["metadata"]["labels"]["app"] = "urgent"
    return controller("ReplicaSet", "urgent", replicas, pods)


async def note_totals(space: Space, totals: list[int]) -> None:
    """Note what all pods hold together whenever one has changed, until cancelled."""

    def note(pods: list[Raw]) -> bool:
        totals.append(sum(map(connections, pods)))
        return False

    await space.until("Pod", note, what="the test has ended", seconds=300)


async def test_a_leader_that_stands_still_is_replaced_and_ends_when_it_wakes(
    space: Space, proxy: Proxy, second_proxy: Proxy, operators: Operators
) -> None:
    first = await operators.start(proxy.url)
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 1))
    await space.until_pods("api", granted=1)
    await operators.start(second_proxy.url)
    await second_proxy.until("GET", "/leases")

    first.send(signal.SIGSTOP)
    stopped = time.monotonic()
    written = proxy.count("PATCH", "/pods/")
    await space.patch("PoolBudget", "orders", spec={"maxConnections": 40})
    await space.scale("Deployment", "api", 2)
    await space.until_pods("api", granted=2)
    print(f"fail-over from a stopped leader: {time.monotonic() - stopped:.1f} s with a lease of {LEASE_SECONDS} s")

    first.send(signal.SIGCONT)
    assert await first.ended() == 1
    assert "no longer leading" in first.log.read_text()
    assert proxy.count("PATCH", "/pods/") == written


async def test_a_leader_that_is_told_to_stop_hands_over_at_once(space: Space, operators: Operators) -> None:
    first = await operators.start()
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 1))
    await space.until_pods("api", granted=1)
    first.send(signal.SIGTERM)
    assert await first.ended() == 0
    lease = await space.kube.get(
        f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/poolbudget-operator"
    )
    assert not lease["spec"].get("holderIdentity")


async def test_while_no_operator_runs_pods_are_admitted_and_wait(space: Space, operators: Operators) -> None:
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 2))
    pods = await space.until("Pod", lambda pods: len(pods) == 2, what="two pods are admitted")
    assert all(is_gated(pod) for pod in pods)
    await operators.start()
    await space.until_pods("api", granted=2)
