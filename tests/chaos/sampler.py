"""Samples pg_stat_activity over one superuser's connection until SIGTERM, and connects anew when the server comes back.

`scene` puts this file into a pod of the example's image: `python sampler.py --usable 54` prints one JSON line at the
end. Charged are all client backends but its own; those of other roles only beyond the reserve. A stretch of samples
with more charged backends than usable is kept with what was connected at its peak.
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
    SELECT coalesce(usename, '') AS role, coalesce(application_name, '') AS application,
           coalesce(host(client_addr), 'local') AS address, coalesce(state, '') AS state, count(*)
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4
"""
BROKEN = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
RECONNECT_SECONDS = 0.05
KEPT = 20


@dataclass
class Excess:
    """Samples above usable, one after another: when the first was (Unix time), how long, and the most."""

    at: float
    milliseconds: float
    samples: int
    most: int
    backends: dict[str, int]


@dataclass
class Account:
    """What was seen. `application`: backends by application_name, the most at one instant."""

    role: str
    usable: int
    reserve: int
    samples: int = 0
    over: int = 0
    peak: int = 0
    connects: int = 0
    longest_gap: float = 0.0
    peak_by_application: Counter[str] = field(default_factory=Counter)
    excesses: list[Excess] = field(default_factory=list)
    _was_over: bool = False
    _last: float | None = None

    def add(self, rows: "list[asyncpg.Record]", now: float) -> None:
        """Take in one sample of `now` (Unix time)."""
        total = sum(row["count"] for row in rows)
        own = sum(row["count"] for row in rows if row["role"] == self.role)
        charged = own + max(0, total - own - self.reserve)
        self.samples += 1
        self.peak = max(self.peak, charged)
        if self._last is not None:
            self.longest_gap = max(self.longest_gap, now - self._last)
        self._last = now
        applications: Counter[str] = Counter()
        for row in rows:
            applications[row["application"]] += row["count"]
        self.peak_by_application |= applications
        if charged > self.usable:
            self._exceed(charged, rows, now)
        self._was_over = charged > self.usable

    def _exceed(self, charged: int, rows: "list[asyncpg.Record]", now: float) -> None:
        self.over += 1
        if not self._was_over:
            self.excesses.append(Excess(round(now, 3), 0.0, 0, 0, {}))
        excess = self.excesses[-1]
        excess.samples += 1
        excess.milliseconds = round((now - excess.at) * 1000, 1)
        if charged > excess.most:
            excess.most = charged
            excess.backends = {
                f"{row['application']} {row['address']} {row['state']}": row["count"]
                for row in sorted(rows, key=lambda row: (row["application"], row["address"]))
            }

    def line(self) -> dict[str, object]:
        """Return what is printed."""
        return {
            "samples": self.samples,
            "over": self.over,
            "peak": self.peak,
            "usable": self.usable,
            "connects": self.connects,
            "longest_gap_seconds": round(self.longest_gap, 3),
            "peak_by_application": dict(self.peak_by_application.most_common()),
            "stretches": len(self.excesses),
            "excesses": [vars(excess) for excess in sorted(self.excesses, key=lambda e: -e.most)[:KEPT]],
        }


async def run(account: Account, every: float) -> None:
    """Sample until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while not stop.is_set():
        with contextlib.suppress(*BROKEN):
            await sample(account, every, stop)
        await wait_until(stop, asyncio.get_running_loop().time() + RECONNECT_SECONDS)


async def sample(account: Account, every: float, stop: asyncio.Event) -> None:
    """Sample over one connection until SIGTERM or until it breaks."""
    async with asyncio.timeout(5):
        connection = await connect()
    account.connects += 1
    print("sampler: connected", file=sys.stderr, flush=True)
    loop = asyncio.get_running_loop()
    try:
        statement = await connection.prepare(BACKENDS)
        next_at = loop.time()
        while not stop.is_set():
            account.add(await statement.fetch(timeout=5), time.time())
            next_at = max(next_at + every, loop.time())
            await wait_until(stop, next_at)
    finally:
        connection.terminate()


async def connect() -> asyncpg.Connection:
    return await asyncpg.connect(
        host=os.environ["DB_HOST"],
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        database=os.environ["DB_NAME"],
        server_settings={"application_name": "sampler"},
    )


async def wait_until(stop: asyncio.Event, instant: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(instant):
            await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="sampler")
    parser.add_argument("--role", required=True, help="the role whose backends are all charged")
    parser.add_argument("--usable", type=int, required=True)
    parser.add_argument("--reserve", type=int, default=0, help="what other roles may hold for free")
    parser.add_argument("--every-ms", type=int, default=20)
    options = parser.parse_args()
    account = Account(options.role, options.usable, options.reserve)
    asyncio.run(run(account, options.every_ms / 1000))
    print(json.dumps(account.line()))


if __name__ == "__main__":
    main()
