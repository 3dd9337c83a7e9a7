"""What the proxy does to requests beyond holding and cutting them: answers that come late, never, or say `410 Gone`."""

import asyncio
import json
import random
import signal
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from tests.functional.faults.operators import Operator
from tests.functional.faults.proxy import Forward, Hold, Treatment, cut, lose_answer

GONE: dict[str, Any] = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "too old resource version: 1 (2)",
    "reason": "Expired",
    "code": 410,
}


async def untouched(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Pass a request on as it is."""
    return await forward()


def after(hold: Hold, treatment: Treatment) -> Treatment:
    """Hold requests back, and treat them once they are released."""

    async def both(request: web.Request, forward: Forward) -> web.StreamResponse:
        async def then(path: str = "") -> web.StreamResponse:
            return await treatment(request, forward)

        return await hold(request, then)

    return both


class Expired:
    """The first watch of every kind learns, in the given way, that what it asks for is no longer known.

    The lists that are asked for instead are treated by `lists`.
    """

    def __init__(self, way: Treatment, lists: Treatment = untouched) -> None:
        self._way, self._lists = way, lists
        self.told: set[tuple[str, str]] = set()

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        watch = (request.path, request.query.get("labelSelector", ""))
        if "watch" not in request.query:
            return await self._lists(request, forward)
        if watch in self.told:
            return await forward()
        self.told.add(watch)
        return await self._way(request, forward)


async def by_the_status(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Say it as the API server does before the watch has begun."""
    return web.json_response(GONE, status=410)


async def by_the_server(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Let the API server say it itself, in an ERROR event, by asking it for a version of before the kind was there."""
    return await forward(str(request.rel_url.update_query(resourceVersion="1")))


async def by_an_event(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Say it of pods as the API server does in an ERROR event; a young one still knows their whole past."""
    return web.Response(text=json.dumps({"type": "ERROR", "object": GONE}) + "\n", content_type="application/json")


def answered_late(hold: Hold) -> Treatment:
    """Let the API server answer at once, and hold its answers back."""

    async def late(request: web.Request, forward: Forward) -> web.StreamResponse:
        answer = await forward()

        async def then(path: str = "") -> web.StreamResponse:
            return answer

        return await hold(request, then)

    return late


class Late:
    """Requests reach the API server only when the test says so, even if whoever sent them is gone by then."""

    def __init__(self) -> None:
        self._hold = Hold()
        self._under_way: list[asyncio.Task[web.StreamResponse]] = []

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        await request.read()
        self._under_way.append(asyncio.create_task(self._hold(request, forward)))
        return await asyncio.shield(self._under_way[-1])

    async def arrival(self) -> None:
        """Wait for the first of them."""
        await self._hold.arrival()

    async def deliver(self) -> list[int]:
        """Let them reach the API server now; return what it answers."""
        self._hold.release()
        return [answer.status for answer in await asyncio.gather(*self._under_way)]


class Crash:
    """Kills the operator as soon as the API server has carried out a request; it does not see the answer."""

    def __init__(self) -> None:
        self.operator: Operator | None = None
        self._struck: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        await forward()
        assert self.operator is not None
        self.operator.send(signal.SIGKILL)
        self._struck.set_result(f"{request.method} {request.path}")  # this handler ends with the operator's connection
        return cut(request)

    async def before(self, other: Coroutine[Any, Any, None]) -> str | None:
        """Wait for it, or for something else; return the fatal request, None if the other came first."""
        waiting = asyncio.create_task(other)
        await asyncio.wait((self._struck, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not self._struck.done():
            await waiting
            return None
        waiting.cancel()
        return self._struck.result()


class Storm:
    """Every third request is lost, or its answer is, or that comes late; until the test lets it calm down."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.struck = 0
        self.rages = True

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        chance = self._random.random()
        if not self.rages or "watch" in request.query or chance > 1 / 3:
            return await forward()
        self.struck += 1
        if chance < 1 / 9:
            return cut(request)
        if chance < 2 / 9:
            return await lose_answer(request, forward)
        answer = await forward()
        await asyncio.sleep(2 * chance)
        return answer


async def unreachable(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Cut the connection before the API server has heard anything."""
    return cut(request)
