"""Which variables a pod gets, and what they say."""

import re
from typing import Any

import pytest

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.planning.model import BudgetKey
from poolbudget.planning.poolers import service_name
from poolbudget.planning.profiles import process_pools
from poolbudget.planning.settings import annotation_key, setting_names, setting_values
from tests.unit.planning_inputs import budget, workload

KEY = BudgetKey("shop", "orders")
DATABASE = {"host": "orders-db", "port": 6543}


def values(
    share: int = 8,
    database: dict[str, Any] | None = None,
    external: dict[str, Any] | None = None,
    mode: WorkloadMode = WorkloadMode.DIRECT,
    **fields: Any,
) -> dict[str, str]:
    one = workload(**fields)
    pooler = {"mode": "External", "external": {"host": "bouncer", "connections": 9, **external}} if external else {}
    spec = budget({"name": "api"}, database=database, pooler=pooler).spec
    found = setting_values(KEY, spec, one, process_pools(one, share, mode=mode), mode)
    assert list(found) == list(setting_names(spec, one))
    return found


DIRECT = {
    "DB_POOL_SIZE": "5",
    "DB_MAX_OVERFLOW": "3",
    "DB_POOL_CLASS": "AsyncAdaptedQueuePool",
    "DB_POOL_MIN_SIZE": "1",
    "DB_POOL_MAX_SIZE": "8",
    "DB_POOL_TIMEOUT": "30",
    "DB_POOL_RECYCLE": "1800",
    "DB_POOL_PRE_PING": "true",
    "DB_STATEMENT_CACHE_SIZE": "100",
    "DB_PREPARED_STATEMENT_CACHE_SIZE": "100",
    "DB_APPLICATION_NAME": "shop/api",
}
"""A share of 8, of which 3 may be overflow."""


def test_the_settings_of_the_default_profile() -> None:
    assert values(pool={"maxOverflow": 3}) == DIRECT


CHANGED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "whole seconds": ({"pool": {"timeoutMilliseconds": 30_000}}, {"DB_POOL_TIMEOUT": "30"}),
    "fractions of a second": ({"pool": {"timeoutMilliseconds": 1_500}}, {"DB_POOL_TIMEOUT": "1.5"}),
    "milliseconds": ({"pool": {"timeoutMilliseconds": 5}}, {"DB_POOL_TIMEOUT": "0.005"}),
    "hundreds of seconds": ({"pool": {"timeoutMilliseconds": 100_000}}, {"DB_POOL_TIMEOUT": "100"}),
    "no pre-ping": ({"pool": {"prePing": False}}, {"DB_POOL_PRE_PING": "false"}),
    "a command timeout, in seconds": (
        {"pool": {"commandTimeoutMilliseconds": 2_500}},
        {"DB_COMMAND_TIMEOUT": "2.5"},
    ),
    "a statement timeout, in milliseconds": (
        {"pool": {"statementTimeoutMilliseconds": 2_500}},
        {"DB_STATEMENT_TIMEOUT": "2500"},
    ),
    "host and port with route Env": (
        {"route": "Env", "database": DATABASE},
        {"DB_HOST": "orders-db", "DB_PORT": "6543"},
    ),
    "another name": ({"env": {"names": {"poolSize": "MY_POOL_SIZE"}}}, {"MY_POOL_SIZE": "8"}),
}


@pytest.mark.parametrize(("fields", "expected"), CHANGED.values(), ids=CHANGED.keys())
def test_a_setting(fields: dict[str, Any], expected: dict[str, str]) -> None:
    assert expected.items() <= values(**fields).items()


ABSENT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "timeouts that are not declared": ({}, ["DB_COMMAND_TIMEOUT", "DB_STATEMENT_TIMEOUT"]),
    "host and port with route None": ({"database": DATABASE}, ["DB_HOST", "DB_PORT"]),
    "host and port without a database": ({"route": "Env"}, ["DB_HOST", "DB_PORT"]),
    "a name that was replaced": ({"env": {"names": {"poolSize": "MY_POOL_SIZE"}}}, ["DB_POOL_SIZE"]),
}


@pytest.mark.parametrize(("fields", "variables"), ABSENT.values(), ids=ABSENT.keys())
def test_a_setting_without_a_value_is_not_referred_to(fields: dict[str, Any], variables: list[str]) -> None:
    assert not set(variables) & set(values(**fields))


def test_named_pools_have_variables_of_their_own_and_share_those_of_the_pod() -> None:
    found = values(share=10, pools=[{"name": "read", "weight": 4}, {"name": "write-back"}])
    assert (found["READ_DB_POOL_SIZE"], found["WRITE_BACK_DB_POOL_SIZE"]) == ("8", "2")
    assert found["READ_DB_POOL_CLASS"] == "AsyncAdaptedQueuePool"
    assert found["DB_APPLICATION_NAME"] == "shop/api"
    assert "DB_POOL_SIZE" not in found


