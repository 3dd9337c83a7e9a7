"""Pods that never passed admission: which they are, and what is charged for them."""

from typing import Any

import pytest

from poolbudget.api.v1alpha1 import Env, NamedPool, Workload
from poolbudget.detection.podspec import Container, PodSpec, Variable
from poolbudget.ledger.model import Ledger, Pod
from poolbudget.ledger.unmanaged import charge, ungranted
from tests.unit.ledger_builders import BUDGET, app, ledger, pooled, reservation, running, spec, unmanaged, waiting


@pytest.mark.parametrize(
    ("pod", "charged", "is_unmanaged"),
    [
        pytest.param(running(connections=None), {}, True, id="it runs without a grant"),
        pytest.param(running(connections=0), {}, True, id="a grant of nothing is none"),
        pytest.param(pooled(), {}, False, id="unless it is behind the pooler"),
        pytest.param(running(connections=4), {}, False, id="it was granted"),
        pytest.param(waiting(), {}, False, id="it waits at the gate"),
        pytest.param(running(connections=None, ended=True), {}, False, id="it has ended"),
        pytest.param(running(connections=None, deleting=True), {}, True, id="it is ending"),
        pytest.param(running(connections=None), ledger(reservation()), False, id="the ledger charges it"),
    ],
)
def test_which_labelled_pods_are_unmanaged(pod: Pod, charged: Ledger, is_unmanaged: bool) -> None:
    assert [found.uid for found in ungranted([pod], charged)] == ([pod.uid] if is_unmanaged else [])


@pytest.mark.parametrize(
    ("shown", "connections"),
    [
        pytest.param({"api-1": 7}, 7, id="what it shows"),
        pytest.param({"api-2": 7}, 0, id="nothing where it shows none"),
    ],
)
def test_where_the_database_can_be_read_it_says_what_is_charged(shown: dict[str, int], connections: int) -> None:
    assert [c.connections for c in charge([unmanaged()], shown, {BUDGET: spec()})] == [connections]


def container(processes: int = 1, has_env_from: bool = False, **env: str | None) -> PodSpec:
    variables = tuple(Variable(name, value) for name, value in env.items())
    command = ("uvicorn", "app:app", "--workers", str(processes))
    return PodSpec((Container("app", command=command, env=variables, has_env_from=has_env_from),))


@pytest.mark.parametrize(
    ("workload", "pod", "connections"),
    [
        pytest.param({}, app(1), 15, id="the driver's default"),
        pytest.param({}, app(4), 60, id="in every process"),
        pytest.param({"processes": 2}, app(4), 30, id="as many as declared"),
        pytest.param({}, PodSpec((Container("app"),)), 15, id="one process where they cannot be told"),
        pytest.param({}, None, 15, id="nothing is known of the pod"),
        pytest.param({"extra_per_pod": 3}, app(2), 33, id="and what it opens outside its pools"),
        pytest.param({"pools": [NamedPool(name="read"), NamedPool(name="write")]}, app(2), 60, id="in every pool"),
        pytest.param({}, container(2, DB_POOL_SIZE="4", DB_MAX_OVERFLOW="1"), 10, id="its own size and overflow"),
        pytest.param({}, container(DB_POOL_SIZE="4"), 14, id="its own size, and the default overflow"),
        pytest.param({}, container(DB_MAX_OVERFLOW="0"), 5, id="its own overflow, and the default size"),
        pytest.param({}, container(DB_POOL_MAX_SIZE="8"), 8, id="the maximum of an asyncpg pool"),
        pytest.param({}, container(DB_POOL_SIZE="0", DB_MAX_OVERFLOW="-1"), 15, id="no figure for an unlimited pool"),
        pytest.param({}, container(DB_POOL_SIZE="auto"), 15, id="no figure for a word"),
        pytest.param({}, container(DB_POOL_SIZE=None), 15, id="the default where it comes from elsewhere"),
        pytest.param({}, container(has_env_from=True), 15, id="the default where it may come from elsewhere"),
        pytest.param(
            {"env": Env(names={"poolSize": "POOL", "maxOverflow": "SPILL"})},
            container(POOL="3", SPILL="2", DB_POOL_SIZE="9"),
            5,
            id="under the names that the workload gives",
        ),
    ],
)
def test_where_it_cannot_be_read_the_pods_own_settings_or_the_defaults_count(
    workload: dict[str, Any], pod: PodSpec | None, connections: int
) -> None:
    budget = spec(workloads=[Workload(name="api", **workload)])
    assert [c.connections for c in charge([unmanaged(spec=pod)], None, {BUDGET: budget})] == [connections]


def test_a_pod_of_a_budget_that_is_gone_counts_as_one_process() -> None:
    assert [c.connections for c in charge([unmanaged(spec=app(4))], None, {})] == [15]
