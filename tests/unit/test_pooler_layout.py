"""How connections are spread over a pooler's pods, and what is proven of them: one row a sentence."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from poolbudget.planning.model import PoolerPlan
from poolbudget.pooler.config import Limits
from poolbudget.pooler.layout import Layout, PoolerPod, Seen, next_layout, proven


def plan(connections: int, replicas: int = 2) -> PoolerPlan:
    return PoolerPlan("orders-pooler.shop.svc", 6432, connections, 40, replicas, True, external=False)


def limits(connections: int) -> Limits:
    return Limits.of(connections, 40)


def pod(number: int, written: int, *, process: bool = True, ending: bool = False) -> PoolerPod:
    told = limits(written) if written else None
    running, address = f"p{number}" if process else "", f"10.0.0.{number}"
    return PoolerPod(f"pooler-{number}", f"uid-{number}", running, address, "10.9.0.1", told, "c", "s", True, ending)


def seen(replicas: int | None, template: int, *pods: PoolerPod, observed: bool = True) -> Seen:
    return Seen(replicas, limits(template) if template else None, "c", observed, pods)


def told(**by_process: int) -> dict[str, Limits]:
    return {process: limits(connections) for process, connections in by_process.items()}


TWO_OF_20 = seen(2, 20, pod(0, 20), pod(1, 20))
THREE = (pod(0, 5), pod(1, 5), pod(2, 5))
NOTHING = seen(None, 0)


@pytest.mark.parametrize(
    ("why", "wanted", "charged", "found", "confirmed", "expected"),
    [
        ("divided by the replicas", plan(40), 40, NOTHING, {}, Layout(2, limits(20))),
        ("what does not divide is not used", plan(41), 41, NOTHING, {}, Layout(2, limits(20))),
        ("no more than is charged yet", plan(40), 11, NOTHING, {}, Layout(2, limits(5))),
        ("none without a connection for each", plan(40), 1, NOTHING, {}, None),
        ("fewer replicas than connections", plan(2, 3), 2, NOTHING, {}, Layout(2, limits(1))),
        ("a smaller share at once, whatever is still charged", plan(10), 40, TWO_OF_20, {}, Layout(2, limits(5))),
        ("pods that are to end share", plan(40, 1), 40, TWO_OF_20, {}, Layout(1, limits(20))),
        ("so a single one has all only then", plan(40, 1), 40, seen(1, 20, pod(0, 20)), {}, Layout(1, limits(40))),
        ("another pod waits for the others", plan(40, 4), 40, TWO_OF_20, told(p0=20, p1=20), Layout(2, limits(10))),
        (
            "until they have let go",
            plan(40, 4),
            40,
            seen(2, 10, pod(0, 10), pod(1, 10)),
            told(p0=10, p1=10),
            Layout(4, limits(10)),
        ),
        (
            "never 0, also while more pods are there",
            plan(2),
            8,
            seen(4, 2, *(pod(n, 2) for n in range(4))),
            {},
            Layout(2, limits(1)),
        ),
    ],
)
def test_layout(
    why: str, wanted: PoolerPlan, charged: int, found: Seen, confirmed: Mapping[str, Limits], expected: Layout | None
) -> None:
    assert next_layout(wanted, charged, found, confirmed, in_use=True) == expected, why


@pytest.mark.parametrize(("in_use", "clients"), [(True, 900), (False, 100)])
def test_the_pods_that_a_smaller_plan_leaves_behind_it_are_all_taken_in(in_use: bool, clients: int) -> None:
    found = replace(TWO_OF_20, limits=Limits(20, 900))
    assert next_layout(plan(10), 40, found, {}, in_use=in_use) == Layout(2, Limits(5, clients))


@pytest.mark.parametrize(
    ("why", "found", "confirmed", "backends", "expected"),
    [
        ("all were told", seen(2, 5, pod(0, 5), pod(1, 5)), told(p0=5, p1=5), {}, 10),
        ("one was not told", seen(2, 5, pod(0, 5), pod(1, 5)), told(p0=5), {}, None),
        ("one was told another number", seen(2, 5, pod(0, 5), pod(1, 5)), told(p0=5, p1=20), {}, None),
        ("a restart would read the old number", seen(2, 5, pod(0, 5), pod(1, 20)), told(p0=5, p1=5), {}, None),
        ("a new pod would have the old number", seen(2, 20, pod(0, 5), pod(1, 5)), told(p0=5, p1=5), {}, None),
        (
            "the controller may not know yet",
            seen(2, 5, pod(0, 5), pod(1, 5), observed=False),
            told(p0=5, p1=5),
            {},
            None,
        ),
        ("one that does not run will read it", seen(2, 5, pod(0, 5), pod(1, 5, process=False)), told(p0=5), {}, 10),
        ("one that is missing will, too", seen(2, 5, pod(0, 5)), told(p0=5), {}, 10),
        ("one of its pods ends and was told", seen(2, 5, pod(0, 5), pod(1, 5, ending=True)), told(p0=5, p1=5), {}, 10),
        ("one too many is still there", seen(2, 5, *THREE), told(p0=5, p1=5, p2=5), {}, None),
        ("another is to come", seen(1, 5, pod(0, 5)), told(p0=5), {}, None),
        ("the server still shows more", seen(2, 5, pod(0, 5), pod(1, 5)), told(p0=5, p1=5), {"10.0.0.1": 6}, None),
        ("the server shows as many", seen(2, 5, pod(0, 5), pod(1, 5)), told(p0=5, p1=5), {"10.0.0.1": 5}, 10),
        ("the server is not read", seen(2, 5, pod(0, 5), pod(1, 5)), told(p0=5, p1=5), None, 10),
        ("nothing is there yet", NOTHING, {}, {}, None),
        ("a pod without its StatefulSet", seen(None, 0, pod(0, 20, ending=True)), {}, {}, None),
    ],
)
def test_what_is_proven(
    why: str, found: Seen, confirmed: Mapping[str, Limits], backends: Mapping[str, int] | None, expected: int | None
) -> None:
    assert proven(plan(10), found, limits(5), confirmed, backends) == expected, why
