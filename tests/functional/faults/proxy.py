"""A reverse proxy between one operator and the API server that does to chosen requests what a network may do.

It speaks plain HTTP to the operator, whose bearer token it passes on, and streams watches through. What a test lays
down as a `Fault` applies to the requests that it matches, the latest first; all else goes through untouched.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
from aiohttp import web
from yarl import URL


class Forward(Protocol):
    """Passes a request on; with `path` for another path and query than it names."""

    def __call__(self, path: str = "") -> Awaitable[web.StreamResponse]:
        """Return the API server's answer."""
        ...


Treatment = Callable[[web.Request, Forward], Awaitable[web.StreamResponse]]

HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
PATIENCE = 30.0
NO_LIMIT = aiohttp.ClientTimeout(total=None)


@dataclass(frozen=True, slots=True)
class Request:
    """What an operator asked for, and the status of the API server's answer."""

    method: str
    path: str
    status: int


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests of these methods whose path contains `part`; 0 when all have come."""

    methods: str
    part: str
    treatment: Treatment
    times: float = float("inf")

    def takes(self, request: web.Request) -> bool:
        """Whether this request is one of them; counts it."""
        takes = self.times > 0 and request.method in self.methods.split("|") and self.part in request.path
        self.times -= takes
        return takes


class Hold:
    """Holds requests back until the test lets them through, or drops them."""

    def __init__(self) -> None:
        self._arrived = asyncio.Event()
        self._decided: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        self._arrived.set()
        return await forward() if await asyncio.shield(self._decided) else cut(request)

    async def arrival(self) -> None:
        """Wait for the first of them."""
        async with asyncio.timeout(PATIENCE):
            await self._arrived.wait()

    def release(self) -> None:
        """Let them through, and those still to come."""
        self._decided.set_result(True)

    def drop(self) -> None:
        """Let none of them reach the API server, neither now nor later."""
        self._decided.set_result(False)


async def lose_answer(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Let the API server act, and cut the connection before its answer."""
    await forward()
    return cut(request)


def cut(request: web.Request) -> web.Response:
    """End the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


class PrivateLease:
    """Answers for the API server that the Lease is this operator's, so that it believes to lead whoever else does."""

    def __init__(self) -> None:
        self._lease: dict[str, Any] | None = None

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        if request.method != "GET":
            self._lease = await request.json()
        if self._lease is None:
            return web.json_response({"reason": "NotFound", "message": "no lease"}, status=404)
        return web.json_response(self._lease)


@dataclass(slots=True)
class Proxy:
    """What a test does to the requests of one operator, and sees of them. `url` is for the operator's kubeconfig."""

    upstream: URL
    session: aiohttp.ClientSession
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _watches: list[web.Request] = field(default_factory=list)

    def lay(self, methods: str, part: str, treatment: Treatment, times: float = float("inf")) -> Fault:
        """Treat the next `times` requests of these methods (`POST|PUT`) whose path contains `part` like this."""
        self._faults.insert(0, Fault(methods, part, treatment, times))
        return self._faults[0]

    def cut_watches(self) -> int:
        """End all watches in the middle; return how many there were."""
        for watch in self._watches:
            cut(watch)
        return len(self._watches)

    async def until(self, method: str, part: str, times: int = 1) -> None:
        """Wait for the next such requests."""
        arrived = asyncio.Semaphore(0)

        async def note(_: web.Request, forward: Forward) -> web.StreamResponse:
            arrived.release()
            return await forward()

        self.lay(method, part, note, times=times)
        async with asyncio.timeout(PATIENCE):
            for _ in range(times):
                await arrived.acquire()

    def count(self, methods: str, part: str, status: int | None = None) -> int:
        """How many such requests the API server has answered, with this status if one is given."""
        fitting = (r for r in self.requests if r.method in methods.split("|") and part in r.path)
        return sum(status in {None, r.status} for r in fitting)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the operator."""

        async def forward(path: str = "") -> web.StreamResponse:
            answer = self._stream if "watch" in request.query else self._ask
            return await answer(request, path or request.raw_path)

        fault = next((fault for fault in self._faults if fault.takes(request)), None)
        return await (fault.treatment(request, forward) if fault else forward())

    async def _ask(self, request: web.Request, path: str) -> web.Response:
        async with self._request(request, path, await request.read() or None) as answer:
            body = await answer.read()
            self.requests.append(Request(request.method, request.path, answer.status))
            return web.Response(body=body, status=answer.status, headers=passed_on(answer.headers))

    async def _stream(self, request: web.Request, path: str) -> web.StreamResponse:
        async with self._request(request, path, None) as answer:
            response = web.StreamResponse(status=answer.status, headers=passed_on(answer.headers))
            self._watches.append(request)
            try:
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            except ConnectionError:
                pass  # the operator is gone, or the test has cut the watch
            finally:
                self._watches.remove(request)
            return response

    def _request(
        self, request: web.Request, path: str, body: bytes | None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = self.upstream.join(URL(path, encoded=True))
        return self.session.request(
            request.method, url, headers=passed_on(request.headers), data=body, skip_auto_headers=["Content-Type"]
        )


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}


@asynccontextmanager
async def serving(upstream: str, tls: ssl.SSLContext) -> AsyncIterator[Proxy]:
    """Serve a proxy of the API server `upstream` on a free loopback port."""
    connector = aiohttp.TCPConnector(ssl=tls, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=NO_LIMIT, auto_decompress=False) as session:
        proxy = Proxy(URL(upstream), session)
        app = web.Application(client_max_size=16 << 20)
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield proxy
        finally:
            await runner.cleanup()
