"""A pod of a workload gets its share before it starts; one that does not fit waits and says what is missing."""

from typing import Any

import pytest

from tests.functional.cluster import budget, kubectl
from tests.functional.manifests import autoscaler, deployment, replica_set, stateful_set
from tests.functional.space import Space, condition, connections, notice

# usable 20, no reserve: shares are easily told
TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
ONE_PROCESS = {"name": "api", "processes": 1}


async def test_a_pod_starts_with_its_share_in_its_environment(space: Space) -> None:
    two = {"name": "api", "processes": 2, "pool": {"maxOverflow": 2}}
    own = {"name": "NOTE", "value": "size $(DB_POOL_SIZE) overflow $(DB_MAX_OVERFLOW) of $(DB_APPLICATION_NAME)"}
    command = ["sh", "-c", "echo $NOTE; exec sleep 600"]
    container = {"name": "app", "image": "poolbudget/example:dev", "command": command, "env": [own]}
    await space.apply(budget(space.name, two, **TWENTY), deployment("api", 1, parked=False, containers=[container]))
    (pod,) = await space.until_pods("api", granted=1)
    assert connections(pod) == 20
    assert pod["metadata"]["annotations"]["poolbudget.dev/mode"] == "Direct"
    assert pod["metadata"]["labels"]["poolbudget.dev/mode"] == "Direct"
    kubectl("wait", "-n", space.name, "pod", "-l", "app=api", "--for=condition=Ready", "--timeout=60s")
    said = kubectl("logs", "-n", space.name, "deployment/api").stdout
    assert said == f"size 8 overflow 2 of {space.name}/api\n"
    assert {uid: r.connections for uid, r in (await space.ledger()).items()} == {pod["metadata"]["uid"]: 20}


async def test_a_pod_that_sets_its_size_itself_is_charged_that(space: Space) -> None:
    command = ["sh", "-c", "echo $DB_POOL_SIZE $DB_MAX_OVERFLOW; exec sleep 600"]
    own = [{"name": "DB_POOL_SIZE", "value": "7"}]
    container = {"name": "app", "image": "poolbudget/example:dev", "command": command, "env": own}
    declared = ONE_PROCESS | {"processes": 2, "pool": {"maxOverflow": 2}}
    await space.apply(
        budget(space.name, declared, **TWENTY), deployment("api", 1, parked=False, containers=[container])
    )
    (pod,) = await space.until_pods("api", granted=1)
    assert connections(pod) == 18
    kubectl("wait", "-n", space.name, "pod", "-l", "app=api", "--for=condition=Ready", "--timeout=60s")
    assert kubectl("logs", "-n", space.name, "deployment/api").stdout == "7 2\n"
    assert [r.connections for r in (await space.ledger()).values()] == [18]
    status = await space.status("orders", lambda s: reason(s) == "Overridden", what="the status names it")
    assert "container app sets DB_POOL_SIZE to 7 itself: remove it" in status["workloads"][0]["message"]


async def test_a_pod_whose_own_size_bounds_nothing_waits_and_says_what_to_write(space: Space) -> None:
    container = {"name": "app", "image": "poolbudget/example:dev", "env": [{"name": "DB_POOL_SIZE", "value": "0"}]}
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 1, containers=[container]))
    (waiting,) = await space.until_pods("api", waiting=1, reason="OverrideUnknown")
    assert "DB_POOL_SIZE itself to '0', which bounds no pool: write a whole number from 1" in notice(waiting)["message"]
    assert await space.ledger() == {}


def reason(status: dict[str, Any]) -> str | None:
    """Return why the first workload has what it has; None before the first round."""
    return next((workload["reason"] for workload in status.get("workloads", [])), None)


async def test_a_pod_that_does_not_fit_says_what_is_missing_and_starts_when_room_appears(space: Space) -> None:
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 1))
    (first,) = await space.until_pods("api", granted=1)
    assert connections(first) == 20

    await space.scale("Deployment", "api", 2)
    _, waiting = await space.until_pods("api", granted=1, waiting=1, reason="NoRoom")
    assert notice(waiting)["message"] == f"needs 2, free 0; {first['metadata']['name']} holds 20"
    event = await space.until("Event", lambda events: any(map(is_about(waiting), events)), what="an Event says so")
    assert any(e["reason"] == "NoRoom" and "needs 2, free 0" in e["note"] for e in event)
    status = await space.status("orders", lambda s: s.get("waiting") == 1, what="one pod waits")
    assert status["workloads"][0]["pods"]["waiting"] == 1

    await space.delete("Pod", first["metadata"]["name"])
    pods = await space.until_pods("api", granted=2)
    assert [connections(pod) for pod in pods] == [10, 10]
    started = next(pod for pod in pods if pod["metadata"]["uid"] == waiting["metadata"]["uid"])
    await space.until("Pod", lambda all_: any(shows_granted(p, started) for p in all_), what="it no longer waits")


def is_about(pod: dict[str, Any]) -> Any:
    return lambda event: event.get("regarding", {}).get("uid") == pod["metadata"]["uid"]


