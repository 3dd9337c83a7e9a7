"""What containers set themselves of the settings that size their pools."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from poolbudget.detection.podspec import PodSpec, parse_pod_spec
from poolbudget.planning.model import ServerPlan, Target, TargetKey, WorkloadPlan
from poolbudget.planning.overrides import NO_OVERRIDES, OverrideError, overrides
from poolbudget.planning.profiles import process_pools
from tests.unit.planning_inputs import NAMESPACE, budget, plan, planned, workload

READ_AND_WRITE = {"pools": [{"name": "read", "weight": 4}, {"name": "write"}]}
TWO_CONTAINERS = {"containers": ["app", "other"]}
FROM_ELSEWHERE = {"valueFrom": {"configMapKeyRef": {"name": "settings", "key": "size"}}}
OURS = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['env.poolbudget.dev/DB_POOL_SIZE']"}}}

Env = dict[str, Any]
"""Variables by name: a literal, or an entry without its name."""


def pod(app: Env, other: Env | None = None) -> PodSpec:
    entries = {"app": app, "other": other or {}}
    containers = [
        {"name": name, "env": [{"name": n, **(v if isinstance(v, dict) else {"value": v})} for n, v in env.items()]}
        for name, env in entries.items()
    ]
    return parse_pod_spec({"spec": {"containers": containers}})


@dataclass(frozen=True)
class Case:
    """What is set by hand, and the pools (size, overflow) that a process is charged and told of at a share."""

    app: Env
    pools: list[tuple[int, int]]
    share: int = 12
    fields: dict[str, Any] = field(default_factory=dict)
    other: Env | None = None
    fixed: bool = True


CASES = {
    "the size alone": Case({"DB_POOL_SIZE": "15"}, [(15, 0)]),
    "the size alone, beside the declared overflow": Case(
        {"DB_POOL_SIZE": "15"}, [(15, 3)], fields={"pool": {"maxOverflow": 3}}
    ),
    "the size alone, and as much overflow as maxPerProcess holds": Case(
        {"DB_POOL_SIZE": "15"}, [(15, 5)], fields={"pool": {"maxOverflow": 100}}
    ),
    "size and overflow": Case({"DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "10"}, [(5, 10)]),
    "the overflow alone: the size is what is left of the share": Case(
        {"DB_MAX_OVERFLOW": "10"}, [(2, 10)], fixed=False
    ),
    "the overflow alone, at the least share that holds it": Case(
        {"DB_MAX_OVERFLOW": "10"}, [(1, 10)], share=11, fixed=False
    ),
    "the largest size of asyncpg's pool": Case({"DB_POOL_MAX_SIZE": "30"}, [(30, 0)]),
    "the larger of SQLAlchemy's and asyncpg's": Case({"DB_POOL_MAX_SIZE": "9", "DB_POOL_SIZE": "10"}, [(10, 0)]),
    "by a name of env.names": Case({"MY_SIZE": "7"}, [(7, 0)], fields={"env": {"names": {"poolSize": "MY_SIZE"}}}),
    "by a name of a profile, for each of its pools": Case(
        {"DATABASE_POOL_SIZE": "7"}, [(7, 0)], fields={"env": {"profile": "open-webui"}}
    ),
    "by a profile with an overflow of its own": Case(
        {"MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "4", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        [(4, 1)],
        fields={"env": {"profile": "mlflow"}},
    ),
    "of one named pool: the other gets the rest": Case(
        {"READ_DB_POOL_SIZE": "3"}, [(3, 0), (9, 0)], fields=READ_AND_WRITE, fixed=False
    ),
    "the overflow of one named pool": Case(
        {"WRITE_DB_MAX_OVERFLOW": "5"}, [(6, 0), (1, 5)], fields=READ_AND_WRITE, fixed=False
    ),
    "of all named pools": Case(
        {"READ_DB_POOL_SIZE": "3", "WRITE_DB_POOL_SIZE": "2"}, [(3, 0), (2, 0)], fields=READ_AND_WRITE
    ),
    "of one of two containers: the other gets as much": Case(
        {}, [(8, 0)], fields=TWO_CONTAINERS, other={"DB_POOL_SIZE": "8"}
    ),
    "of both containers: the larger counts": Case(
        {"DB_POOL_SIZE": "2"}, [(8, 0)], fields=TWO_CONTAINERS, other={"DB_POOL_SIZE": "8"}
    ),
    "of different settings in two containers": Case(
        {"DB_POOL_SIZE": "8"}, [(8, 4)], fields=TWO_CONTAINERS, other={"DB_MAX_OVERFLOW": "4"}
    ),
    "the last of two equal names, by reference": Case({"N": "6", "DB_POOL_SIZE": "$(N)"}, [(6, 0)]),
    "another class that has a bound": Case({"DB_POOL_CLASS": "QueuePool", "DB_POOL_SIZE": "6"}, [(6, 0)]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_of_the_users_own_are_found(case: Case) -> None:
    one = workload(**case.fields)
    own = overrides(one, pod(case.app, case.other))
    assert own.is_fixed is case.fixed
    _, share = own.bounds(2, case.share)
    assert [(p.size, p.overflow) for p in process_pools(one, share, own.pools)] == case.pools


UNTOUCHED: dict[str, tuple[Env, dict[str, Any]]] = {
    "nothing": ({}, {}),
    "other variables": ({"DATABASE_URL": "postgresql://db", "DB_POOL_TIMEOUT": "5", "DB_POOL_RECYCLE": "x"}, {}),
    "a reference to our own annotation": ({"DB_POOL_SIZE": OURS}, {}),
    "a class that has a bound": ({"DB_POOL_CLASS": "QueuePool"}, {}),
    "a name that env.names replaced": ({"DB_POOL_SIZE": "9"}, {"env": {"names": {"poolSize": "MY_SIZE"}}}),
    "a name that named pools carry a prefix before": ({"DB_POOL_SIZE": "9"}, READ_AND_WRITE),
}


@pytest.mark.parametrize(("env", "fields"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_sizes_no_pool_is_no_override(env: Env, fields: dict[str, Any]) -> None:
    assert overrides(workload(**fields), pod(env)) == NO_OVERRIDES


def test_a_container_that_is_no_target_is_not_read() -> None:
    assert overrides(workload(containers=["app"]), pod({}, {"DB_POOL_SIZE": "auto"})) == NO_OVERRIDES


UNUSABLE: dict[str, tuple[Env, dict[str, Any], str]] = {
    "a size of 0": (
        {"DB_POOL_SIZE": "0"},
        {},
        "DB_POOL_SIZE itself to '0', which bounds no pool: write a whole number from 1",
    ),
    "an overflow of -1": ({"DB_MAX_OVERFLOW": "-1"}, {}, "'-1', which bounds no pool: write a whole number from 0"),
    "a largest size of 0": ({"DB_POOL_MAX_SIZE": "0"}, {}, "'0', which bounds no pool: write a whole number from 1"),
    "a word": ({"DB_POOL_SIZE": "auto"}, {}, "'auto', which bounds no pool"),
    "nothing at all": ({"DB_POOL_SIZE": ""}, {}, "'', which bounds no pool"),
    "a number that programs read differently": ({"DB_POOL_SIZE": "010"}, {}, "'010', which bounds no pool"),
    "a number with blanks": ({"DB_POOL_SIZE": " 5"}, {}, "' 5', which bounds no pool"),
    "more than any server has": ({"DB_POOL_SIZE": "1000001"}, {}, "'1000001', which bounds no pool"),
    "a value from elsewhere": (
        {"DB_POOL_SIZE": FROM_ELSEWHERE},
        {},
        "from a source that is not read: write a whole number",
    ),
    "a reference to a value from elsewhere": (
        {"N": FROM_ELSEWHERE, "DB_POOL_SIZE": "$(N)"},
        {},
        "from a source that is not read",
    ),
    "our annotation of another setting": ({"DB_MAX_OVERFLOW": OURS}, {}, "from a source that is not read"),
    "a pool without a bound": (
        {"DB_POOL_CLASS": "NullPool"},
        {},
        "write AsyncAdaptedQueuePool or QueuePool, or remove it there to get a share",
    ),
    "an overflow that the application ignores": (
        {"MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "0"},
        {"env": {"profile": "mlflow"}},
        "write a whole number from 1",
    ),
}


@pytest.mark.parametrize(("env", "fields", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_value_that_bounds_nothing_says_what_to_write(env: Env, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(OverrideError) as error:
        overrides(workload(**fields), pod(env))
    assert str(error.value).startswith("container app sets ")
    assert message in str(error.value)


def plan_of(env: Env, replicas: int = 1, usable: int = 200, **fields: Any) -> tuple[ServerPlan, WorkloadPlan]:
    key = TargetKey("Deployment", NAMESPACE, "api")
    target = Target(key, replicas, replicas, surges=False, template=pod(env))
    declared = {"name": "api", "processes": 2, **fields}
    others = {"name": "other", "processes": 1, "maxPods": 1}
    result = plan(budget(declared, others, maxConnections=usable, reservedConnections=0), (key, target))
    return result, planned(result)


def test_the_plan_of_a_workload_is_what_it_set_itself_and_the_others_divide_the_rest() -> None:
    result, api = plan_of({"DB_POOL_SIZE": "15"}, replicas=2, usable=70, extraPerPod=1)
    assert (api.reason, api.share, api.per_pod, api.planned, api.fits) == ("Overridden", 15, 31, 62, True)
    assert api.message == (
        "each of 2 processes of a pod gets 15 connections, as its variables say; "
        "container app sets DB_POOL_SIZE to 15 itself: remove it there to get a share"
    )
    assert planned(result, "other").per_pod == 4
    assert api.safe_max_replicas == 2


def test_values_above_maxperprocess_and_below_the_floor_are_charged_as_they_are() -> None:
    assert plan_of({"DB_POOL_SIZE": "40"}, maxPerProcess=20)[1].share == 40
    assert plan_of({"DB_POOL_SIZE": "1"}, minPerProcess=5)[1].share == 1


def test_an_overflow_above_maxperprocess_leaves_room_for_a_size_of_one() -> None:
    _, api = plan_of({"DB_MAX_OVERFLOW": "30"})
    assert (api.reason, api.share, [(p.size, p.overflow) for p in api.pools]) == ("Overridden", 31, [(1, 30)])


@pytest.mark.parametrize(
    ("fields", "usable", "reason"),
    [
        pytest.param({}, 50, "DoesNotFit", id="what is usable"),
        pytest.param({"max": 59}, 200, "CeilingBelowFloor", id="the workload's max"),
    ],
)
def test_values_that_do_not_fit_are_named(fields: dict[str, Any], usable: int, reason: str) -> None:
    _, api = plan_of({"DB_POOL_SIZE": "15"}, replicas=2, usable=usable, **fields)
    assert (api.fits, api.reason, api.planned) == (False, reason, 0)
    assert api.message.endswith("container app sets DB_POOL_SIZE to 15 itself: remove it there to get a share")


def test_a_budget_that_does_not_fit_says_once_whose_values_are_set_by_hand() -> None:
    result, _ = plan_of({"DB_POOL_SIZE": "15"}, replicas=2, usable=50)
    (message,) = {w.message for w in result.workloads.values()}
    assert message.startswith("orders would need 64 of 50 connections at the floor, 14 too many: ")
    assert message.endswith("; api: container app sets DB_POOL_SIZE to 15 itself: remove it there to get a share")


def test_a_workload_whose_own_value_bounds_nothing_gets_nothing() -> None:
    _, api = plan_of({"DB_POOL_SIZE": "auto"})
    assert (api.fits, api.reason, api.processes) == (False, "OverrideUnknown", 2)
