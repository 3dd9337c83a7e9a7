"""How each workload reaches the server: directly or through the pooler, and why."""

from dataclasses import replace
from typing import Any

import pytest

from poolbudget.detection.podspec import parse_pod_spec
from poolbudget.planning.model import BudgetKey, PoolerPlan, ServerPlan, Target, TargetKey
from poolbudget.planning.plan import plan_server
from poolbudget.planning.status import not_yet_supported, planned_status
from tests.unit.planning_inputs import NAMESPACE, budget, plan, planned, target

DATABASE = {"host": "db"}
EXTERNAL = {"mode": "External", "external": {"host": "bouncer", "connections": 30}}
OWN: dict[str, Any] = {"authSecretRef": {"name": "users"}}
ORDERS = BudgetKey(NAMESPACE, "orders")


def routed(name: str = "api", **fields: Any) -> dict[str, Any]:
    return {"name": name, "processes": 1, "route": "Env", **fields}


def kind(of: str) -> dict[str, Any]:
    return {"targetRef": {"kind": of, "name": "api"}}


def pods(replicas: int = 1, name: str = "api", labels: dict[str, str] | None = None, **fields: Any) -> tuple[Any, Any]:
    key, found = target(name, replicas, **fields)
    return key, replace(found, labels=labels or {})


ALWAYS = {**OWN, "mode": "Always"}
ABOVE = {**OWN, "when": {"processesAbove": 4}}

MODES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], tuple[str, str]]] = {
    "Auto is direct while it fits": ({}, OWN, {}, ("Direct", "FitsDirectly")),
    "Auto is direct while it fits, beside an external pooler": ({}, EXTERNAL, {}, ("Direct", "FitsDirectly")),
    "Pooled as declared": ({"mode": "Pooled"}, OWN, {}, ("Pooled", "Declared")),
    "NullPool as declared": ({"mode": "NullPool"}, EXTERNAL, {}, ("NullPool", "Declared")),
    "Direct as declared": ({"mode": "Direct"}, ALWAYS, {}, ("Direct", "FitsDirectly")),
    "all that can be, where it is always": ({}, ALWAYS, {}, ("Pooled", "PoolerAlways")),
    "not what cannot be": ({"route": "None"}, ALWAYS, {}, ("Direct", "Unroutable")),
    "a Job has no pool": (kind("Job"), OWN, {"kind": "Job"}, ("NullPool", "Serverless")),
    "a CronJob has no pool": (kind("CronJob"), EXTERNAL, {"kind": "CronJob"}, ("NullPool", "Serverless")),
    "a ScaledJob has no pool": (kind("ScaledJob"), OWN, {"kind": "ScaledJob"}, ("NullPool", "Serverless")),
    "a Knative Service has no pool": (kind("Service"), ALWAYS, {"kind": "Service"}, ("NullPool", "Serverless")),
    "a Deployment of Knative has no pool": (
        {},
        OWN,
        {"labels": {"serving.knative.dev/service": "api"}},
        ("NullPool", "Serverless"),
    ),
    "a Job that is declared Pooled has one": (
        {**kind("Job"), "mode": "Pooled"},
        OWN,
        {"kind": "Job"},
        ("Pooled", "Declared"),
    ),
    "a Job without a pooler": (kind("Job"), {"mode": "Never"}, {"kind": "Job"}, ("Direct", "FitsDirectly")),
    "a Job that cannot be moved": (
        {**kind("Job"), "route": "None"},
        OWN,
        {"kind": "Job"},
        ("Direct", "Unroutable"),
    ),
    "more processes than the trigger": ({"processes": 5}, ABOVE, {}, ("Pooled", "ProcessesAbove")),
    "as many processes as the trigger": ({"processes": 4}, ABOVE, {}, ("Direct", "FitsDirectly")),
    "more processes, but it cannot be moved": (
        {"processes": 5, "route": "None"},
        ABOVE,
        {},
        ("Direct", "Unroutable"),
    ),
    "Auto without credentials is as Never": (
        {"processes": 5},
        {"when": {"processesAbove": 4}},
        {},
        ("Direct", "FitsDirectly"),
    ),
}