def test_an_application_name_that_postgres_would_cut_keeps_a_hash() -> None:
    long, longer = (values(name="w" * 60 + end)["DB_APPLICATION_NAME"] for end in "ab")
    assert len(long) == len(longer) == 63
    assert long != longer


BEHIND_A_POOLER: dict[str, tuple[WorkloadMode, dict[str, Any], dict[str, str]]] = {
    "Pooled": (
        WorkloadMode.POOLED,
        {"preparedStatements": True},
        {**DIRECT, "DB_POOL_SIZE": "8", "DB_MAX_OVERFLOW": "0", "DB_HOST": "bouncer", "DB_PORT": "6432"},
    ),
    "NullPool": (
        WorkloadMode.NULL_POOL,
        {"port": 6000},
        {
            **DIRECT,
            "DB_POOL_SIZE": "1",
            "DB_MAX_OVERFLOW": "0",
            "DB_POOL_CLASS": "NullPool",
            "DB_POOL_MAX_SIZE": "1",
            "DB_POOL_PRE_PING": "false",
            "DB_HOST": "bouncer",
            "DB_PORT": "6000",
        },
    ),
}


@pytest.mark.parametrize(("mode", "external", "expected"), BEHIND_A_POOLER.values(), ids=BEHIND_A_POOLER.keys())
def test_the_settings_behind_a_pooler(mode: WorkloadMode, external: dict[str, Any], expected: dict[str, str]) -> None:
    assert values(mode=mode, route="Env", database=DATABASE, external=external, pool={"maxOverflow": 3}) == expected


@pytest.mark.parametrize("mode", [WorkloadMode.POOLED, WorkloadMode.NULL_POOL])
def test_no_statement_is_cached_where_the_pooler_forgets_it(mode: WorkloadMode) -> None:
    found = values(mode=mode, external={"preparedStatements": False})
    assert (found["DB_STATEMENT_CACHE_SIZE"], found["DB_PREPARED_STATEMENT_CACHE_SIZE"]) == ("0", "0")


def test_a_direct_pod_keeps_its_caches_whatever_the_pooler_does() -> None:
    found = values(external={"preparedStatements": False}, route="Env", database=DATABASE)
    assert (found["DB_STATEMENT_CACHE_SIZE"], found["DB_HOST"]) == ("100", "orders-db")


def test_each_of_several_pools_is_pooled() -> None:
    pools = [{"name": "read", "weight": 3}, {"name": "write"}]
    pooled = values(mode=WorkloadMode.POOLED, external={"port": 1}, pools=pools, pool={"maxOverflow": 1})
    assert [pooled[f"{pool}_DB_{size}"] for pool in ("READ", "WRITE") for size in ("POOL_SIZE", "MAX_OVERFLOW")] == [
        *("6", "0"),
        *("2", "0"),
    ]
    found = values(mode=WorkloadMode.NULL_POOL, external={"port": 1}, pools=pools)
    assert (found["READ_DB_POOL_SIZE"], found["WRITE_DB_POOL_CLASS"]) == ("1", "NullPool")


def test_there_are_no_settings_for_a_pooler_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="PoolBudget shop/orders has no pooler for workload api of mode Pooled"):
        values(mode=WorkloadMode.POOLED)


SERVICES = {
    "orders": "orders-pooler",
    "orders.eu": "orders-eu-e7951fa7-pooler",
    "2orders": "orders-48361b23-pooler",
    "42": "budget-73475cb4-pooler",
    "b" * 45: f"{'b' * 45}-pooler",
    "b" * 46: f"{'b' * 36}-6afed502-pooler",
}


@pytest.mark.parametrize(("name", "service"), SERVICES.items())
def test_service_name(name: str, service: str) -> None:
    assert service_name(name) == service
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", service)


KEYS = {
    "DB_POOL_SIZE": "env.poolbudget.dev/DB_POOL_SIZE",
    "A" * 63: f"env.poolbudget.dev/{'A' * 63}",
    "A" * 64: f"env.poolbudget.dev/{'A' * 54}-d53eda7a",
    "DB_POOL_SIZE_": "env.poolbudget.dev/DB_POOL_SIZE_-9e63684b",
    "_DB_POOL_SIZE": "env.poolbudget.dev/DB_POOL_SIZE-dddedca7",
}


@pytest.mark.parametrize(("variable", "key"), KEYS.items())
def test_annotation_key(variable: str, key: str) -> None:
    assert annotation_key(variable) == key


@pytest.mark.parametrize("variable", [*KEYS, "_", "__", "_" * 100, "a_", "_a", "A" * 53 + "_" * 20])
def test_every_annotation_key_is_valid(variable: str) -> None:
    name = annotation_key(variable).removeprefix("env.poolbudget.dev/")
    assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", name)
