"""Samples pg_stat_activity over one connection: `python -m sampler --every-ms 50` prints one JSON line.

Before, `sampler: begun` on stderr says that it is connected.
It connects as DB_USER (a superuser or a member of pg_use_reserved_connections, so that a full server still lets it in)
and counts everybody's client backends but its own.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import asyncpg

BACKENDS = """
    SELECT coalesce(usename, '') AS role, application_name AS application,
           coalesce(host(client_addr), 'local') AS address, count(*)
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1, 2, 3
"""
CONNECT_SECONDS = 30.0
GROUPS = ("role", "application", "address")


@dataclass
class Peaks:
    """The most client backends seen at one instant, of everybody and by role, application_name and client address.

    Charged, and held against `usable`, are those of `role` (default: everybody's) and of others beyond `reserve`.
    """

    usable: int | None = None
    role: str | None = None
    reserve: int = 0
    samples: int = 0
    over_usable: int = 0
    peak: int = 0
    peak_charged: int = 0
    by: dict[str, Counter[str]] = field(default_factory=lambda: {group: Counter() for group in GROUPS})

    def add(self, rows: list[asyncpg.Record]) -> None:
        """Take in one sample: rows of role, application, address and count."""
        total = sum(row["count"] for row in rows)
        own = sum(row["count"] for row in rows if self.role in (None, row["role"]))
        charged = own + max(0, total - own - self.reserve)
        self.samples += 1
        self.peak = max(self.peak, total)
        self.peak_charged = max(self.peak_charged, charged)
        self.over_usable += self.usable is not None and charged > self.usable
        for group in GROUPS:
            self.by[group] |= totals(rows, group)

    def line(self) -> dict[str, object]:
        """Return what is printed."""
        groups = {f"peak_by_{group}": dict(peaks.most_common()) for group, peaks in self.by.items()}
        charged = {"peak_charged": self.peak_charged, "usable": self.usable, "over_usable": self.over_usable}
        return {"samples": self.samples, "peak": self.peak, **charged, **groups}


def totals(rows: list[asyncpg.Record], group: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row[group]] += row["count"]
    return counts


async def run(options: argparse.Namespace) -> Peaks:
    """Sample every `every_ms` until SIGTERM or for `seconds`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    peaks = Peaks(options.usable, options.role, options.reserve)
    connection = await connect()
    try:
        statement = await connection.prepare(BACKENDS)
        print("sampler: begun", file=sys.stderr, flush=True)
        if options.seconds:
            loop.call_later(options.seconds, stop.set)
        next_at = loop.time()
        while not stop.is_set():
            peaks.add(await statement.fetch())
            next_at = max(next_at + options.every_ms / 1000, loop.time())
            await wait_until(stop, next_at)
    finally:
        await connection.close()
    return peaks


async def connect() -> asyncpg.Connection:
    """Connect as soon as the server can be reached: a Service is not there for every node at the instant it is made."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return await asyncpg.connect(
                host=os.environ["DB_HOST"],
                port=int(os.environ.get("DB_PORT", "5432")),
                user=os.environ["DB_USER"],
                password=os.environ["DB_PASSWORD"],
                database=os.environ["DB_NAME"],
                server_settings={"application_name": "sampler"},
            )
        except (OSError, asyncpg.CannotConnectNowError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def wait_until(stop: asyncio.Event, instant: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(instant):
            await stop.wait()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sampler", description="Samples pg_stat_activity; prints one JSON line at the end."
    )
    parser.add_argument("--every-ms", type=int, default=50)
    parser.add_argument("--seconds", type=float, help="end by itself after so long (default: at SIGTERM)")
    parser.add_argument("--usable", type=int, help="count the samples with more charged backends than this")
    parser.add_argument("--role", help="charge this role's backends (default: everybody's)")
    parser.add_argument("--reserve", type=int, default=0, help="and what other roles hold beyond this")
    return parser.parse_args()


def main() -> int:
    try:
        print(json.dumps(asyncio.run(run(arguments())).line()))
    except KeyError as missing:
        print(f"sampler: set {missing.args[0]}", file=sys.stderr)
        return 2
    except (OSError, asyncpg.PostgresError) as error:
        print(f"sampler: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
