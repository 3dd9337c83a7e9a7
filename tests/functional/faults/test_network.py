"""A network that splits, delays, reorders and loses what an operator and the API server tell each other."""

import signal
from functools import partial
from itertools import cycle
from typing import Any

import pytest

from tests.functional.cluster import budget
from tests.functional.faults.operators import Operators
from tests.functional.faults.proxy import Hold, Proxy
from tests.functional.faults.treatments import Expired, Late, Storm, answered_late, by_an_event, unreachable
from tests.functional.invariant import never_more_than
from tests.functional.manifests import deployment
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space, connections
from tests.functional.vanished import forget_the_vanished

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
TWO_PODS = {"name": "api", "processes": 1, "maxPods": 2}
FOUR_PODS = {"name": "api", "processes": 1, "maxPods": 4}
EVERY = "GET|POST|PUT|PATCH|DELETE"
PODS = "/api/v1/pods"


@pytest.mark.parametrize(("method", "part"), [("PUT", "/configmaps/"), ("PATCH", "/pods/api-")])
async def test_a_leader_that_is_cut_off_is_replaced_and_what_it_still_sent_changes_nothing_and_it_may_come_back(
    space: Space, proxy: Proxy, second_proxy: Proxy, operators: Operators, method: str, part: str
) -> None:
    async with never_more_than(space, 20):
        first = await operators.start(proxy.url)
        await space.apply(budget(space.name, FOUR_PODS, **TWENTY), deployment("api", 2))
        await space.until_pods("api", granted=2)
        second = await operators.start(second_proxy.url)
        await second_proxy.until("GET", "/leases")

        late = Late()
        proxy.lay(method, part, late)
        await space.scale("Deployment", "api", 5)
        await late.arrival()
        split = proxy.lay(EVERY, "/", unreachable)
        proxy.cut_watches()
        *granted, _ = await space.until_pods("api", granted=4, waiting=1)
        assert await first.ended() == 1
        reserved = await space.ledger()
        assert set(await late.deliver()) <= {404, 409, 422}
        assert await space.ledger() == reserved
        assert reserved.keys() == {pod["metadata"]["uid"] for pod in granted}
        assert [connections(pod) for pod in await space.until_pods("api", granted=4, waiting=1)][:4] == [5] * 4

        split.times = 0
        await operators.start(proxy.url)
        await proxy.until("GET", "/leases")
        second.send(signal.SIGTERM)
        await space.scale("Deployment", "api", 0)
        await space.scale("Deployment", "api", 4)
        await space.until_pods("api", granted=4)


async def test_a_list_that_comes_after_newer_news_is_brought_up_to_date(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    """It shows pods that are gone, and not those that came in their place."""
    async with never_more_than(space, 20):
        await operators.start(proxy.url)
        await space.apply(budget(space.name, TWO_PODS, **TWENTY), deployment("api", 3))
        *old, _ = await space.until_pods("api", granted=2, waiting=1)

        hold = Hold()
        proxy.lay("GET", PODS, Expired(by_an_event, lists=answered_late(hold)))
        proxy.cut_watches()
        await hold.arrival()
        for pod in old:
            await space.delete("Pod", pod["metadata"]["name"])
        hold.release()
        *new, _ = await space.until_pods("api", granted=2, waiting=1)
        assert not {pod["metadata"]["uid"] for pod in new} & {pod["metadata"]["uid"] for pod in old}


async def test_a_ledger_that_was_read_late_is_not_written_over_what_it_holds_by_now(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    async with never_more_than(space, 20):
        await operators.start(proxy.url)
        await space.apply(budget(space.name, FOUR_PODS, **TWENTY), deployment("api", 2))
        await space.until_pods("api", granted=2)

        system = Space(space.kube, OPERATOR_NAMESPACE)
        ledgers = await system.all("ConfigMap", labelSelector="poolbudget.dev/ledger")
        [name] = [m["metadata"]["name"] for m in ledgers if any(f" {space.name}/" in e for e in m["data"].values())]
        hold = Hold()
        proxy.lay("GET", f"/configmaps/{name}", answered_late(hold))
        await hold.arrival()
        await system.patch("ConfigMap", name, data={"another": f"5 {space.name}/another {space.name}/orders/api - -"})
        await space.scale("Deployment", "api", 4)
        await space.until("Pod", lambda pods: len(pods) == 4, what="two more are admitted")
        hold.release()

        await space.until_pods("api", granted=3, waiting=1)
        assert proxy.count("PUT", f"/configmaps/{name}", 409) == 1
        assert (await space.ledger())["another"].connections == 5


def are(number: int, pods: list[Raw]) -> bool:
    return len(pods) == number


async def test_a_storm_in_the_network_passes_without_harm(space: Space, proxy: Proxy, operators: Operators) -> None:
    async with never_more_than(space, 20) as peaks:
        await operators.start(proxy.url)
        await space.apply(budget(space.name, FOUR_PODS, **TWENTY), deployment("api", 2))
        await space.until_pods("api", granted=2)
        storm = Storm(seed=7)
        for path in ("/pods", "/configmaps", "/poolbudgets", "/events"):
            proxy.lay(EVERY, path, storm)
        for replicas in cycle((6, 1, 5, 0, 6, 3)):
            proxy.cut_watches()
            await space.scale("Deployment", "api", replicas)
            await space.until("Pod", partial(are, replicas), what=f"{replicas} pods")
            if storm.struck > 10:
                break
        storm.rages = False
        await space.scale("Deployment", "api", 6)
        await forget_the_vanished(space, wanted=6)
        await space.until_pods("api", granted=4, waiting=2, seconds=60)
        assert peaks.moments > 20
