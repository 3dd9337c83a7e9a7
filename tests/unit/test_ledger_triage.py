"""What happens to a pod at the gate before any room is counted."""

from dataclasses import replace

import pytest

from poolbudget.api.v1alpha1 import AllowedNamespaces, PoolBudgetSpec, UpdateMode, Workload
from poolbudget.detection.podspec import Container, PodSpec, Variable
from poolbudget.ledger.model import Pod, Wait
from poolbudget.ledger.triage import Verdict, triage
from tests.unit.ledger_builders import BUDGET, INJECTED, app, spec, waiting

OFF = UpdateMode.OFF
FOREIGN = replace(waiting(), namespace="elsewhere")
UNRESOLVED = replace(waiting(), unresolved=True)
OUTDATED = replace(waiting(), spec=app(1, *INJECTED, "DB_OLD"))
INCOMPLETE = replace(waiting(), spec=app(1, *INJECTED[1:]))
BESIDE = PodSpec((*app().containers, Container("worker")))
EVERYWHERE = AllowedNamespaces.model_validate({"from": "All"})
SELECTED = AllowedNamespaces.model_validate({"from": "Selector", "selector": {"matchLabels": {"team": "orders"}}})
EVERY_LABEL = AllowedNamespaces.model_validate({"from": "Selector", "selector": {}})
NAMESPACES = {"elsewhere": {"team": "orders"}, "other": {"team": "search"}}
UNKNOWN = replace(waiting(), workload=waiting().workload._replace(workload="web"))


def own_size() -> Container:
    """Return a container that sets the pool's size itself."""
    (container,) = app().containers
    return replace(container, env=(Variable(INJECTED[0], "5"), *container.env[1:]))


@pytest.mark.parametrize(
    ("pod", "budget", "verdict"),
    [
        pytest.param(waiting(), spec(), Verdict.SIZE, id="an ordinary pod is sized"),
        pytest.param(waiting(), spec(update_mode=OFF), Verdict.OPEN, id="Off opens the gate"),
        pytest.param(
            waiting(), spec(workloads=[Workload(name="api", update_mode=OFF)]), Verdict.OPEN, id="Off of its workload"
        ),
        pytest.param(
            waiting(),
            spec(update_mode=OFF, workloads=[Workload(name="api", update_mode=UpdateMode.INITIAL)]),
            Verdict.SIZE,
            id="the workload's mode goes before the budget's",
        ),
        pytest.param(UNKNOWN, spec(), "WorkloadNotFound", id="a workload that the budget does not list"),
        pytest.param(FOREIGN, spec(), "NamespaceNotAllowed", id="a pod of another namespace"),
        pytest.param(FOREIGN, spec(allowed_namespaces=EVERYWHERE), Verdict.SIZE, id="a pod of an allowed namespace"),
        pytest.param(
            FOREIGN, spec(update_mode=OFF), "NamespaceNotAllowed", id="Off opens only to those who are allowed"
        ),
        pytest.param(FOREIGN, spec(allowed_namespaces=SELECTED), Verdict.SIZE, id="a pod of a selected namespace"),
        pytest.param(
            replace(FOREIGN, namespace="other"),
            spec(allowed_namespaces=SELECTED),
            "NamespaceNotAllowed",
            id="a pod of a namespace with other labels",
        ),
        pytest.param(
            replace(FOREIGN, namespace="gone"),
            spec(allowed_namespaces=EVERY_LABEL),
            "NamespaceNotAllowed",
            id="a pod of a namespace that nobody could ask about",
        ),
        pytest.param(UNRESOLVED, spec(), Verdict.RECREATE, id="a pod without settings is born anew"),
        pytest.param(replace(UNRESOLVED, owner="Job"), spec(), "BornUnresolved", id="unless a Job owns it"),
        pytest.param(replace(UNRESOLVED, owner=""), spec(), "BornUnresolved", id="or nobody"),
        pytest.param(OUTDATED, spec(), Verdict.RECREATE, id="a pod with settings of the past is born anew"),
        pytest.param(replace(OUTDATED, owner="Job"), spec(), "SettingsChanged", id="unless a Job owns it, too"),
        pytest.param(INCOMPLETE, spec(), Verdict.RECREATE, id="a pod that lacks a setting is born anew"),
        pytest.param(replace(INCOMPLETE, owner="Job"), spec(), "SettingsChanged", id="unless a Job owns it, as well"),
        pytest.param(
            replace(waiting(), spec=PodSpec((own_size(),))),
            spec(),
            Verdict.SIZE,
            id="a setting of its own is there, too",
        ),
        pytest.param(
            replace(waiting(), spec=BESIDE),
            spec(),
            Verdict.SIZE,
            id="a container beside needs no settings",
        ),
        pytest.param(
            replace(waiting(), spec=BESIDE),
            spec(workloads=[Workload(name="api", containers=["app", "worker"])]),
            Verdict.RECREATE,
            id="one that the budget has come to count does",
        ),
    ],
)
def test_the_verdict(pod: Pod, budget: PoolBudgetSpec, verdict: Verdict | str) -> None:
    found = triage(pod, {BUDGET: budget}, NAMESPACES)
    assert (found.reason if isinstance(found, Wait) else found) == verdict


@pytest.mark.parametrize(
    ("allowed", "remedy"),
    [
        (AllowedNamespaces(), "set allowedNamespaces of the budget to All or Selector"),
        (SELECTED, "give the namespace elsewhere the labels that allowedNamespaces.selector asks for"),
    ],
    ids=["Same", "Selector"],
)
def test_the_message_says_how_a_namespace_is_allowed(allowed: AllowedNamespaces, remedy: str) -> None:
    found = triage(FOREIGN, {BUDGET: spec(allowed_namespaces=allowed)}, {})
    assert isinstance(found, Wait)
    assert found.message == f"shop/orders does not allow pods of elsewhere: {remedy}"


def test_the_message_names_the_workloads_that_there_are() -> None:
    found = triage(UNKNOWN, {BUDGET: spec()}, {})
    assert isinstance(found, Wait)
    assert found.message == "shop/orders has no workload web: api"


def test_the_message_names_the_variable_that_would_be_empty() -> None:
    found = triage(replace(OUTDATED, owner=""), {BUDGET: spec()}, {})
    assert isinstance(found, Wait)
    assert "no longer sets DB_OLD:" in found.message


def test_a_pod_that_maps_a_setting_which_never_was_waits_and_is_not_born_anew_for_ever() -> None:
    typo = Variable("MY_SIZE", None, "env.poolbudget.dev/DB_POOLSIZE")
    found = triage(replace(waiting(), spec=PodSpec((Container("app", env=(typo,)),))), {BUDGET: spec()}, {})
    assert isinstance(found, Wait)
    assert found.reason == "SettingUnknown"
    assert "MY_SIZE refers to env.poolbudget.dev/DB_POOLSIZE: the workload sets" in found.message
