"""Grants leave at once, courtesies only when none is under way, and one failure stops nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from poolbudget.act.outbox import IN_FLIGHT, Outbox


@asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(4):  # shorter than the longest wait of a courtesy
        while not condition():  # noqa: ASYNC110 - the order of events is what is tested
            await asyncio.sleep(0)


async def test_a_courtesy_waits_until_all_grants_are_answered() -> None:
    sent: list[str] = []
    answer = asyncio.Event()

    async def grant() -> None:
        await answer.wait()
        sent.append("grant")

    async def courtesy() -> None:
        sent.append("courtesy")

    outbox = Outbox()
    outbox.courtesy(courtesy)
    for _ in range(IN_FLIGHT + 1):
        outbox.grant(grant)
    async with running(outbox):
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent == []
        answer.set()
        await until(lambda: "courtesy" in sent)
    assert sent == ["grant"] * (IN_FLIGHT + 1) + ["courtesy"]


async def test_no_more_grants_are_under_way_than_the_limit() -> None:
    under_way, most, done = 0, 0, 0

    async def grant() -> None:
        nonlocal under_way, most, done
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done += 1

    outbox = Outbox()
    for _ in range(5 * IN_FLIGHT):
        outbox.grant(grant)
    async with running(outbox):
        await until(lambda: done == 5 * IN_FLIGHT)
    assert most == IN_FLIGHT


async def test_whoever_asks_learns_when_every_grant_so_far_has_found_a_place() -> None:
    answers = asyncio.Semaphore(0)

    async def grant() -> None:
        await answers.acquire()

    outbox = Outbox()
    for _ in range(IN_FLIGHT):
        outbox.grant(grant)
    async with running(outbox):
        asking = asyncio.create_task(outbox.taken_up(at_most=60))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not asking.done()
        answers.release()
        await asking
        assert answers.locked()  # the others are under way
        await outbox.taken_up(at_most=0)  # and nobody waits longer than he wants to
        for _ in range(2 * IN_FLIGHT):
            answers.release()


async def test_a_request_that_fails_stops_no_other() -> None:
    sent: list[int] = []

    async def request(number: int) -> None:
        if number % 2:
            raise RuntimeError(number)
        sent.append(number)

    outbox = Outbox()
    for number in range(4 * IN_FLIGHT):
        outbox.grant(partial(request, number))
    async with running(outbox):
        await until(lambda: len(sent) == 2 * IN_FLIGHT)