@pytest.mark.parametrize(("fields", "pooler", "pod", "expected"), MODES.values(), ids=MODES.keys())
def test_mode(fields: dict[str, Any], pooler: dict[str, Any], pod: dict[str, Any], expected: tuple[str, str]) -> None:
    result = planned(plan(budget(routed(**fields), database=DATABASE, pooler=pooler), pods(**pod)))
    assert (result.mode, result.reason) == expected
    assert result.fits


def test_a_deployment_of_knative_is_named_as_what_it_is_of() -> None:
    one = budget(routed(), database=DATABASE, pooler=OWN)
    result = planned(plan(one, pods(labels={"serving.knative.dev/service": "api"})))
    assert result.message.endswith("; the pods of a Knative Service come and go")


def test_what_a_workload_behind_a_pooler_gets() -> None:
    one = budget(
        routed(mode="Pooled", processes=4, extraPerPod=1, pool={"maxOverflow": 3}), database=DATABASE, pooler=EXTERNAL
    )
    result = plan(one, pods(5, surges=True))
    api = planned(result)
    assert (api.share, api.per_pod, api.planned, api.clients_per_pod) == (20, 0, 0, 81)
    assert [(pool.size, pool.overflow) for pool in api.pools] == [(20, 0)]
    assert api.bound(4, 20) == 0
    assert api.message == (
        "each of 4 processes of a pod has a pool of 20 connections to the pooler, limited by maxPerProcess; "
        "as mode Pooled says"
    )
    assert result.poolers == {
        ORDERS: PoolerPlan(
            "bouncer", 6432, connections=30, clients=6 * 81, replicas=0, prepared_statements=True, external=True
        )
    }
    assert (result.planned, result.needed) == (30, 30)


def test_what_a_workload_without_a_pool_gets() -> None:
    one = budget(
        routed(mode="NullPool", demand={"concurrency": 5, "headroomPercent": 0}), database=DATABASE, pooler=EXTERNAL
    )
    api = planned(plan(one, pods()))
    assert (api.share, api.per_pod, api.clients_per_pod) == (5, 0, 5)
    assert [(pool.size, pool.overflow) for pool in api.pools] == [(1, 0)]
    assert "its process of a pod has no pool and at most 5 connections to the pooler, limited by demand" in api.message


OPTIONS = {"name": "PGOPTIONS", "value": "-c jit=off -c work_mem=64MB"}
TIMEOUT = {"pool": {"statementTimeoutMilliseconds": 5_000}}
REFUSED: dict[str, tuple[dict[str, Any], list[dict[str, str]], str]] = {
    "nothing": ({}, [], "; as mode Pooled says"),
    "a timeout of the spec": (
        TIMEOUT,
        [],
        "; behind a pooler set statement_timeout with ALTER ROLE ... SET, not when ",
    ),
    "of a container": (
        {},
        [OPTIONS],
        "set jit and work_mem with ALTER ROLE ... SET, not in PGOPTIONS of container app",
    ),
}


