"""The operator's HTTP side, in plain HTTP: /healthz and /readyz for the kubelet, /metrics for Prometheus, /sessions.

`poolbudget explain` asks for /sessions: what the leader last saw in each database, as the number of client backends by
server and client address.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from poolbudget.metrics import REGISTRY


@dataclass(slots=True)
class Health:
    """Ready: the picture of the cluster is complete, so that this replica leads or can take over at once."""

    ready: bool = False
    sessions: Callable[[], Mapping[str, Mapping[str, int]]] = dict


@asynccontextmanager
async def serve_health(port: int, health: Health) -> AsyncIterator[None]:
    """Serve as long as the context lasts."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if health.ready else web.Response(status=503, text="listing the cluster")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def sessions(_: web.Request) -> web.Response:
        return web.json_response(health.sessions())

    app = web.Application()
    pages = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/sessions": sessions}
    app.add_routes([web.get(path, page) for path, page in pages.items()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    try:
        yield
    finally:
        await runner.cleanup()
