"""What poolers are charged from round to round: one row a sentence."""

from collections.abc import Mapping

import pytest

from poolbudget.planning.model import BudgetKey, PoolerPlan, ServerPlan
from poolbudget.pooler.charges import as_charged, charges, free

A, B = BudgetKey("shop", "a"), BudgetKey("shop", "b")


def plan(connections: int, *, external: bool = False) -> PoolerPlan:
    return PoolerPlan("pooler.shop.svc", 6432, connections, 40, 2, True, external)


def server(**poolers: PoolerPlan) -> ServerPlan:
    by_key = {BudgetKey("shop", name): pooler for name, pooler in poolers.items()}
    return ServerPlan(usable=50, planned=0, needed=0, workloads={}, grantable=50, poolers=by_key)


@pytest.mark.parametrize(
    ("why", "planned", "held", "expected"),
    [
        ("what is planned is not lent before it is taken", {"a": plan(20)}, {}, 20),
        ("what may still be held neither", {"a": plan(10)}, {A: 40}, 40),
        ("also where no pooler is planned any more", {}, {A: 40}, 40),
        ("external ones beside", {"a": plan(8, external=True)}, {B: 4}, 12),
    ],
)
def test_what_is_kept_from_pods(
    why: str, planned: Mapping[str, PoolerPlan], held: Mapping[BudgetKey, int], expected: int
) -> None:
    assert as_charged(server(**planned), held).for_poolers == expected, why


@pytest.mark.parametrize(
    ("why", "planned", "held", "committed", "expected"),
    [
        ("all of an empty server", {"a": plan(20)}, {}, 0, 50),
        ("not what pods hold", {"a": plan(20)}, {}, 45, 5),
        ("not what poolers hold", {"a": plan(20)}, {A: 10, B: 20}, 10, 10),
        ("not what external ones may hold", {"a": plan(20), "b": plan(8, external=True)}, {}, 40, 2),
    ],
)
def test_what_a_pooler_can_raise_into(
    why: str, planned: Mapping[str, PoolerPlan], held: Mapping[BudgetKey, int], committed: int, expected: int
) -> None:
    assert free(server(**planned), held, committed) == expected, why


@pytest.mark.parametrize(
    ("why", "held", "planned", "least", "room", "expected"),
    [
        ("a new one takes what is planned", {}, {A: plan(10)}, {}, 30, {A: 10}),
        ("but no more than there is room", {}, {A: plan(10)}, {}, 4, {A: 4}),
        ("and nothing of a server that is over", {A: 4}, {A: plan(10)}, {}, -3, {A: 4}),
        ("the first by name takes first", {}, {B: plan(10), A: plan(10)}, {}, 12, {A: 10, B: 2}),
        ("what is given back stays charged", {A: 40}, {A: plan(10)}, {}, 0, {A: 40}),
        ("until it is proven", {A: 40}, {A: plan(10)}, {A: 10}, 0, {A: 10}),
        ("or a part of it", {A: 40}, {A: plan(10)}, {A: 24}, 0, {A: 24}),
        ("what does not divide stays its own", {A: 41}, {A: plan(41)}, {A: 40}, 0, {A: 41}),
        ("one that is to go stays charged", {A: 10}, {}, {}, 9, {A: 10}),
        ("until it is gone", {A: 10}, {}, {A: 0}, 9, {}),
        ("what another gives back is free in the next round", {A: 40}, {A: plan(10), B: plan(20)}, {A: 10}, 0, {A: 10}),
        ("external ones are not ours to charge", {}, {A: plan(10, external=True)}, {}, 30, {}),
    ],
)
def test_what_is_charged(
    why: str,
    held: Mapping[BudgetKey, int],
    planned: Mapping[BudgetKey, PoolerPlan],
    least: Mapping[BudgetKey, int],
    room: int,
    expected: Mapping[BudgetKey, int],
) -> None:
    assert charges(held, planned, least, room) == expected, why