@pytest.mark.parametrize(("fields", "env", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_settings_that_a_pooler_refuses_belong_to_the_role(
    fields: dict[str, Any], env: list[dict[str, str]], said: str
) -> None:
    key, deployment = pods()
    template = parse_pod_spec({"spec": {"containers": [{"name": "app", "env": env}]}})
    one = (key, replace(deployment, template=template))
    message = planned(plan(budget(routed(mode="Pooled", **fields), database=DATABASE, pooler=EXTERNAL), one)).message
    assert said in message
    assert ("ALTER ROLE" in message) is bool(fields or env)
    assert "ALTER ROLE" not in planned(plan(budget(routed(**fields), database=DATABASE), one)).message


SET_ITSELF = {"name": "app", "env": [{"name": "DB_HOST", "value": "db"}]}
UNROUTABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no route": ({"route": "None"}, {"name": "app"}, "set `route: Env` of the workload and let the application take"),
    "the container sets the host": ({}, SET_ITSELF, "container app sets DB_HOST itself: remove it there"),
    "the container sets a host of another name": (
        {"env": {"names": {"host": "PGHOST"}}},
        {"name": "app", "env": [{"name": "PGHOST", "valueFrom": {"configMapKeyRef": {"name": "db", "key": "host"}}}]},
        "container app sets PGHOST itself",
    ),
}


@pytest.mark.parametrize(("fields", "container", "message"), UNROUTABLE.values(), ids=UNROUTABLE.keys())
def test_what_is_declared_behind_a_pooler_and_cannot_get_there_waits(
    fields: dict[str, Any], container: dict[str, Any], message: str
) -> None:
    key = TargetKey("Deployment", NAMESPACE, "api")
    of = Target(key, 1, 1, surges=False, template=parse_pod_spec({"spec": {"containers": [container]}}))
    result = planned(plan(budget(routed(mode="Pooled", **fields), database=DATABASE, pooler=OWN), (key, of)))
    assert (result.reason, result.fits, result.mode, result.bound(1, 20)) == ("Unroutable", False, "Pooled", 0)
    assert message in result.message


def test_a_container_that_sets_another_host_than_the_pools_is_moved() -> None:
    container = {"name": "app", "env": [{"name": "DB_HOST", "value": "db"}]}
    key = TargetKey("Deployment", NAMESPACE, "api")
    of = Target(key, 1, 1, surges=False, template=parse_pod_spec({"spec": {"containers": [container]}}))
    names = {"host": "PGHOST", "port": "PGPORT"}
    result = plan(budget(routed(mode="Pooled", env={"names": names}), database=DATABASE, pooler=OWN), (key, of))
    assert planned(result).fits


def workers(**processes: int) -> list[dict[str, Any]]:
    return [routed(name, processes=count, minPerProcess=1) for name, count in processes.items()]


def of(result: ServerPlan, name: str = "orders") -> dict[str, str]:
    return {key.workload: plan.mode for key, plan in result.workloads.items() if key.budget == name}


MOVES: dict[str, tuple[dict[str, int], int, set[str]]] = {
    "nothing while all fit beside what the pooler has": ({"a": 100, "b": 60}, 30, set()),
    "the largest": ({"a": 100, "b": 60, "c": 1}, 30, {"a"}),
    "of equals the first by name": ({"b": 80, "a": 80, "c": 1}, 30, {"a"}),
    "one after another, until the rest fits": ({"a": 90, "b": 80, "c": 100}, 100, {"c", "a"}),
    "everything, if it must": ({"a": 90, "b": 80, "c": 100}, 190, {"a", "b", "c"}),
}


@pytest.mark.parametrize(("processes", "external", "moved"), MOVES.values(), ids=MOVES.keys())
def test_the_largest_are_moved_until_the_floors_fit(processes: dict[str, int], external: int, moved: set[str]) -> None:
    pooler = {"mode": "External", "external": {"host": "bouncer", "connections": external}}
    result = plan(budget(*workers(**processes), database=DATABASE, pooler=pooler), *(target(n) for n in processes))
    assert {name for name, mode in of(result).items() if mode == "Pooled"} == moved
    assert result.fits
    assert result.planned <= result.usable == 190
    for name in moved:
        assert planned(result, name).reason == "DirectDoesNotFit"


def test_what_is_moved_says_what_would_not_fit() -> None:
    api = planned(plan(budget(*workers(api=200), database=DATABASE, pooler=EXTERNAL), target("api")))
    assert api.message.endswith("; direct pools would need 200 of 160 connections at the floor")


def test_what_cannot_be_moved_stays_and_the_next_largest_is_moved() -> None:
    fixed, rest = routed("fixed", route="None", processes=90, minPerProcess=1), workers(a=70, b=20)
    result = plan(budget(fixed, *rest, database=DATABASE, pooler=EXTERNAL), *(target(n) for n in ("fixed", "a", "b")))
    assert of(result) == {"fixed": "Direct", "a": "Pooled", "b": "Direct"}


def own(*workloads: dict[str, Any], **pooler: Any) -> ServerPlan:
    one = budget(*workloads, database=DATABASE, pooler={**OWN, **pooler})
    return plan(one, *(target(fields["name"]) for fields in workloads))


POOLERS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], tuple[int, int, int]]] = {
    "a connection for each replica is set aside": (workers(api=2), {}, (2, 2, 0)),
    "as many as declared": (workers(api=2), {"minConnections": 20}, (20, 2, 0)),
    "as many as declared, the same for each replica": (
        workers(api=2),
        {"minConnections": 20, "replicas": 3},
        (21, 3, 0),
    ),
    "never more than declared": (
        workers(api=2),
        {"minConnections": 20, "maxConnections": 20, "replicas": 3},
        (18, 3, 0),
    ),
    "what everything behind it can use": (workers(api=2), {"mode": "Always"}, (40, 2, 40)),
    "what is left, the same for each replica": (workers(api=200), {"replicas": 3}, (189, 3, 4_000)),
    "its most": (workers(api=200), {"maxConnections": 51}, (50, 2, 4_000)),
}


