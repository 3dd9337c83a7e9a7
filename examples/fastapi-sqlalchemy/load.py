"""Closed-loop HTTP load: `python -m load --url http://api/orders/7 --concurrency 80 --seconds 20` prints one JSON line.

Before, `load: begun` on stderr says that it runs.
Every request has a connection of its own. A connection that is kept alive stays with the pod that accepted it, so pods
that a scale-out adds would get nothing to do.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass
class Tally:
    """What the requests came to. Milliseconds are those of the answers with status 200."""

    milliseconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def line(self) -> dict[str, object]:
        """Return what is printed."""
        ok, failed = len(self.milliseconds), self.failures.total()
        return {
            "requests": ok + failed,
            "ok": ok,
            "failed": failed,
            "too_many_clients": self.failures["too_many_clients"],
            "p50_ms": percentile(self.milliseconds, 50),
            "p99_ms": percentile(self.milliseconds, 99),
            "failures": dict(self.failures.most_common()),
        }


def percentile(values: list[float], percent: int) -> float | None:
    """Return the nearest-rank percentile, rounded to 0.1; None of nothing."""
    if not values:
        return None
    return round(sorted(values)[-(-len(values) * percent // 100) - 1], 1)


async def run(url: str, concurrency: int, seconds: float, rate: float | None) -> Tally:
    """Keep `concurrency` requests under way (at most `rate` a second) for `seconds` or until SIGTERM."""
    tally, stop = Tally(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(seconds, stop.set)
    print("load: begun", file=sys.stderr, flush=True)
    pause = concurrency / rate if rate else 0.0
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=REQUEST_TIMEOUT) as session,
        asyncio.TaskGroup() as group,
    ):
        for index in range(concurrency):
            group.create_task(client(session, url, tally, stop, pause, pause * index / concurrency))
    return tally


async def client(
    session: aiohttp.ClientSession, url: str, tally: Tally, stop: asyncio.Event, pause: float, delay: float
) -> None:
    """One client: a request, then the next one, not before `pause` seconds after the start of the last."""
    await wait(stop, delay)
    while not stop.is_set():
        start = time.perf_counter()
        await request(session, url, tally)
        await wait(stop, start + pause - time.perf_counter())


async def wait(stop: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)


async def request(session: aiohttp.ClientSession, url: str, tally: Tally) -> None:
    start = time.perf_counter()
    try:
        async with session.get(url) as response:
            body = await response.json(content_type=None)
            if response.status == 200:
                tally.milliseconds.append((time.perf_counter() - start) * 1000)
            else:
                tally.failures[body.get("error", f"HTTP {response.status}")] += 1
    except TimeoutError:
        tally.failures["no_answer"] += 1  # the service's own TimeoutError says that its pool had no connection
    except (aiohttp.ClientError, ValueError) as error:
        tally.failures[type(error).__name__] += 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load", description="Closed-loop HTTP load; prints one JSON line.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--concurrency", type=int, required=True, help="requests under way at any time")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, help="most requests per second (default: as many as are answered)")
    options = parser.parse_args()
    for name, value in vars(options).items():
        if isinstance(value, int | float) and value <= 0:
            parser.error(f"--{name} {value}: write a number above 0")
    return options


if __name__ == "__main__":
    options = arguments()
    tally = asyncio.run(run(options.url, options.concurrency, options.seconds, options.rate))
    print(json.dumps(tally.line()))
