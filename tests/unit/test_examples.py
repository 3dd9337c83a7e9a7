"""The lines of examples/settings turn a pod's environment into pools of that size; the demo's tools count right."""

import asyncio
import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy.pool import NullPool, QueuePool

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ASYNC_URL = "postgresql+asyncpg://shop:secret@127.0.0.1/orders"
GRANTED = {
    "DB_POOL_SIZE": "3",
    "DB_MAX_OVERFLOW": "1",
    "DB_POOL_TIMEOUT": "2.5",
    "DB_POOL_RECYCLE": "1800",
    "DB_POOL_PRE_PING": "true",
    "DB_POOL_CLASS": "AsyncAdaptedQueuePool",
}
POOLS = {
    "the granted sizes": (GRANTED, (3, 1, 2.5, 1800, True)),
    "SQLAlchemy's defaults without settings": ({}, (5, 10, 30.0, -1, False)),
}


def example(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{Path(path).stem}", EXAMPLES / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def limits(pool: Any) -> tuple[int, int, float, int, bool]:
    assert isinstance(pool, QueuePool)
    return pool.size(), pool._max_overflow, pool._timeout, pool._recycle, pool._pre_ping


@pytest.mark.parametrize(("env", "expected"), POOLS.values(), ids=POOLS.keys())
def test_the_async_engine_has(env: dict[str, str], expected: tuple[object, ...]) -> None:
    engine = example("settings/sqlalchemy_async.py").make_engine(ASYNC_URL, env)
    assert limits(engine.pool) == expected


@pytest.mark.parametrize(("env", "expected"), POOLS.values(), ids=POOLS.keys())
def test_the_engine_of_a_celery_child_has(
    env: dict[str, str], expected: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**env, "DATABASE_URL": f"sqlite:///{tmp_path}/orders.db"}.items():
        monkeypatch.setenv(name, value)
    from celery import signals

    celery_app = example("settings/celery_app.py")
    assert not hasattr(celery_app, "engine"), "the parent must not make an engine that its children would share"
    signals.worker_process_init.send(sender=None)
    assert limits(celery_app.engine.pool) == expected


def test_null_pool_takes_no_sizes() -> None:
    env = {"DB_POOL_CLASS": "NullPool", "DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "0"}
    assert isinstance(example("settings/sqlalchemy_async.py").make_engine(ASYNC_URL, env).pool, NullPool)
    assert isinstance(example("settings/celery_app.py").make_engine("sqlite://", env).pool, NullPool)


@pytest.mark.parametrize(
    ("env", "sizes"),
    [({"DB_POOL_MIN_SIZE": "2", "DB_POOL_MAX_SIZE": "4"}, (2, 4)), ({}, (1, 10))],
    ids=["the granted sizes", "asyncpg's default without settings"],
)
def test_the_asyncpg_pool_has(env: dict[str, str], sizes: tuple[int, int]) -> None:
    async def limits_of_the_pool() -> tuple[int, int]:
        pool = example("settings/asyncpg_pool.py").make_pool("postgresql://shop:secret@127.0.0.1/orders", env)
        return pool._minsize, pool._maxsize

    assert asyncio.run(limits_of_the_pool()) == sizes


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 99, None), ([7.0], 50, 7.0), ([3.0, 1.0, 2.0, 4.0], 50, 2.0), ([float(n) for n in range(1, 201)], 99, 198.0)],
)
def test_percentiles_are_nearest_rank(values: list[float], percent: int, expected: float | None) -> None:
    assert example("fastapi-sqlalchemy/load.py").percentile(values, percent) == expected


def test_the_sampler_keeps_the_peak_of_each_group_and_counts_samples_over_usable() -> None:
    peaks = example("fastapi-sqlalchemy/sampler.py").Peaks(usable=5, role="shop", reserve=2)
    peaks.add([row("shop", "api", "10.0.0.1", 4), row("poolbudget_monitor", "operator", "10.0.0.9", 2)])
    peaks.add([row("shop", "api", "10.0.0.1", 3), row("shop", "api", "10.0.0.2", 3)])
    assert (peaks.samples, peaks.peak, peaks.peak_charged, peaks.over_usable) == (2, 6, 6, 1)
    assert peaks.by["role"] == Counter(shop=6, poolbudget_monitor=2)
    assert peaks.by["application"] == Counter(api=6, operator=2)
    assert peaks.by["address"] == Counter({"10.0.0.1": 4, "10.0.0.2": 3, "10.0.0.9": 2})


@pytest.mark.parametrize(
    ("strangers", "charged", "over"),
    [(2, 4, 0), (3, 5, 0), (4, 6, 1)],
    ids=["within the reserve they are free", "what is beyond it is charged", "and can exceed usable"],
)
def test_the_sampler_holds_sessions_of_other_roles_against_the_reserve_first(
    strangers: int, charged: int, over: int
) -> None:
    peaks = example("fastapi-sqlalchemy/sampler.py").Peaks(usable=5, role="shop", reserve=2)
    peaks.add([row("shop", "api", "10.0.0.1", 4), row("postgres", "psql", "local", strangers)])
    assert (peaks.peak_charged, peaks.over_usable) == (charged, over)


def row(role: str, application: str, address: str, count: int) -> dict[str, object]:
    return {"role": role, "application": application, "address": address, "count": count}
