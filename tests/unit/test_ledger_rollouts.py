"""Update mode Recreate: which workload is rolled now, why, and what the others wait for."""

from dataclasses import replace
from typing import Any

import pytest

from poolbudget.api.v1alpha1 import UpdateMode, Workload
from poolbudget.ledger.model import Pod
from poolbudget.ledger.rollouts import Applied, rolled_last
from poolbudget.planning.model import Target
from tests.unit.ledger_builders import API, plan, spec, waiting
from tests.unit.rollout_builders import LARGE, NOTHING, WORKER, budget, changed, controls, decided, held, started

SMALL = tuple(held(f"api-{n}", 2) for n in (1, 2, 3))
WAITING = waiting("api-9", created="2024-01-01T00:00:00Z")
FULL = tuple(held(f"api-{n}", 5) for n in (1, 2, 3))
NEWCOMER = waiting("worker-9", workload=WORKER, created="2024-01-01T00:00:00Z")

REASONS: dict[str, tuple[Target, tuple[Pod, ...], dict[str, Any], tuple[str, str] | None]] = {
    "pods hold what the plan gives": (controls(), (held("api-1", 4),), {}, None),
    "the template lacks the labels": (controls(labels={}), (), {}, ("api", "Labelled")),
    "the template lacks one label": (controls(labels={"poolbudget.dev/budget": "orders"}), (), {}, ("api", "Labelled")),
    "a pod holds more than the plan gives": (controls(), (LARGE,), {}, ("api", "PlanMoved")),
    "a pod holds one connection more": (controls(), (held("api-1", 5),), {}, None),
    "a pod holds less than 20 percent more": (controls(), (held("api-1", 20),), {"of": budget(72)}, None),
    "a pod holds 20 percent more": (controls(), (held("api-1", 20),), {"of": budget(64)}, ("api", "PlanMoved")),
    "pods hold less and there is room": (controls(), SMALL, {}, ("api", "PlanMoved")),
    "pods hold less and others hold the room": (controls(), SMALL, {"elsewhere": 1}, None),
    "a pod of another controller holds more": (controls(), (replace(LARGE, controller=None),), {}, None),
    "a pod that holds more is ending": (controls(), (replace(LARGE, deleting=True),), {}, None),
    "update mode Initial": (controls(labels={}), (LARGE,), {"of": budget(update_mode=UpdateMode.INITIAL)}, None),
    "update mode Off": (controls(labels={}), (LARGE,), {"of": budget(update_mode=UpdateMode.OFF)}, None),
    "the workload's own update mode": (
        controls(),
        (LARGE,),
        {"of": spec(16, workloads=[Workload(name="api", update_mode=UpdateMode.RECREATE)])},
        ("api", "PlanMoved"),
    ),
    "a plan that does not fit": (controls(labels={}), (LARGE,), {"of": budget(4)}, None),
}


@pytest.mark.parametrize(("controller", "shown", "fields", "told"), REASONS.values(), ids=REASONS.keys())
def test_reasons(
    controller: Target, shown: tuple[Pod, ...], fields: dict[str, Any], told: tuple[str, str] | None
) -> None:
    assert started(decided((controller,), *shown, **fields)) == told


TWO = budget(17, "api", "worker")
"""2 connections for each of six pods and one more at rollouts of both; one is left over."""
GREEDY = tuple(held(f"api-{n}", 3) for n in (1, 2, 3))
OTHERS = tuple(held(f"worker-{n}", 2, "worker") for n in (4, 5))


@pytest.mark.parametrize(
    ("created", "told"),
    [
        pytest.param("2024-01-01T00:59:00Z", ("api", "PodsWait"), id="for the cooldown"),
        pytest.param("2024-01-01T00:59:01Z", None, id="for less"),
    ],
)
def test_a_pod_waits_while_others_hold_more_than_their_plan(created: str, told: tuple[str, str] | None) -> None:
    late = replace(NEWCOMER, created=created)
    both = (controls(spare=2), controls("worker", available=2))
    assert started(decided(both, *GREEDY, *OTHERS, late, of=TWO)) == told


