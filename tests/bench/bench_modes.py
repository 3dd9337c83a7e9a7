"""Ways of giving an application its connections, side by side at one Postgres: goodput, latency, refusals, processors.

    make bench, or inside `python -m tests.cluster exec`: python -m tests.bench.bench_modes [--arms ...] [--loads ...]

Every arm of `modes.arms` runs the same application under the same loads, one after another, while it is scaled from 3
to 12 pods and back and rolled over. The load is closed-loop at a bounded rate, well below what its generator can send,
so goodput tells arms apart only where connections are short; elsewhere latency and processor time do. Everything
shares the machine: the figures compare arms of one run, and nothing else. fsync is off, for all arms alike.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence

from poolbudget.kube import Kube
from tests.bench.modes import scene
from tests.bench.modes.arms import ARMS, LOADS, Arm, Load
from tests.bench.modes.cell import measure
from tests.bench.modes.outcome import Row, line, losses, tables
from tests.bench.modes.processors import watching
from tests.chaos.node import node_name
from tests.chaos.scene import clear, install
from tests.functional.space import Space

_START = time.monotonic()


def main() -> int:
    """Measure, print, and return the exit code: 1 if some measurement saw nothing."""
    options = arguments()
    arms = [arm for arm in ARMS if arm.name in options.arms]
    loads = [load for load in LOADS if load.name in options.loads]
    try:
        rows = asyncio.run(run(arms, loads))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("interrupted; everything is cleared away")
        return 130
    print(tables(arms, loads, rows))
    if len({row.ours for row in rows}) > 1:
        print("\nWhere PoolBudget is behind:", *(losses(rows) or ["nowhere by more than noise"]), sep="\n  ")
    print(json.dumps(line(rows)))
    return 1 if any(row.goodput == 0 or row.samples == 0 for row in rows) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_modes")
    for name, known in (("--arms", [arm.name for arm in ARMS]), ("--loads", [load.name for load in LOADS])):
        parser.add_argument(name, nargs="+", choices=known, default=known, help="only these")
    return parser.parse_args()


async def run(arms: Sequence[Arm], loads: Sequence[Load]) -> list[Row]:
    """Measure all arms under all loads in a namespace of its own, and remove it."""
    running = asyncio.current_task()
    assert running
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    rows = []
    async with Kube.connect() as kube:
        space = Space(kube, scene.NAMESPACE)
        await clear(space)
        install()
        try:
            shop = await scene.build(space)
            async with watching(kube, scene.NAMESPACE, node_name()) as processors:
                for arm in arms:
                    say(arm.title)
                    async with scene.in_place(shop, arm):
                        for load in loads:
                            row = await measure(shop, processors, arm, load)
                            say(f"  {load.title}: {row.goodput}/s, p99 {row.p99_ms} ms, {row.refused} refused")
                            rows.append(row)
        finally:
            await clear(space)
    return rows


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"[{time.monotonic() - _START:6.1f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
