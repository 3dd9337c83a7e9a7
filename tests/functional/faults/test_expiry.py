"""Watches whose past the API server has forgotten (410 Gone): what happened meanwhile is found by listing anew."""

from typing import Any

import pytest

from tests.functional.cluster import budget, poolbudget
from tests.functional.faults.operators import Operators
from tests.functional.faults.proxy import Hold, Proxy, Treatment
from tests.functional.faults.treatments import Expired, after, by_an_event, by_the_server, by_the_status
from tests.functional.manifests import deployment
from tests.functional.space import Space, connections, notice

TWENTY: dict[str, Any] = {
    "maxConnections": 20,
    "reservedConnections": 0,
    "database": {"host": "no-such-db", "name": "orders"},
}
ONE_POD = {"name": "api", "processes": 1, "maxPods": 1}
PODS, BUDGETS = "/api/v1/pods", "/apis/poolbudget.dev/v1alpha1/poolbudgets"


async def test_a_budget_that_was_deleted_unseen_leaves_its_share_to_the_others_of_its_server(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    await operators.start(proxy.url)
    await space.apply(budget(space.name, ONE_POD, name="z", **TWENTY), budget(space.name, ONE_POD, **TWENTY))
    await space.apply(deployment("api", 1))
    await space.until_pods("api", granted=1)
    shared = await space.status("orders", lambda s: s["workloads"][0]["connections"]["perPod"] == 10, what="half of it")
    assert shared["capacity"]["planned"] == 20

    hold, expired = Hold(), Expired(by_the_server)
    proxy.lay("GET", BUDGETS, after(hold, expired))
    proxy.cut_watches()
    await hold.arrival()
    await space.delete("PoolBudget", "z")
    hold.release()
    await space.status("orders", lambda s: s["workloads"][0]["connections"]["perPod"] == 20, what="all of it")
    assert expired.told == {(BUDGETS, "")}


@pytest.mark.parametrize("way", [by_the_status, by_an_event])
async def test_a_pod_that_vanished_unseen_stays_charged_and_is_named(
    space: Space, proxy: Proxy, operators: Operators, way: Treatment
) -> None:
    """It may have run, for all the operator knows: it saw no end."""
    await operators.start(proxy.url)
    await space.apply(budget(space.name, ONE_POD, **TWENTY), deployment("api", 1))
    (old,) = await space.until_pods("api", granted=1)

    hold, expired = Hold(), Expired(way)
    proxy.lay("GET", PODS, after(hold, expired))
    proxy.cut_watches()
    await hold.arrival()
    await space.delete("Pod", old["metadata"]["name"])
    await space.until(
        "Pod", lambda pods: all(p["metadata"]["uid"] != old["metadata"]["uid"] for p in pods), what="gone"
    )
    hold.release()
    (waiting,) = await space.until_pods("api", waiting=1, reason="PodsBeyondPlan")
    assert f"vanished without proof of their end ({space.name}/{old['metadata']['name']})" in notice(waiting)["message"]
    assert (await space.ledger()).keys() == {old["metadata"]["uid"]}
    assert expired.told == {(PODS, "poolbudget.dev/budget")}

    await poolbudget("forget", old["metadata"]["name"], "-n", space.name)
    (new,) = await space.until_pods("api", granted=1)
    assert connections(new) == connections(old)


async def test_an_operator_whose_watch_of_budgets_fails_for_good_ends_and_another_goes_on(
    space: Space, proxy: Proxy, operators: Operators
) -> None:
    first = await operators.start(proxy.url)
    await space.apply(budget(space.name, ONE_POD, **TWENTY), deployment("api", 1))
    await space.until_pods("api", granted=1)
    await operators.start()

    proxy.lay("GET", BUDGETS, Expired(by_the_status))
    proxy.cut_watches()
    assert await first.ended() == 1
    log = first.log.read_text()
    assert "no longer leading: " in log
    assert "watching PoolBudgets failed: " in log
    await space.patch("PoolBudget", "orders", spec={"workloads": [ONE_POD | {"maxPods": 2}]})
    await space.scale("Deployment", "api", 2)
    await space.until_pods("api", granted=1, waiting=1)
