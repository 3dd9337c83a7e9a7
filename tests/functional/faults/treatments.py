"""What the proxy does to requests beyond holding and cutting them: answers that come late, never, or say `410 Gone`."""

from typing import Any

from aiohttp import web

from tests.functional.faults.proxy import Forward, Hold, Treatment

GONE: dict[str, Any] = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "too old resource version: 1 (2)",
    "reason": "Expired",
    "code": 410,
}


def after(hold: Hold, treatment: Treatment) -> Treatment:
    """Hold requests back, and treat them once they are released."""

    async def both(request: web.Request, forward: Forward) -> web.StreamResponse:
        async def then(path: str = "") -> web.StreamResponse:
            return await treatment(request, forward)

        return await hold(request, then)

    return both


class Expired:
    """The first watch of every kind learns, in the given way, that what it asks for is no longer known."""

    def __init__(self, way: Treatment) -> None:
        self._way = way
        self.told: set[tuple[str, str]] = set()

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        watch = (request.path, request.query.get("labelSelector", ""))
        if "watch" not in request.query or watch in self.told:
            return await forward()
        self.told.add(watch)
        return await self._way(request, forward)


async def by_the_status(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Say it as the API server does before the watch has begun."""
    return web.json_response(GONE, status=410)


async def by_the_server(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Let the API server say it itself, in an ERROR event, by asking it for its very first version."""
    return await forward(str(request.rel_url.update_query(resourceVersion="1")))
