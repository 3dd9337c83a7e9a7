"""Which budgets have one server, what is usable there, and which of them fit beside each other."""

from typing import Any

import pytest

from poolbudget.planning.admission import usable_connections
from poolbudget.planning.model import Budget, BudgetKey, Observed, ServerPlan
from poolbudget.planning.plan import plan_server, server_key
from tests.unit.planning_inputs import NAMESPACE, budget, planned, target

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
