"""Update mode Recreate: which templates are labelled, and which are left alone because of what they hold or are."""

import pytest

from poolbudget.api.v1alpha1 import TargetReference, Workload
from poolbudget.ledger.rollouts import Applied
from poolbudget.planning.model import Rollout
from tests.unit.ledger_builders import API, target
from tests.unit.rollout_builders import LARGE, NOTHING, budget, controls, decided, rolls, started


def test_labels_are_not_added_where_their_pod_would_only_wait() -> None:
    assert decided((controls(labels={}, spare=0),), elsewhere=15).restart is None


CONTESTED: dict[str, tuple[Rollout, Applied, str]] = {
    "a label of another budget": (
        rolls(labels={"poolbudget.dev/budget": "billing", "poolbudget.dev/workload": "api"}),
        NOTHING,
        "its template has poolbudget.dev/budget=billing and needs poolbudget.dev/budget=orders",
    ),
    "a label of another namespace": (
        rolls(labels={**rolls().labels, "poolbudget.dev/budget-namespace": "bank"}),
        NOTHING,
        "its template has poolbudget.dev/budget-namespace=bank",
    ),
    "labels that were taken away twice": (
        rolls(labels={}, labelled=2),
        NOTHING,
        "poolbudget.dev/budget and poolbudget.dev/workload were added to its template 2 times and taken away again",
    ),
    "and the count of it, too": (
        rolls(labels={}),
        Applied({}, {"uid-api": 2}, {}),
        "add them where the template is kept",
    ),
    "a template that the API server refused": (
        rolls(labels={}),
        Applied({}, {}, {"uid-api": ("ContestedTemplate", "another tool keeps our fields")}),
        "another tool keeps our fields",
    ),
}


@pytest.mark.parametrize(("rollout", "applied", "told"), CONTESTED.values(), ids=CONTESTED.keys())
def test_a_template_that_is_contested_is_left_alone(rollout: Rollout, applied: Applied, told: str) -> None:
    rollouts = decided((target(rollout=rollout),), LARGE, applied=applied)
    assert rollouts.restart is None
    assert rollouts.notes[API].reason == "ContestedTemplate"
    assert told in rollouts.notes[API].message


@pytest.mark.parametrize(("remembered", "shown", "count"), [(0, 0, 1), (1, 0, 2), (0, 1, 2), (1, 1, 2)])
def test_how_often_labels_were_added_is_counted_by_whoever_knows(remembered: int, shown: int, count: int) -> None:
    rollouts = decided((controls(labels={}, labelled=shown),), applied=Applied({}, {"uid-api": remembered}, {}))
    assert rollouts.restart is not None
    assert rollouts.restart.labelled == count


def test_a_restart_keeps_the_count() -> None:
    rollouts = decided((controls(labelled=1),), LARGE)
    assert rollouts.restart is not None
    assert rollouts.restart.labelled == 1


def test_labels_that_are_there_again_end_the_contest() -> None:
    assert started(decided((controls(labelled=2),), LARGE)) == ("api", "PlanMoved")


def test_a_paused_deployment_is_labelled_and_not_rolled() -> None:
    assert started(decided((controls(labels={}, obstacle="it is paused"),))) == ("api", "Labelled")
    rollouts = decided((controls(obstacle="it is paused"),), LARGE)
    assert rollouts.restart is None
    assert rollouts.notes[API].message == "updateMode Recreate does not roll api: it is paused"


def test_a_kind_that_keeps_its_pods_is_not_rolled() -> None:
    one = Workload(name="api", target_ref=TargetReference(kind="ReplicaSet", name="api"))
    rollouts = decided((target(kind="ReplicaSet"),), LARGE, of=budget(workloads=[one]))
    assert rollouts.restart is None
    assert rollouts.notes[API].message == "updateMode Recreate does not roll a ReplicaSet"
