"""Closed-loop load at a bounded rate, which ends at once on SIGTERM and prints one JSON line.

It runs in a pod beside the example's `load.py`, whose requests it sends: `python -c SOURCE --url ... --clients 40
--rate 100`. Unlike there, nobody waits for the last answers: a request that is unanswered at the end counts in the
percentiles with the time that it has waited so far, so that a queue that only grows is not left out.
"""

import argparse
import asyncio
import json
import math
import signal
import sys
import time

import aiohttp
from load import REQUEST_TIMEOUT, Tally, percentile, request, wait  # type: ignore[import-not-found]


class Load:
    """Clients that each send a request, and the next one `clients / rate` seconds later, or when it is answered."""

    def __init__(self, url: str, clients: int, rate: float, together: bool) -> None:
        self.url, self.clients, self.pause, self.together = url, clients, clients / rate, together
        self.tally = Tally()
        self.started: dict[int, float] = {}
        """When each request began that has no answer yet, by client."""
        self.late: list[float] = []
        """By how many milliseconds each request began later than its client meant to: the generator's own doing."""

    async def run(self, stop: asyncio.Event) -> dict[str, object]:
        """Send requests until `stop`; return what is printed."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=REQUEST_TIMEOUT) as session:
            begun = time.perf_counter()
            tasks = [asyncio.create_task(self._client(session, stop, index)) for index in range(self.clients)]
            print("generator: begun", file=sys.stderr, flush=True)
            await stop.wait()
            line = self._line(begun, time.perf_counter())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return line

    async def _client(self, session: aiohttp.ClientSession, stop: asyncio.Event, index: int) -> None:
        next_at = time.perf_counter() + (0.0 if self.together else self.pause * index / self.clients)
        while not stop.is_set():
            await wait(stop, next_at - time.perf_counter())
            start = time.perf_counter()
            self.late.append((start - next_at) * 1000)
            self.started[index] = start
            await request(session, self.url, self.tally)
            del self.started[index]
            next_at = self.after(next_at, time.perf_counter())

    def after(self, begin: float, now: float) -> float:
        """Return when a client's next request begins, by when the last one should have begun and that it ended `now`.

        Clients that begin together do so again after an answer that took too long: they wait for the next instant.
        """
        next_at = begin + self.pause
        if self.together and next_at < now:
            return next_at + math.ceil((now - next_at) / self.pause) * self.pause
        return max(next_at, now)

    def _line(self, begun: float, ended: float) -> dict[str, object]:
        unanswered = [(ended - start) * 1000 for start in self.started.values()]
        milliseconds = self.tally.milliseconds + unanswered
        return {
            "seconds": round(ended - begun, 2),
            "ok": len(self.tally.milliseconds),
            "unanswered": len(unanswered),
            "p50_ms": percentile(milliseconds, 50),
            "p99_ms": percentile(milliseconds, 99),
            "failures": dict(self.tally.failures.most_common()),
            "late_p99_ms": percentile(self.late, 99),
        }


async def main() -> None:
    parser = argparse.ArgumentParser(prog="generator")
    parser.add_argument("--url", required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="most requests per second of all clients")
    parser.add_argument("--together", action="store_true", help="all clients begin at the same instants")
    options = parser.parse_args()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(json.dumps(await Load(**vars(options)).run(stop)))


if __name__ == "__main__":
    asyncio.run(main())