BUSY: dict[str, tuple[Target, Applied]] = {
    "another workload is being replaced": (controls("worker", outdated=True), NOTHING),
    "the other's new template is not seen yet": (controls("worker"), Applied({"uid-worker": 2}, {}, {})),
    "the other's new pods are not ready": (
        controls("worker", restarted_at="2024-01-01T00:00:00Z", available=2),
        NOTHING,
    ),
    "another workload was rolled a moment ago": (controls("worker", restarted_at="2024-01-01T00:59:30Z"), NOTHING),
    "another was rolled by a clock that is ahead": (controls("worker", restarted_at="2024-01-01T01:00:30Z"), NOTHING),
}
FREE: dict[str, tuple[Target, Applied]] = {
    "another workload was rolled before the cooldown": (
        controls("worker", restarted_at="2024-01-01T00:59:00Z"),
        NOTHING,
    ),
    "a time that is none": (controls("worker", restarted_at="yesterday"), NOTHING),
    "a time far ahead": (controls("worker", restarted_at="2034-01-01T00:00:00Z"), NOTHING),
    "a time without a zone": (controls("worker", restarted_at="2024-01-01T00:00:00"), NOTHING),
    "pods of a workload that we did not roll are not ready": (controls("worker", available=2), NOTHING),
    "the other's new template is seen": (controls("worker"), Applied({"uid-worker": 1}, {}, {})),
}


@pytest.mark.parametrize(("other", "applied"), BUSY.values(), ids=BUSY.keys())
def test_one_workload_of_a_server_at_a_time(other: Target, applied: Applied) -> None:
    rollouts = decided((controls(), other), held("api-1", 10), of=budget(40, "api", "worker"), applied=applied)
    assert rollouts.restart is None
    assert "its pods hold up to 10 connections and the plan gives 5; waits for the" in rollouts.notes[API].message


@pytest.mark.parametrize(("other", "applied"), FREE.values(), ids=FREE.keys())
def test_nothing_stands_in_the_way(other: Target, applied: Applied) -> None:
    rollouts = decided((controls(), other), held("api-1", 10), of=budget(40, "api", "worker"), applied=applied)
    assert started(rollouts) == ("api", "PlanMoved")


def test_a_rollout_that_only_waits_for_room_lets_others_be_rolled() -> None:
    stuck = controls("worker", restarted_at="2024-01-01T00:00:00Z", outdated=True, available=2)
    shown = (*GREEDY, *OTHERS, NEWCOMER)
    assert started(decided((controls(spare=2), stuck), *shown, of=TWO)) == ("api", "PodsWait")
    moving = changed(stuck, spare=2)
    assert started(decided((controls(spare=2), moving), *shown, of=TWO)) is None
    starting = changed(stuck, available=1)
    assert started(decided((controls(spare=2), starting), *shown, of=TWO)) is None
    ending = replace(OTHERS[0], deleting=True)
    assert started(decided((controls(spare=2), stuck), *GREEDY, ending, OTHERS[1], NEWCOMER, of=TWO)) is None


def test_the_most_urgent_workload_is_first_and_the_next_says_what_it_waits_for() -> None:
    shown = (held("api-1", 8), held("worker-2", 10, "worker"))
    rollouts = decided((controls(), controls("worker")), *shown, of=budget(40, "api", "worker"))
    assert started(rollouts) == ("worker", "PlanMoved")
    assert rollouts.notes[API].message.endswith("; waits for the rollout of worker")
    labels_first = decided((controls(labels={}), controls("worker")), shown[1], of=budget(40, "api", "worker"))
    assert started(labels_first) == ("api", "Labelled")


def test_a_rollout_whose_first_pod_finds_no_room_is_not_begun() -> None:
    full = tuple(held(f"api-{n}", 8) for n in (1, 2))
    blocked = decided((controls(spare=0),), *full)
    assert blocked.restart is None
    assert blocked.notes[API].message.endswith(
        "a rollout could not begin: new pods need 2, free 0: end a pod, or scale down"
    )
    assert started(decided((controls(spare=1),), *full)) == ("api", "PlanMoved")
    overcommitted = tuple(held(f"api-{n}", 12) for n in (1, 2, 3))
    assert decided((controls(spare=1),), *overcommitted).restart is None


def test_the_workload_that_was_rolled_last_comes_first_until_its_pods_are_replaced() -> None:
    of = budget(40, "api", "worker")
    earlier = controls(restarted_at="2024-01-01T00:00:00Z", outdated=True)
    later = controls("worker", restarted_at="2024-01-01T00:30:00+00:00", outdated=True)
    finished = controls("worker", restarted_at="2024-01-01T00:30:00Z")
    for targets, rolled in (((earlier, later), WORKER), ((earlier, finished), API), ((controls(), finished), None)):
        assert rolled_last(plan(of, *targets), {t.key: t for t in targets}, NOTHING) == rolled
    unseen = Applied({"uid-api": 2}, {}, {})
    assert rolled_last(plan(of, controls(), later), {t.key: t for t in (controls(), later)}, unseen) == API
