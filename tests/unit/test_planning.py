"""What one budget gives its workloads: pods at peak, floors, shares, and why one gets nothing."""

from typing import Any

import pytest

from tests.unit.planning_inputs import budget, plan, planned, target

UVICORN = ("uvicorn", "app:app", "--workers", "4")


def test_a_rollout_takes_one_pod_more_than_the_replicas() -> None:
    result = planned(plan(budget({"name": "api"}), target("api", 4, surges=True, command=UVICORN)))
    assert (result.processes, result.steady, result.peak) == (4, 4, 5)
    assert (result.share, result.per_pod, result.planned) == (9, 36, 180)
    assert (result.reason, result.fits) == ("FitsDirectly", True)


def test_max_pods_replaces_what_the_controller_says_and_a_rollout_comes_on_top() -> None:
    one = budget({"name": "api", "processes": 1, "maxPods": 12})
    result = planned(plan(one, target("api", 3, surges=True)))
    assert (result.steady, result.peak, result.desired) == (12, 13, 3)


def test_a_workload_scaled_to_zero_keeps_room_for_one_pod() -> None:
    result = planned(plan(budget({"name": "api", "processes": 1}), target("api", 0)))
    assert (result.steady, result.desired) == (1, 0)


def test_extra_connections_of_a_pod_are_charged_before_shares() -> None:
    one = budget({"name": "api", "processes": 2, "extraPerPod": 3, "maxPerProcess": 100}, maxConnections=60)
    result = planned(plan(one, target("api", 2)))
    assert (result.share, result.per_pod, result.planned) == (11, 25, 50)


def test_weights_divide_in_proportion() -> None:
    heavy = {"name": "heavy", "processes": 1, "weight": 3, "maxPerProcess": 200}
    light = {"name": "light", "processes": 1, "maxPerProcess": 200}
    result = plan(budget(heavy, light, maxConnections=110), target("heavy"), target("light"))
    assert (planned(result, "heavy").share, planned(result, "light").share) == (75, 25)


FLOORS: dict[str, tuple[dict[str, Any], tuple[str, ...], int]] = {
    "2 by default": ({}, UVICORN, 2),
    "1 for prefork children": ({}, ("celery", "-A", "app", "worker", "-c", "4"), 1),
    "1 for prefork children whose number is declared": (
        {"processes": 4},
        ("celery", "-A", "app", "worker", "-c", "8"),
        1,
    ),
    "as declared": ({"minPerProcess": 5}, UVICORN, 5),
    "at least the number of pools": (
        {"minPerProcess": 1, "pools": [{"name": "a"}, {"name": "b"}, {"name": "c"}]},
        UVICORN,
        3,
    ),
    "never above maxPerProcess unless declared": ({"maxPerProcess": 1}, UVICORN, 1),
}


@pytest.mark.parametrize(("fields", "command", "floor"), FLOORS.values(), ids=FLOORS.keys())
def test_floor(fields: dict[str, Any], command: tuple[str, ...], floor: int) -> None:
    assert planned(plan(budget({"name": "api", **fields}), target("api", command=command))).floor == floor


def test_demand_never_lowers_the_ceiling_below_the_floor() -> None:
    one = budget({"name": "api", "processes": 4, "minPerProcess": 3, "demand": {"concurrency": 1}})
    assert planned(plan(one, target("api"))).share == 3


def test_demand_per_process_is_not_divided_again() -> None:
    one = budget({"name": "api", "processes": 4, "demand": {"concurrency": 10, "per": "Process", "headroomPercent": 0}})
    assert planned(plan(one, target("api", 2))).share == 10


def test_floors_that_do_not_fit_give_nothing_and_say_by_how_much() -> None:
    api, worker = {"name": "api", "processes": 4}, {"name": "worker", "processes": 2}
    result = plan(budget(api, worker), target("api", 38), target("worker", 2))
    assert (result.usable, result.needed, result.planned, result.fits) == (190, 312, 0, False)
    for name in ("api", "worker"):
        one = planned(result, name)
        assert (one.reason, one.fits, one.planned, one.share) == ("DoesNotFit", False, 0, one.floor)
        assert one.message.startswith("orders would need 312 of 190 connections at the floor, 122 too many: ")


def test_a_max_that_cannot_hold_the_floor_leaves_the_others_planned() -> None:
    api, worker = {"name": "api", "processes": 4, "max": 10}, {"name": "worker", "processes": 1}
    result = plan(budget(api, worker), target("api", 2), target("worker"))
    assert (planned(result).reason, planned(result).fits) == ("CeilingBelowFloor", False)
    assert "max allows 10 connections and 2 pods need 16" in planned(result).message
    assert planned(result, "worker").share == 20


UNPLANNED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "an unknown target": ({"targetRef": {"name": "elsewhere"}}, {}, "TargetNotFound", "no Deployment shop/elsewhere"),
    "a kind of target that is not supported": (
        {"targetRef": {"kind": "Pod", "name": "api"}},
        {},
        "TargetNotFound",
        "targetRef.kind Pod is none of",
    ),
    "processes that cannot be detected": ({}, {"command": ("./start.sh",)}, "ProcessesUnknown", "processes"),
    "a container that the pod does not have": ({"containers": ["web"]}, {}, "ProcessesUnknown", "no container web"),
    "replicas that the controller cannot tell": (
        {"processes": 1},
        {"steady": None, "unknown": "set `maxPods`"},
        "ReplicasUnknown",
        "set `maxPods`",
    ),
    "another profile": ({"env": {"profile": "zope"}}, {}, "InvalidProfile", "env.profile zope"),
}


@pytest.mark.parametrize(("fields", "controller", "reason", "message"), UNPLANNED.values(), ids=UNPLANNED.keys())
def test_what_cannot_be_planned_waits_and_the_others_are_planned(
    fields: dict[str, Any], controller: dict[str, Any], reason: str, message: str
) -> None:
    one = budget({"name": "api", **fields}, {"name": "worker", "processes": 1})
    result = plan(one, target("api", **controller), target("worker"))
    assert (planned(result).reason, planned(result).fits, planned(result).planned) == (reason, False, 0)
    assert message in planned(result).message
    assert planned(result, "worker").fits


def test_a_missing_target_is_planned_where_pods_and_processes_are_declared() -> None:
    result = planned(plan(budget({"name": "api", "processes": 2, "maxPods": 3})))
    assert (result.steady, result.peak, result.fits) == (3, 4, True)


def test_a_pooler_that_is_asked_for_is_not_silently_replaced_by_direct_pools() -> None:
    auto, direct = {"name": "api", "processes": 1}, {"name": "worker", "processes": 1, "mode": "Direct"}
    result = plan(
        budget(auto, direct, pooler={"mode": "Always", "authSecretRef": {"name": "p"}}, database={"host": "db"}),
        target("api"),
        target("worker"),
    )
    assert (planned(result).reason, planned(result, "worker").reason) == ("Unroutable", "FitsDirectly")
