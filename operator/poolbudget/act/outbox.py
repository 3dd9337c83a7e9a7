"""Requests that follow from decisions, sent while the next round already decides.

`act.pods` puts grants in, `act.notices` what explains them; `main` runs one `Outbox` for the whole process. A round
waits only until there is a place for its grants, and not for long; the ledger has been written by then.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

log = logging.getLogger(__name__)

IN_FLIGHT = 16
COURTESIES_IN_FLIGHT = 4
CALM_SECONDS = 5.0
"""The longest that one courtesy waits for the grants to be sent: a stream of them that never ends must not hide it."""

Request = Callable[[], Awaitable[None]]


class Outbox:
    """Two lanes: grants as soon as possible, courtesies when no grant is under way. Requests handle their failures."""

    def __init__(self) -> None:
        self._grants: asyncio.Queue[Request] = asyncio.Queue()
        self._courtesies: asyncio.Queue[Request] = asyncio.Queue()

    def grant(self, request: Request) -> None:
        """Send this as soon as a place is free."""
        self._grants.put_nowait(request)

    def courtesy(self, request: Request) -> None:
        """Send this when pods need not wait for it."""
        self._courtesies.put_nowait(request)

    async def taken_up(self, at_most: float) -> None:
        """Return once there was a place for every grant so far, or after so many seconds."""
        reached = asyncio.Event()

        async def reach() -> None:
            reached.set()

        self.grant(reach)
        with suppress(TimeoutError):
            await asyncio.wait_for(reached.wait(), at_most)

    async def run(self) -> None:
        """Send for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(self._send_grants())
            for _ in range(COURTESIES_IN_FLIGHT):
                group.create_task(self._send_courtesies())

    async def _send_grants(self) -> None:
        while True:
            await _send(await self._grants.get())
            self._grants.task_done()

    async def _send_courtesies(self) -> None:
        while True:
            request = await self._courtesies.get()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._grants.join(), CALM_SECONDS)
            await _send(request)


async def _send(request: Request) -> None:
    try:
        await request()
    except Exception:  # one request's trouble must not end the others; the next round decides it anew
        log.exception("a request failed")
