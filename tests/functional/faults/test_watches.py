"""What an operator missed while its watches were cut it finds out when it watches again."""

from typing import Any

from tests.functional.cluster import budget
from tests.functional.faults.operators import Operators
from tests.functional.faults.proxy import Hold, Proxy
from tests.functional.manifests import deployment
from tests.functional.space import Space, connections

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}


async def test_pods_that_ended_unseen_free_their_slots(space: Space, proxy: Proxy, operators: Operators) -> None:
    await operators.start(proxy.url)
    two_pods = {"name": "api", "processes": 1, "maxPods": 2}
    await space.apply(budget(space.name, two_pods, **TWENTY), deployment("api", 3))
    *granted, _ = await space.until_pods("api", granted=2, waiting=1)

    hold = Hold()
    proxy.lay("GET", "/api/v1/pods", hold)
    assert proxy.cut_watches() > 0
    await hold.arrival()
    await space.scale("Deployment", "api", 5)
    for pod in granted:
        await space.delete("Pod", pod["metadata"]["name"])
    left = await space.until("Pod", lambda pods: len(pods) == 5, what="five pods, none of them granted")
    assert not any(connections(pod) for pod in left)

    hold.release()
    pods = await space.until_pods("api", granted=2, waiting=3)
    assert [connections(pod) for pod in pods[:2]] == [10, 10]
    assert (await space.ledger()).keys() == {pod["metadata"]["uid"] for pod in pods[:2]}
