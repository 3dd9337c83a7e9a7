"""What a server's plan says, case by case."""

from typing import Any

import pytest

from poolbudget.planning.admission import usable_connections
from poolbudget.planning.model import Budget, BudgetKey, Observed, ServerPlan
from poolbudget.planning.plan import plan_server, server_key
from tests.unit.planning_inputs import NAMESPACE, budget, plan, planned, target

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


USABLE: dict[str, tuple[Observed | None, int]] = {
    "offline, as declared": (None, 180),
    "the server has fewer": (Observed(100, 3), 80),
    "the server reserves more": (Observed(300, 30), 160),
    "never clamped": (Observed(10, 3), -10),
}


@pytest.mark.parametrize(("observed", "usable"), USABLE.values(), ids=USABLE.keys())
def test_usable(observed: Observed | None, usable: int) -> None:
    assert usable_connections(budget({"name": "api"}, headroom=10), observed) == usable


def three_budgets(*replicas: int) -> tuple[list[Budget], dict[Any, Any]]:
    """Three budgets of one server, oldest last in the input, with one process per pod and this many pods."""
    names = [f"b{i}" for i in range(len(replicas))]
    budgets = [
        budget({"name": n, "processes": 1}, name=n, created=str(i), maxConnections=50 + i, database={"host": "db"})
        for i, n in enumerate(names)
    ]
    return budgets[::-1], dict(target(n, r) for n, r in zip(names, replicas, strict=True))


def test_budgets_of_one_server_share_the_smallest_usable() -> None:
    result = plan_server(*three_budgets(1, 1, 1), None)
    assert (result.usable, result.planned) == (40, 40)
    assert [planned(result, f"b{i}", f"b{i}").share for i in range(3)] == [14, 13, 13]


def test_the_budget_that_no_longer_fits_beside_older_ones_is_in_conflict() -> None:
    result = plan_server(*three_budgets(10, 15, 5), None)
    assert result.conflicts == {BudgetKey(NAMESPACE, "b1")}
    assert [planned(result, f"b{i}", f"b{i}").fits for i in range(3)] == [True, False, True]
    assert "b1 and the older shop/b0 would need 50 of 40" in planned(result, "b1", "b1").message


def test_a_budget_that_would_not_fit_even_alone_does_not_fit() -> None:
    result = plan_server(*three_budgets(10, 30), None)
    assert (planned(result, "b1", "b1").reason, result.conflicts) == ("DoesNotFit", frozenset())


def two_budgets(old: dict[str, Any], young: dict[str, Any], *replicas: int) -> ServerPlan:
    """Plan the budgets `old` and `young` of one server, with one process per pod."""
    budgets = [
        budget({"name": name, "processes": 1}, name=name, created=created, database={"host": "db"}, **fields)
        for name, created, fields in (("old", "1", old), ("young", "2", young))
    ]
    return plan_server(budgets[::-1], dict(target(n, r) for n, r in zip(("old", "young"), replicas, strict=True)), None)


YOUNG = BudgetKey(NAMESPACE, "young")


def test_a_younger_budget_cannot_take_what_older_floors_need_by_a_small_maximum() -> None:
    result = two_budgets({"maxConnections": 200}, {"maxConnections": 20, "reservedConnections": 0}, 20, 1)
    assert (planned(result, "old", "old").fits, result.usable, result.conflicts) == (True, 190, frozenset({YOUNG}))
    assert "young and the older shop/old would need 42 of 20" in planned(result, "young", "young").message


def test_a_budget_that_does_not_fit_even_alone_does_not_count() -> None:
    result = two_budgets({"maxConnections": 200}, {"maxConnections": 11}, 8, 8)
    assert (planned(result, "old", "old").fits, result.usable) == (True, 190)
    assert planned(result, "young", "young").reason == "DoesNotFit"


def test_the_maximum_of_the_oldest_budget_counts_although_its_floors_do_not_fit() -> None:
    """Else the server would be given away by the others as soon as its owner asks for too much."""
    result = two_budgets({"maxConnections": 50}, {"maxConnections": 500}, 30, 30)
    assert (planned(result, "old", "old").reason, result.usable) == ("DoesNotFit", 40)
    assert planned(result, "young", "young").message.endswith("of PoolBudget shop/old, the smallest of this server")


def test_only_the_reserve_of_the_budget_that_leaves_least_is_set_aside() -> None:
    result = two_budgets(
        {"maxConnections": 100, "reservedConnections": 10}, {"maxConnections": 300, "reservedConnections": 90}, 1, 1
    )
    assert (result.usable, result.ordinary_reserve) == (90, 10)


@pytest.mark.parametrize(
    ("least", "grantable"),
    [
        pytest.param(None, 90, id="nothing else was read"),
        pytest.param(Observed(60, 3), 50, id="a smaller server was read and is not yet believed"),
    ],
)
def test_plans_stand_on_what_is_believed_and_grants_on_the_least_that_was_read(
    least: Observed | None, grantable: int
) -> None:
    result = plan_server([budget({"name": "api", "processes": 1})], dict([target("api")]), Observed(100, 3), least)
    assert (result.usable, result.grantable) == (90, grantable)


SERVERS = {
    "orders-db": "orders-db.shop.svc.cluster.local:5432",
    "orders-db.shop": "orders-db.shop.svc.cluster.local:5432",
    "orders-db.shop.svc": "orders-db.shop.svc.cluster.local:5432",
    "Orders-DB.shop.svc.cluster.local.": "orders-db.shop.svc.cluster.local:5432",
    "pg-0.pg.shop.svc": "pg-0.pg.shop.svc.cluster.local:5432",
    "db.eu-west-1.rds.amazonaws.com": "db.eu-west-1.rds.amazonaws.com:5432",
    "10.0.0.7": "10.0.0.7:5432",
    "fd00::7": "[fd00::7]:5432",
}


@pytest.mark.parametrize(("host", "server"), SERVERS.items())
def test_server_key_makes_names_of_the_cluster_full(host: str, server: str) -> None:
    assert server_key(budget({"name": "api"}, database={"host": host})) == server


def test_a_budget_without_a_database_is_a_server_of_its_own() -> None:
    assert server_key(budget({"name": "api"})) == "shop/orders"
