"""The task of one server: its rounds are timed, and one that fails is reported and ends nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from poolbudget import servers
from poolbudget.ledger.codec import LedgerCorruptError
from poolbudget.ledger.model import Ledger
from poolbudget.ledger.namesakes import Start
from poolbudget.metrics import REGISTRY
from poolbudget.planning.model import Budget, BudgetKey
from poolbudget.reconcile import Server
from tests.unit.planning_inputs import budget


class EmptyLedger:
    name = "ledger"
    poolers: dict[BudgetKey, int] = {}

    async def read(self) -> Ledger:
        return {}

    async def remove(self) -> None:
        pass


class CorruptLedger(EmptyLedger):
    async def read(self) -> Ledger:
        raise LedgerCorruptError("line 1")


class Gatherer:
    async def identify(self, budgets: tuple[Budget, ...]) -> None:
        pass


async def nothing() -> None:
    pass


class Status:
    """Takes the budgets that are told of a failure; a further one appears while the first is told."""

    def __init__(self, budgets: dict[BudgetKey, Budget]) -> None:
        self.budgets, self.told = budgets, list[BudgetKey]()

    async def write_failure(self, key: BudgetKey, _generation: int, reason: str, _message: str) -> None:
        assert reason == "LedgerCorrupt"
        self.told.append(key)
        late = budget({"name": "api"}, name="late")
        self.budgets[late.key] = late


async def until(condition: Callable[[], bool], **parts: Any) -> None:
    """Run rounds of a server with these parts until the condition holds; fail with the task if that ends before."""
    server = cast("Server", SimpleNamespace(name="db", gatherer=Gatherer(), in_order=(), **parts))
    rounds = asyncio.create_task(servers.ServerTask(server, lambda _: None, nothing).run())
    try:
        async with asyncio.timeout(30):
            while not condition() and not rounds.done():  # noqa: ASYNC110 - rounds run for ever and tell nobody
                await asyncio.sleep(0.001)
        assert condition()
    finally:
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)


async def test_every_round_is_timed() -> None:
    before = REGISTRY.get_sample_value("poolbudget_round_seconds_count") or 0
    await until(
        lambda: (REGISTRY.get_sample_value("poolbudget_round_seconds_count") or 0) > before,
        budgets={},
        ledger=EmptyLedger(),
    )


async def test_budgets_may_come_while_a_failure_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "RETRY_SECONDS", 0.0)
    pair = [budget({"name": "api"}, name=name) for name in ("a", "b")]
    budgets = {one.key: one for one in pair}
    status = Status(budgets)
    await until(
        lambda: [key.name for key in status.told][:5] == ["a", "b", "a", "b", "late"],
        budgets=budgets,
        ledger=CorruptLedger(),
        status=status,
    )


class Named:
    """A server of a name: when it was asked who it is, it answers as soon as it may."""

    def __init__(self, name: str, instant: str) -> None:
        self.may_answer = asyncio.Event()
        self.name, self.budgets, self.gatherer = name, dict[BudgetKey, Budget](), self
        self._instant = instant
        self.started: Start | None = None

    @property
    def in_order(self) -> tuple[Budget, ...]:
        return tuple(sorted(self.budgets.values(), key=lambda one: one.created))

    async def identify(self, _: tuple[Budget, ...]) -> None:
        await self.may_answer.wait()
        self.started = Start(self._instant, 0.0)


async def test_no_server_is_served_before_all_were_asked_and_only_the_oldest_of_one_postgres(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instants = {"db:5432": "noon", "db-rw:5432": "noon", "db-ro:5432": "later"}
    named = {name: Named(name, instant) for name, instant in instants.items()}
    found = dict[str, str | None]()

    async def note(server: Server, elder: Callable[[Server], str | None]) -> None:
        found[server.name] = elder(server)

    monkeypatch.setattr(servers, "reconcile", note)
    monkeypatch.setattr(servers, "server_key", lambda one: f"{one.spec.database.host}:5432")
    every = servers.Servers(lambda name: cast("Server", named[name]))
    for created, host in enumerate(("db-rw", "db", "db-ro")):
        one = budget({"name": "api"}, name=host, database={"host": host})
        every.set_budget(replace(one, created=str(created)))
    rounds = asyncio.create_task(every.run())
    for name in ("db:5432", "db-ro:5432"):
        named[name].may_answer.set()
    await asyncio.sleep(0.05)
    assert found == {}
    named["db-rw:5432"].may_answer.set()
    async with asyncio.timeout(30):
        while len(found) < len(named):  # noqa: ASYNC110 - rounds run for ever and tell nobody
            await asyncio.sleep(0.001)
    rounds.cancel()
    await asyncio.gather(rounds, return_exceptions=True)
    assert found == {"db:5432": "db-rw:5432", "db-rw:5432": None, "db-ro:5432": None}
