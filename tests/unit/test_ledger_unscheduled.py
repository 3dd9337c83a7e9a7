"""Granted pods that find no node: when they count as stuck, and which of them make way for others."""

from dataclasses import replace
from typing import Any

import pytest

from poolbudget.api.v1alpha1 import Workload
from poolbudget.ledger.decide import Snapshot, decide
from poolbudget.ledger.model import Pod
from poolbudget.ledger.unscheduled import Unscheduled, yielding
from tests.unit.ledger_builders import ledger, plan, pods, reservation, running, snapshot, spec, target, waiting

COOLDOWN = 60.0
WORKER = waiting().workload._replace(workload="worker")
BUDGET = spec(16, workloads=[Workload(name="api"), Workload(name="worker")])
PLAN = plan(BUDGET, target("api"), target("worker"))


def nowhere(name: str = "api-1", connections: int = 8, **fields: Any) -> Pod:
    return replace(running(name, connections), **{"node": "", "address": "", "unschedulable": True, **fields})


def other(name: str = "worker-1", **fields: Any) -> Pod:
    return waiting(name, **{"workload": WORKER, **fields})


def picture(*shown: Pod) -> Snapshot:
    held = [
        reservation(p.name, p.connections or 0, workload=p.workload, node="", address="") for p in shown if not p.gates
    ]
    return snapshot(BUDGET, PLAN, ledger=ledger(*held), pods=pods(*shown))


def chosen(*shown: Pod) -> list[str]:
    picture_ = picture(*shown)
    stuck = [pod for pod in shown if pod.unschedulable]
    return [pod.name for pod in yielding(stuck, picture_, decide(picture_))]


@pytest.mark.parametrize(
    ("pod", "is_stuck"),
    [
        pytest.param(nowhere(), True, id="the scheduler has found no node"),
        pytest.param(nowhere(unschedulable=False), False, id="the scheduler has not looked yet"),
        pytest.param(nowhere(node="worker"), False, id="it has a node by now"),
        pytest.param(nowhere(deleting=True), False, id="it goes already"),
        pytest.param(nowhere(gates=("other",)), False, id="another gate holds it"),
        pytest.param(nowhere(ended=True), False, id="it has ended"),
    ],
)
def test_a_pod_counts_as_stuck_only_after_the_cooldown(pod: Pod, is_stuck: bool) -> None:
    unscheduled, held = Unscheduled(COOLDOWN), ledger(reservation())
    assert unscheduled.lasting(held, pods(pod), 100.0) == ()
    assert unscheduled.lasting(held, pods(pod), 159.0) == ()
    assert unscheduled.lasting(held, pods(pod), 160.0) == ((pod,) if is_stuck else ())


def test_a_pod_that_had_a_node_meanwhile_begins_anew() -> None:
    unscheduled, held = Unscheduled(COOLDOWN), ledger(reservation())
    for pod, now in ((nowhere(), 0.0), (running(), 30.0), (nowhere(), 50.0), (nowhere(), 100.0)):
        assert unscheduled.lasting(held, pods(pod), now) == ()
    assert unscheduled.lasting(held, pods(nowhere()), 110.0)


def test_a_pod_without_a_grant_is_not_ours_to_judge() -> None:
    unscheduled = Unscheduled(0.0)
    assert unscheduled.lasting({}, pods(nowhere()), 0.0) == ()


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        pytest.param((nowhere(), nowhere("api-2"), other()), ["api-1"], id="one makes way, the longest stuck first"),
        pytest.param((nowhere(), nowhere("api-2")), [], id="nobody waits"),
        pytest.param((nowhere(connections=4), other()), [], id="what waits fits beside it"),
        pytest.param((nowhere(owner="Job"), nowhere("api-2", owner="Job"), other()), [], id="pods of Jobs stay"),
        pytest.param((nowhere(owner=""), nowhere("api-2", owner=""), other()), [], id="and pods of nobody"),
        pytest.param(
            (nowhere(), nowhere("api-2"), waiting("api-3")), [], id="one of the same revision would be stuck as well"
        ),
        pytest.param(
            (nowhere(revision="old"), nowhere("api-2", revision="old"), waiting("api-3")),
            ["api-1"],
            id="one of another revision may find a node",
        ),
        pytest.param(
            (nowhere(connections=1), nowhere("api-2", connections=5), running("api-3", 10), other()),
            ["api-1", "api-2"],
            id="as many as it takes",
        ),
        pytest.param(
            (nowhere(connections=1), running("api-2", 15), other()), [], id="none where that would not be enough"
        ),
        pytest.param(
            (nowhere(), nowhere("api-2"), other(spec=None)), [], id="who waits for something else would not start"
        ),
    ],
)
def test_those_make_way_without_whom_another_pod_starts(shown: tuple[Pod, ...], names: list[str]) -> None:
    assert chosen(*shown) == names


def test_deletions_keep_the_cooldown() -> None:
    unscheduled, shown = Unscheduled(COOLDOWN), picture(nowhere(), nowhere("api-2"), other())
    decision, stuck = decide(shown), [nowhere(), nowhere("api-2")]
    assert unscheduled.due(stuck, shown, decision, 100.0)
    assert unscheduled.due(stuck, shown, decision, 159.0) == ()
    assert unscheduled.due(stuck, shown, decision, 160.0)
