"""Many different queries with the drivers' own statement caches, every answer checked. `test_statements` runs it.

In a pod of the example's image, `python statements.py --host orders-pooler` prints one JSON line. One text in five is
of so many that neither the drivers' caches nor PgBouncer's hold them, so statements are prepared, dropped and prepared
again all the time; the others are of few, and stay.
"""

import argparse
import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from multiprocessing import get_context
from typing import Any

import asyncpg
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

REACHED_SECONDS = 60
EPOCH = date(2000, 1, 1)
FEW, ALL = 8, 120
"""Texts of each shape: of those that stay, and in all."""
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, SQLAlchemyError, OSError)
TOGETHER = 5
"""Queries asked one after another: in one transaction with SQLAlchemy, with asyncpg each in its own."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Queries that differ in a number `k` of their text: the argument, made of `n`, and what they have to answer."""

    sql: str
    argument: Callable[[int], Any]
    answer: Callable[[int, Any], Any]


SHAPES = (
    Shape("SELECT $1::integer + {k}", int, lambda k, n: n + k),
    Shape("SELECT $1::bigint * {k}", lambda n: n << 32, lambda k, n: n * k),
    Shape("SELECT $1::text || ' of {k}'", str, lambda k, text: f"{text} of {k}"),
    Shape("SELECT ARRAY[$1::integer, {k}]", int, lambda k, n: [n, k]),
    Shape("SELECT $1::date + {k}", lambda n: EPOCH + timedelta(n), lambda k, day: day + timedelta(k)),
)


@dataclass(frozen=True, slots=True)
class Query:
    """One query, and what it has to answer."""

    sql: str
    argument: Any
    answer: Any


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask, and as whom."""

    host: str
    port: int
    user: str
    password: str
    database: str


Ask = Callable[[Sequence[Query]], Awaitable[list[Any]]]


def some_queries(chance: random.Random) -> list[Query]:
    """Make up what is asked together."""

    def query() -> Query:
        shape, n = chance.choice(SHAPES), chance.randrange(30_000)
        k = chance.randrange(ALL if chance.random() < 0.2 else FEW)
        argument = shape.argument(n)
        return Query(shape.sql.format(k=k), argument, shape.answer(k, argument))

    return [query() for _ in range(TOGETHER)]


@asynccontextmanager
async def with_asyncpg(server: Server) -> AsyncIterator[Ask]:
    """Ask over a connection of asyncpg."""
    connection = await asyncpg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=server.database
    )

    async def ask(queries: Sequence[Query]) -> list[Any]:
        return [await connection.fetchval(query.sql, query.argument) for query in queries]

    yield ask
    await connection.close()


@asynccontextmanager
async def with_sqlalchemy(server: Server) -> AsyncIterator[Ask]:
    """Ask over a connection of SQLAlchemy, which its pool keeps."""
    url = URL.create("postgresql+asyncpg", server.user, server.password, server.host, server.port, server.database)
    engine = create_async_engine(url, pool_size=1, max_overflow=0)

    async def ask(queries: Sequence[Query]) -> list[Any]:
        async with engine.connect() as connection:
            return [(await connection.exec_driver_sql(q.sql, (q.argument,))).scalar_one() for q in queries]

    yield ask
    await engine.dispose()


DRIVERS: tuple[Callable[[Server], AbstractAsyncContextManager[Ask]], ...] = (
    with_asyncpg,
    with_asyncpg,
    with_sqlalchemy,
)


async def client(server: Server, seed: int, count: int) -> Counter[str]:
    """Ask `count` queries over one connection; return how many were answered right, and what else happened."""
    chance, came = random.Random(seed), Counter[str]()
    async with DRIVERS[seed % len(DRIVERS)](server) as ask:
        for _ in range(count // TOGETHER):
            queries = some_queries(chance)
            try:
                answers = await ask(queries)
            except FAILURES as error:
                came[f"{type(error).__name__}: {error}"] += 1
                continue
            came.update(
                "right" if answer == query.answer else f"wrong: {query.sql}"
                for query, answer in zip(queries, answers, strict=True)
            )
    return came


def process(server: Server, clients: int, count: int, number: int) -> Counter[str]:
    """Run one of the processes; its clients have seeds of their own."""

    async def run() -> Counter[str]:
        seeds = range(number * clients, (number + 1) * clients)
        return sum(await asyncio.gather(*(client(server, seed, count) for seed in seeds)), Counter[str]())

    return asyncio.run(run())


async def until_reached(server: Server) -> None:
    """Wait until somebody listens: a Service is not there for every node at the instant it is made."""
    async with asyncio.timeout(REACHED_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(server.host, server.port)
            except OSError:
                await asyncio.sleep(0.2)
            else:
                writer.close()
                return await writer.wait_closed()


def main() -> None:
    parser = argparse.ArgumentParser(prog="statements")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=6432)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--clients", type=int, default=12, help="of each process, every third of them SQLAlchemy's")
    parser.add_argument("--queries", type=int, default=100_000, help="of all together, rounded up")
    options = parser.parse_args()
    env = os.environ
    server = Server(options.host, options.port, env["DB_USER"], env["DB_PASSWORD"], env["DB_NAME"])
    asyncio.run(until_reached(server))
    each = -(-options.queries // (options.processes * options.clients * TOGETHER)) * TOGETHER
    work = partial(process, server, options.clients, each)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("fork")) as processes:
        came = sum(processes.map(work, range(options.processes)), Counter[str]())
    right = came.pop("right", 0)
    print(json.dumps({"right": right, "others": came.total(), "for_example": dict(came.most_common(5))}))


if __name__ == "__main__":
    main()
