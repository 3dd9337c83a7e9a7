"""What a real Postgres sees of real applications whose pods are under a budget."""

import asyncio
import base64

from tests.e2e.database import USABLE, Shop
from tests.functional.cluster import budget, kubectl, pod
from tests.functional.space import Raw, condition, connections, notice

LOAD = ("python", "-m", "load", "--url", "http://api/orders/7?hold_ms=300")
SAMPLER = ("python", "-m", "sampler", "--every-ms", "50", "--role", "shop", "--usable", str(USABLE))


async def test_under_load_each_pod_opens_exactly_its_bound(shop: Shop) -> None:
    await shop.budget({"name": "api"}, {"name": "worker"})
    await shop.application("api", 2)
    await shop.application("worker", 1)
    await shop.ready("api")
    await shop.ready("worker")
    status = await shop.space.status("orders", lambda s: s["capacity"].get("observed") == 60, what="Postgres is read")
    assert status["capacity"]["usable"] == USABLE

    await shop.start("sampler", *SAMPLER, role="postgres")
    load = await shop.run("load", *LOAD, "--concurrency", "60", "--seconds", "5")
    seen = await shop.stop("sampler")
    print(f"load: {load}\nsampler: {seen}")

    bounds = {pod["status"]["podIP"]: connections(pod) for pod in await shop.space.until_pods("api", granted=2)}
    peaks = {address: seen["peak_by_address"].get(address) for address in bounds}
    assert peaks == bounds
    assert load["failed"] == 0
    assert load["ok"] > 100
    assert seen["over_usable"] == 0


async def test_a_rollout_under_load_finishes_within_a_fully_granted_budget(shop: Shop) -> None:
    await shop.budget({"name": "api", "processes": 2})
    await shop.application("api", 3)
    await shop.ready("api")
    old = await shop.space.until_pods("api", granted=3)
    assert [connections(pod) for pod in old] == [12, 12, 12]

    await shop.start("sampler", *SAMPLER, role="postgres")
    await shop.start("load", *LOAD, "--concurrency", "60", "--seconds", "60")
    await asyncio.to_thread(kubectl, "rollout", "restart", "-n", shop.space.name, "deployment/api")
    await shop.ready("api")
    load, seen = await shop.stop("load"), await shop.stop("sampler")
    print(f"load: {load}\nsampler: {seen}")

    new = await shop.space.until_pods("api", granted=3)
    assert [connections(pod) for pod in new] == [12, 12, 12]
    assert not {pod["metadata"]["uid"] for pod in old} & {pod["metadata"]["uid"] for pod in new}
    assert load["too_many_clients"] == 0
    assert load["ok"] > 100
    assert seen["over_usable"] == 0
    assert seen["peak"] > 36  # the rollout's own slot was used


async def test_a_pod_that_does_not_fit_waits_until_the_server_has_room(shop: Shop) -> None:
    await shop.budget({"name": "api", "maxPerProcess": 25})
    await shop.application("api", 1, surge=False)
    await shop.ready("api")
    await shop.space.scale("Deployment", "api", 2)
    first, waiting = await shop.space.until_pods("api", granted=1, waiting=1, reason="NoRoom")
    assert notice(waiting)["message"] == f"needs 4, free 0; {first['metadata']['name']} holds 50"

    await shop.space.delete("Pod", first["metadata"]["name"])
    await shop.ready("api")
    pods = await shop.space.until_pods("api", granted=2)
    assert [connections(pod) for pod in pods] == [24, 24]


async def test_an_application_that_takes_more_than_it_was_granted_is_named(shop: Shop) -> None:
    unread = {"poolSize": "UNREAD_POOL_SIZE", "maxOverflow": "UNREAD_MAX_OVERFLOW"}
    await shop.budget({"name": "api", "max": 8, "env": {"names": unread}})
    await shop.application("api", 1, surge=False, env={"DB_POOL_SIZE": "10", "DB_MAX_OVERFLOW": "0"})
    await shop.ready("api")
    (pod,) = await shop.space.until_pods("api", granted=1)
    await shop.start("load", *LOAD, "--concurrency", "20", "--seconds", "30")
    status = await shop.space.status(
        "orders", lambda s: condition(s, "WithinBudget").get("reason") == "GrantExceeded", what="the excess is seen"
    )
    message = condition(status, "WithinBudget")["message"]
    assert message.startswith(f"pod {pod['metadata']['name']} holds ")
    assert " connections and was granted 8: its application does not read the variables" in message


async def test_a_wrong_password_is_named_and_the_declared_capacity_serves_until_it_is_corrected(shop: Shop) -> None:
    right = (await shop.space.get("Secret", "orders-db-monitor"))["data"]["password"]
    wrong = base64.b64encode(b"wrong").decode()
    await shop.space.patch("Secret", "orders-db-monitor", data={"password": wrong})
    await shop.budget({"name": "api"})
    await shop.application("api", 1)
    refused = await shop.space.status(
        "orders", lambda s: condition(s, "CapacityObserved").get("reason") == "AuthenticationFailed", what="refused"
    )
    assert condition(refused, "CapacityObserved")["status"] == "False"
    assert "correct the Secret" in condition(refused, "CapacityObserved")["message"]
    await shop.space.until_pods("api", granted=1)

    await shop.space.patch("Secret", "orders-db-monitor", data={"password": right})
    await shop.space.status(
        "orders", lambda s: condition(s, "CapacityObserved").get("reason") == "Observed", what="Postgres is read"
    )


async def test_of_two_names_of_one_server_the_older_is_served_and_the_other_is_told_to_write_it(shop: Shop) -> None:
    await shop.budget({"name": "api"})
    await shop.space.status("orders", lambda s: condition(s, "CapacityObserved")["status"] == "True", what="is read")
    service = {"selector": {"app": "orders-db"}, "ports": [{"port": 5432}]}
    await shop.space.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "orders-rw"}, "spec": service})

    def reports(host: str) -> Raw:
        return budget(shop.space.name, name="reports", maxConnections=60, database=shop.database(host))

    await shop.space.apply(reports("orders-rw"))
    await shop.space.status("reports", lambda s: condition(s, "Ready").get("reason") == "SameServer", what="it is told")
    labels = {"poolbudget.dev/budget": "reports", "poolbudget.dev/workload": "api"}
    await shop.space.apply(pod(shop.space.name, "report", labels=labels))
    (waiting,) = await shop.space.until_pods("api", waiting=1, reason="SameServer")
    address = f"orders-db.{shop.space.name}.svc.cluster.local:5432"
    assert f"is {address} by another name" in notice(waiting)["message"]

    await shop.space.apply(reports("orders-db"))
    await shop.space.until_pods("api", granted=1)
    served = await shop.space.status(
        "reports", lambda s: condition(s, "Ready")["status"] == "True", what="it is served"
    )
    committed = served["capacity"]["committed"]
    assert committed > 0
    await shop.space.status("orders", lambda s: s["capacity"]["committed"] == committed, what="they count alike")
