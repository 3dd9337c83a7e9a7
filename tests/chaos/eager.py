"""The example's application, which opens all connections of its pool as soon as it starts. It runs in a pod: `scene`.

SQLAlchemy opens one when a request needs it, so that a pod of a rollout would have few while the old one still has
its own. Here both have all that they were granted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import asyncpg
from app.main import app, engine_of_the_process  # type: ignore[import-not-found]
from fastapi import FastAPI  # type: ignore[import-not-found]
from sqlalchemy.exc import SQLAlchemyError


@asynccontextmanager
async def with_a_full_pool(app: FastAPI) -> AsyncIterator[None]:
    async with engine_of_the_process(app):
        filling = asyncio.create_task(fill(app))
        yield
        filling.cancel()


async def fill(app: FastAPI) -> None:
    """Open all connections, and leave them to the pool. Where Postgres is just restarting, requests open them."""
    engine = app.state.engine
    with suppress(OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InternalClientError):
        async with AsyncExitStack() as held:
            for _ in range(engine.pool.size()):
                await held.enter_async_context(engine.connect())


app.router.lifespan_context = with_a_full_pool