def shows_granted(pod: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return bool(pod["metadata"]["uid"] == wanted["metadata"]["uid"] and notice(pod)["status"] == "True")


async def test_a_pod_beyond_the_planned_ones_waits_and_says_what_to_raise(space: Space) -> None:
    await space.apply(budget(space.name, ONE_PROCESS | {"maxPods": 2}, **TWENTY), deployment("api", 3))
    *granted, waiting = await space.until_pods("api", granted=2, waiting=1, reason="PodsBeyondPlan")
    assert [connections(pod) for pod in granted] == [10, 10]
    assert "the controller wants 3: raise maxPods of the workload, or scale to 2" in notice(waiting)["message"]
    await space.patch("PoolBudget", "orders", spec={"maxConnections": 30, "workloads": [ONE_PROCESS | {"maxPods": 3}]})
    await space.until_pods("api", granted=3)


async def test_a_pod_of_a_stateful_set_takes_its_predecessors_place_under_the_same_name(space: Space) -> None:
    of_set = ONE_PROCESS | {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "api"}}
    await space.apply(budget(space.name, of_set, **TWENTY), stateful_set("api", 1))
    (old,) = await space.until_pods("api", granted=1)
    await space.delete("Pod", "api-0")
    is_new = lambda pods: any(p["metadata"]["uid"] != old["metadata"]["uid"] for p in pods)  # noqa: E731
    await space.until("Pod", is_new, what="api-0 is another pod")
    (new,) = await space.until_pods("api", granted=1)
    assert (new["metadata"]["name"], connections(new)) == ("api-0", 20)
    assert list(await space.ledger()) == [new["metadata"]["uid"]]


async def test_the_autoscalers_maximum_decides_how_much_each_pod_gets(space: Space) -> None:
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), autoscaler("api", 4), deployment("api", 1))
    (pod,) = await space.until_pods("api", granted=1)
    assert connections(pod) == 5

    await space.patch("HorizontalPodAutoscaler", "api", spec={"maxReplicas": 10})
    status = await space.status("orders", lambda s: steady(s) == 10, what="ten pods")
    assert status["workloads"][0]["connections"]["perPod"] == 2
    await space.delete("Pod", pod["metadata"]["name"])
    await space.until("Pod", lambda pods: {connections(p) for p in pods} == {2}, what="the next pod gets 2")


def steady(status: dict[str, Any]) -> int | None:
    """Return the planned pods; None before the operator has seen the Deployment."""
    planned: int | None = status["workloads"][0].get("pods", {}).get("steady")
    return planned


async def test_a_rollout_finishes_although_everything_is_granted(space: Space) -> None:
    surging = {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 4, strategy=surging, parked=False))
    old = await space.until_pods("api", granted=4)
    assert [connections(pod) for pod in old] == [4, 4, 4, 4]
    kubectl("rollout", "restart", "-n", space.name, "deployment/api")
    kubectl("rollout", "status", "-n", space.name, "deployment/api", "--timeout=60s")
    new = await space.until_pods("api", granted=4)
    assert not {pod["metadata"]["uid"] for pod in old} & {pod["metadata"]["uid"] for pod in new}
    assert [connections(pod) for pod in new] == [4, 4, 4, 4]


async def test_pods_born_before_their_budget_are_born_again_with_settings(space: Space) -> None:
    await space.apply(deployment("api", 2))
    await space.until_pods("api", waiting=2, reason="BudgetNotFound")
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY))
    pods = await space.until_pods("api", granted=2)
    assert [connections(pod) for pod in pods] == [10, 10]
    assert all("env.poolbudget.dev/DB_POOL_SIZE" in pod["metadata"]["annotations"] for pod in pods)


async def test_pods_of_a_deleted_budget_wait(space: Space) -> None:
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 1))
    (granted,) = await space.until_pods("api", granted=1)
    await space.delete("PoolBudget", "orders")
    await space.delete("Pod", granted["metadata"]["name"])
    await space.until_pods("api", waiting=1, reason="BudgetNotFound")


@pytest.mark.parametrize("where", ["budget", "workload"])
async def test_with_update_mode_off_a_labelled_pod_starts_as_it_is(space: Space, where: str) -> None:
    off = {"updateMode": "Off"}
    in_workload, in_budget = (off, {}) if where == "workload" else ({}, off)
    await space.apply(budget(space.name, ONE_PROCESS | in_workload, **TWENTY, **in_budget), replica_set("api", 1))
    (pod,) = await space.until(
        "Pod", lambda pods: any(not p["spec"].get("schedulingGates") for p in pods), what="the gate is open"
    )
    assert "env" not in pod["spec"]["containers"][0]
    assert connections(pod) == 0


async def test_the_status_says_how_it_stands(space: Space) -> None:
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 2))
    await space.until_pods("api", granted=2)
    status = await space.status("orders", lambda s: s["capacity"]["committed"] == 20, what="20 are committed")
    assert {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]} == {
        "Ready": ("True", "Ready"),
        "WithinBudget": ("True", "WithinBudget"),
        "CapacityObserved": ("Unknown", "NotConfigured"),
        "WorkloadsFit": ("True", "WorkloadsFit"),
    }
    heading, row = kubectl("get", "pb", "-n", space.name).stdout.splitlines()
    assert heading.split() == ["NAME", "READY", "USABLE", "COMMITTED", "IN", "USE", "WAITING", "AGE"]
    assert row.split()[:4] == ["orders", "True", "20", "20"]


async def test_a_budget_that_cannot_hold_the_floors_says_by_how_much_and_grants_nothing(space: Space) -> None:
    await space.apply(budget(space.name, ONE_PROCESS, **TWENTY), deployment("api", 11))
    status = await space.status("orders", lambda s: condition(s, "Ready").get("reason") == "DoesNotFit", what="no room")
    assert "22 of 20 connections at the floor, 2 too many" in condition(status, "WorkloadsFit")["message"]
    await space.until_pods("api", waiting=11, reason="DoesNotFit")
    assert not await space.ledger()
