"""The example service: one query per request that holds a connection for a while, from a pool sized by the environment.

Run by `uvicorn app.main:app --workers N` (the api) and by gunicorn (the worker). Every process makes an engine of its
own, which is exactly why a server's max_connections is so easily outgrown.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse
from settings.sqlalchemy_async import make_engine
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError

TOO_MANY_CONNECTIONS = "53300"  # SQLSTATE of every refusal for want of a connection slot
ORDER = text(
    "SELECT id, item, quantity, pg_sleep(:seconds) IS NULL FROM orders WHERE id = 1 + CAST(:number AS integer) % 1000"
)


@asynccontextmanager
async def engine_of_the_process(app: FastAPI) -> AsyncIterator[None]:
    app.state.engine = make_engine(database_url(), os.environ)
    yield
    await app.state.engine.dispose()


app = FastAPI(lifespan=engine_of_the_process)


@app.get("/orders/{number}")
async def order(request: Request, number: int, hold_ms: Annotated[int, Query(ge=0, le=5000)] = 50) -> dict[str, object]:
    """One order, read by a query that holds its connection for `hold_ms` milliseconds."""
    async with request.app.state.engine.connect() as connection:
        row = (await connection.execute(ORDER, {"number": number, "seconds": hold_ms / 1000})).one()
    return {"id": row.id, "item": row.item, "quantity": row.quantity}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers. It leaves the database alone: a full server is no reason to restart the service."""
    return {"status": "ok"}


async def failed(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that could not use the database: 503 if the server had no slot for it, else 500."""
    if sqlstate(error) == TOO_MANY_CONNECTIONS:
        return JSONResponse({"error": "too_many_clients", "detail": str(error)}, status_code=503)
    return JSONResponse({"error": type(error).__name__, "detail": str(error)}, status_code=500)


for kind in (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
    app.add_exception_handler(kind, failed)


def sqlstate(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of the error or of its cause: SQLAlchemy wraps some of the driver's and passes others on."""
    while error is not None:
        if state := getattr(error, "sqlstate", None):
            return str(state)
        error = error.__cause__
    return None


def database_url() -> URL:
    """Return the URL that DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD make."""
    return URL.create(
        "postgresql+asyncpg",
        username=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        host=os.environ["DB_HOST"],
        port=int(os.environ.get("DB_PORT", "5432")),
        database=os.environ["DB_NAME"],
    )
