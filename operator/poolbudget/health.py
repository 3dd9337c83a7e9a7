"""The operator's HTTP side: /healthz, /readyz and /metrics, in plain HTTP (for the kubelet and Prometheus)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from poolbudget.metrics import REGISTRY


@dataclass(slots=True)
class Health:
    """Ready: the picture of the cluster is complete, so that this replica leads or can take over at once."""

    ready: bool = False


@asynccontextmanager
async def serve_health(port: int, health: Health) -> AsyncIterator[None]:
    """Serve as long as the context lasts."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if health.ready else web.Response(status=503, text="listing the cluster")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    try:
        yield
    finally:
        await runner.cleanup()
