"""How each workload reaches the server: directly or through the pooler, why, and what it gets there."""

from dataclasses import replace
from typing import Any

import pytest

from poolbudget.detection.podspec import parse_pod_spec
from poolbudget.planning.model import PoolerPlan, Target, TargetKey
from poolbudget.planning.status import not_yet_supported, planned_status, workloads_fit
from tests.unit.planning_inputs import NAMESPACE, budget, plan, planned, target
from tests.unit.pooler_inputs import DATABASE, EXTERNAL, ORDERS, OWN, modes_of, plan_with_own_pooler, routed, workers


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
    "nothing": ({}, [], ""),
    "a timeout of the spec": (
        TIMEOUT,
        [],
        "behind a pooler set statement_timeout with ALTER ROLE ... SET, not when connecting",
    ),
    "of a container": (
        {},
        [OPTIONS],
        "behind a pooler set jit and work_mem with ALTER ROLE ... SET, not in PGOPTIONS of container app",
    ),
}


@pytest.mark.parametrize(("fields", "env", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_settings_that_a_pooler_refuses_belong_to_the_role(
    fields: dict[str, Any], env: list[dict[str, str]], said: str
) -> None:
    key, deployment = pods()
    template = parse_pod_spec({"spec": {"containers": [{"name": "app", "env": env}]}})
    one = (key, replace(deployment, template=template))
    pooled = budget(routed(mode="Pooled", **fields), database=DATABASE, pooler=EXTERNAL)
    found = plan(pooled, one)
    assert planned(found).advice == said
    assert planned_status(pooled, found).workloads[0].message.endswith(f"; {said}" if said else "as mode Pooled says")
    floor = "every process gets at least its floor"
    assert workloads_fit(pooled, found) == (True, "WorkloadsFit", f"{floor}; api: {said}" if said else floor)
    assert not planned(plan(budget(routed(**fields), database=DATABASE), one)).advice


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


SAFE: dict[str, tuple[dict[str, Any], int | None]] = {
    "the server sets no bound behind a pooler": ({}, None),
    "max does": ({"max": 90}, 45),
}


@pytest.mark.parametrize(("fields", "safe"), SAFE.values(), ids=SAFE.keys())
def test_safe_max_replicas_behind_a_pooler(fields: dict[str, Any], safe: int | None) -> None:
    assert planned(plan_with_own_pooler(routed("api", mode="Pooled", **fields))).safe_max_replicas == safe


def test_safe_max_replicas_beside_a_pooler_are_those_that_stay_direct() -> None:
    result = plan_with_own_pooler(*workers(api=1, moved=170, other=20))
    assert modes_of(result) == {"api": "Direct", "moved": "Pooled", "other": "Direct"}
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


SESSION: dict[str, tuple[dict[str, Any], int, str]] = {
    "all clients have one": ({**OWN, "poolMode": "session"}, 20, ""),
    "one has none": ({**OWN, "poolMode": "session", "maxConnections": 20}, 21, "has 20 for 21, so that 1 may have to"),
    "the pooler's bound is in the way": ({**OWN, "poolMode": "session", "maxConnections": 8}, 20, "pooler.maxConn"),
    "the server has no more": ({**OWN, "poolMode": "session"}, 400, "has 190 for 400, so that 210 may have to wait"),
    "an external one": ({**EXTERNAL, "poolMode": "session"}, 40, "has 30 for 40, so that 10 may have to wait: lower"),
    "in transaction mode they take turns": ({**OWN, "maxConnections": 8}, 400, ""),
}


@pytest.mark.parametrize(("pooler", "clients", "said"), SESSION.values(), ids=SESSION.keys())
def test_in_session_mode_each_client_needs_a_connection(pooler: dict[str, Any], clients: int, said: str) -> None:
    one = budget(routed(mode="Pooled", maxPerProcess=clients), database=DATABASE, pooler=pooler)
    (api,) = planned_status(one, plan(one, pods())).workloads
    assert said in api.message
    assert ("session mode" in api.message) is bool(said)