@pytest.mark.parametrize(("workloads", "pooler", "expected"), POOLERS.values(), ids=POOLERS.keys())
def test_the_connections_of_an_own_pooler(
    workloads: list[dict[str, Any]], pooler: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    found = own(*workloads, **pooler).poolers[ORDERS]
    assert (found.connections, found.replicas, found.clients) == expected
    assert (found.host, found.port, found.external) == ("orders-pooler.shop.svc", 6432, False)


def test_a_pooler_is_divided_with_like_the_direct_pools_of_what_is_behind_it() -> None:
    """36 processes behind it and 9 beside it: it gets four times as much as these."""
    result = own(*workers(moved=36, direct=9), when={"processesAbove": 35})
    assert planned(result, "direct").planned == 9 * 4
    assert result.poolers[ORDERS].connections == 190 - 9 * 4


def test_no_pooler_is_set_aside_for_what_cannot_be_moved() -> None:
    result = own(routed("api", route="None"), routed("other", mode="Direct"))
    assert (result.poolers, result.needed) == ({}, 4)


def test_direct_pools_grow_only_beside_what_is_set_aside() -> None:
    result = own(*workers(api=19), minConnections=100)
    assert (planned(result).planned, result.planned) == (4 * 19, 176)


PERCENT: dict[str, tuple[int, dict[str, str]]] = {
    "nothing below it": (100, {"a": "Direct", "b": "Direct", "c": "Direct"}),
    "the largest first": (60, {"a": "Direct", "b": "Direct", "c": "Pooled"}),
    "until below": (20, {"a": "Pooled", "b": "Direct", "c": "Pooled"}),
    "all": (0, {"a": "Pooled", "b": "Pooled", "c": "Pooled"}),
}


@pytest.mark.parametrize(("percent", "modes"), PERCENT.values(), ids=PERCENT.keys())
def test_what_direct_pools_are_planned_with_moves_the_largest(percent: int, modes: dict[str, str]) -> None:
    most = {"maxPerProcess": 10}
    declared = [fields | most for fields in workers(a=3, b=2, c=10)]
    when = {"when": {"plannedAbovePercent": percent}}
    result = plan(budget(*declared, database=DATABASE, pooler=EXTERNAL | when), *(target(n) for n in "abc"))
    assert of(result) == modes
    direct = sum(w.planned for w in result.workloads.values())
    assert direct * 100 <= percent * result.usable
    assert {w.reason for w in result.workloads.values() if w.mode == "Pooled"} <= {"PlannedAbovePercent"}


def test_a_trigger_counts_the_pools_of_its_own_budget() -> None:
    small = budget(
        *workers(a=1), name="small", database=DATABASE, pooler=EXTERNAL | {"when": {"plannedAbovePercent": 20}}
    )
    large = budget({"name": "b", "processes": 8}, name="large", created="2", database=DATABASE)
    result = plan_server([small, large], dict([target("a"), target("b")]), None)
    assert of(result, "small") == {"a": "Direct"}


def messages(workloads: list[dict[str, Any]], pooler: dict[str, Any], **spec: Any) -> str:
    one = budget(*workloads, **{"database": DATABASE, "pooler": pooler, **spec})
    result = plan(one, *(target(fields["name"]) for fields in workloads))
    (message,) = {w.message for w in result.workloads.values()}
    assert not result.fits
    assert result.poolers == {}
    return message


@pytest.mark.parametrize(
    ("workloads", "pooler", "message"),
    [
        pytest.param(
            [{"name": "a", "processes": 100}],
            EXTERNAL,
            "orders would need 230 of 190 connections at the floor, 40 too many: lower replicas, processes or "
            "minPerProcess, or raise maxConnections; or set `route: Env` of a, to be moved behind the pooler",
            id="a route",
        ),
        pytest.param(
            [{"name": "a", "processes": 100}],
            OWN,
            "or set `route: Env` of a, to be moved behind the pooler",
            id="a route, where nothing is behind the pooler yet",
        ),
        pytest.param(
            [routed("a", processes=100)],
            {},
            "a would be moved behind a pooler: set pooler.authSecretRef",
            id="credentials",
        ),
        pytest.param(
            [routed("a", processes=60), {"name": "b", "processes": 90}, {"name": "c", "processes": 5}],
            OWN,
            "would need 192 of 190 connections at the floor with a behind the pooler, 2 too many: lower replicas, "
            "processes or minPerProcess, or raise maxConnections; or set `route: Env` of b, c, to be moved",
            id="a route for more",
        ),
    ],
)
def test_what_does_not_fit_says_what_would_be_moved_with(
    workloads: list[dict[str, Any]], pooler: dict[str, Any], message: str
) -> None:
    assert message in messages(workloads, pooler)


@pytest.mark.parametrize(
    ("workloads", "pooler"),
    [
        pytest.param([{"name": "a", "processes": 100}], {"mode": "Never"}, id="without a pooler"),
        pytest.param([{"name": "a", "processes": 100}], {}, id="with neither route nor credentials"),
        pytest.param(
            [{"name": "a", "processes": 100, "mode": "Direct"}, {"name": "b", "processes": 1}],
            OWN,
            id="where the rest would not fit either",
        ),
    ],
)
def test_no_move_is_promised_that_would_not_help(workloads: list[dict[str, Any]], pooler: dict[str, Any]) -> None:
    message = messages(workloads, pooler)
    assert "pooler" not in message


def test_credentials_without_a_server_to_go_back_to_are_not_enough() -> None:
    assert "set `database` and pooler.authSecretRef" in messages([routed("a", processes=100)], {}, database=None)


def test_a_younger_budget_that_does_not_fit_moves_nothing_of_the_older() -> None:
    old = budget(*workers(a=100), name="old", created="1", database=DATABASE, pooler=EXTERNAL)
    for maximum in (200, 50):
        young = budget(
            {"name": "b", "processes": 90}, name="young", created="2", maxConnections=maximum, database=DATABASE
        )
        result = plan_server([young, old], dict([target("a"), target("b")]), None)
        assert of(result, "old") == {"a": "Direct"}
        assert result.conflicts | {young.key} == {young.key}
        assert not planned(result, "b", "young").fits
        assert result.poolers.keys() == {old.key}


def test_a_younger_budget_that_fits_with_what_is_moved_moves_it() -> None:
    old = budget(*workers(a=100), name="old", created="1", database=DATABASE, pooler=EXTERNAL)
    young = budget({"name": "b", "processes": 75}, name="young", created="2", database=DATABASE)
    result = plan_server([young, old], dict([target("a"), target("b")]), None)
    assert (of(result, "old"), of(result, "young")) == ({"a": "Pooled"}, {"b": "Direct"})
    assert result.fits


SAFE: dict[str, tuple[dict[str, Any], int | None]] = {
    "the server sets no bound behind a pooler": ({}, None),
    "max does": ({"max": 90}, 45),
}


@pytest.mark.parametrize(("fields", "safe"), SAFE.values(), ids=SAFE.keys())
def test_safe_max_replicas_behind_a_pooler(fields: dict[str, Any], safe: int | None) -> None:
    assert planned(own(routed("api", mode="Pooled", **fields))).safe_max_replicas == safe


def test_safe_max_replicas_beside_a_pooler_are_those_that_stay_direct() -> None:
    result = own(*workers(api=1, moved=170, other=20))
    assert of(result) == {"api": "Direct", "moved": "Pooled", "other": "Direct"}
    assert planned(result).safe_max_replicas == 190 - 2 - 20


def test_the_status_shows_the_pooler_and_its_clients() -> None:
    one = budget(routed(mode="Pooled", processes=2), database=DATABASE, pooler=EXTERNAL)
    status = planned_status(one, plan(one, pods(3)))
    shown = status.model_dump(by_alias=True, exclude_none=True)
    assert shown["pooler"] == {"host": "bouncer", "port": 6432, "connections": 30, "clients": 120}
    assert shown["workloads"][0]["connections"] == {
        "perPod": 0,
        "clientsPerPod": 40,
        "planned": 0,
        "committed": 0,
        "inUse": 0,
    }
    assert (shown["capacity"]["planned"], shown["workloads"][0]["mode"]) == (30, "Pooled")
    assert not_yet_supported(one) == []
