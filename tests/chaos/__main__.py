"""`python -m tests.chaos --seconds 600 --seed 7`: run the faults of a seed, and end with one JSON line on stdout.

`make chaos SECONDS=600 SEED=7` calls it. It needs kubectl, a kind cluster with the project's images, and docker, which
reaches the cluster's node. Exit code 0: no sample above usable, no connection refused, every rollout finished; 1:
something of that was not so; 2: it could not run.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress

from poolbudget.kube import ApiError, Kube
from tests.chaos import scene
from tests.chaos.faults import FAULTS, NoVictimError, World
from tests.chaos.node import Node, NodeError, node_name
from tests.chaos.report import Line, complaints, report
from tests.chaos.schedule import Fault, schedule
from tests.chaos.witness import Witness
from tests.functional.space import Space

LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
"""How long a fault is tried while the cluster does not answer."""
QUIET_SECONDS = 300.0
"""How long rollouts may take when the faults are over: the kubelet restarts what was killed often after minutes."""

_START = time.monotonic()


def main() -> int:
    """Run, print, and return the exit code."""
    options = arguments()
    say(f"SEED={options.seed} SECONDS={options.seconds}")
    try:
        line = asyncio.run(run(options))
    except (AssertionError, ApiError, NodeError) as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("interrupted; everything is cleared away")
        return 130
    broken = complaints(line)
    for complaint in broken:
        say(f"FAILED: {complaint}")
    print(json.dumps(line))
    return 1 if broken else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Faults at a real Postgres.")
    parser.add_argument("--seconds", type=float, default=600, help="how long faults happen")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="which faults")
    parser.add_argument("--headroom", type=int, default=0, help="connections that the budget never hands out")
    parser.add_argument(
        "--check-interval-ms", type=int, default=500, help="client_connection_check_interval of the role; 0: off"
    )
    return parser.parse_args()


async def run(options: argparse.Namespace) -> Line:
    """Set the scene, let the faults happen while everything is watched, and return what it came to."""
    running = asyncio.current_task()
    assert running
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    async with Kube.connect() as kube:
        space, witness = Space(kube, scene.NAMESPACE), Witness()
        await scene.clear(space)
        scene.install()
        try:
            shop = await scene.build(space, headroom=options.headroom, check_interval=options.check_interval_ms)
            await scene.begin_measuring(shop)
            say("all is set up; the faults begin")
            begun = time.monotonic()
            done, missed = await unleash(space, witness, schedule(options.seed, options.seconds))
            seconds = time.monotonic() - begun
            sampler, loads, refused = await scene.end_measuring(shop)
        finally:
            await scene.clear(space)
    for excess in sampler["excesses"]:
        say(f"above usable: {excess}")
    return report(
        seed=options.seed,
        seconds=seconds,
        settings={"headroom": options.headroom, "check_interval_ms": options.check_interval_ms},
        faults=done,
        missed=missed,
        witness=witness,
        sampler=sampler,
        loads=loads,
        refused_logins=refused,
    )


async def unleash(space: Space, witness: Witness, faults: list[Fault]) -> tuple[Counter[str], Counter[str]]:
    """Let the faults happen, each at its time or as soon as the one before is done; then wait for the rollouts.

    Returns how many of each kind were carried out, and how many were not.
    """
    node, loop = Node(node_name()), asyncio.get_running_loop()
    done: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    looking = asyncio.create_task(look_on(space, witness))
    try:
        async with asyncio.TaskGroup() as group:
            world, begun = World(space, node, witness, group, {}), loop.time()
            for fault in faults:
                await asyncio.sleep(begun + fault.at - loop.time())
                (done if await happens(world, fault) else missed)[fault.kind] += 1
    finally:
        looking.cancel()
    say("the faults are over; waiting for the rollouts")
    with suppress(TimeoutError):
        async with asyncio.timeout(QUIET_SECONDS):
            while witness.unfinished():
                await look(space, witness)
    return done, missed


async def happens(world: World, fault: Fault) -> bool:
    """Carry out a fault, while the cluster does not answer again and again; whether that succeeded."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            await FAULTS[fault.kind](world, fault)
        except NoVictimError:
            say(f"{fault.kind}: no victim")
            return False
        except (ApiError, NodeError) as error:
            if time.monotonic() > until:
                say(f"{fault.kind}: {error}")
                return False
            await asyncio.sleep(1)
        else:
            say(fault.kind)
            return True


async def look_on(space: Space, witness: Witness) -> None:
    """Show the witness the cluster for ever."""
    while True:
        await look(space, witness)


async def look(space: Space, witness: Witness) -> None:
    """Show the witness the cluster, and rest a moment; while the API server is away there is nothing to see."""
    with suppress(ApiError):
        deployments, pods = await asyncio.gather(space.all("Deployment"), space.all("Pod"))
        witness.see(deployments, pods, asyncio.get_running_loop().time())
    await asyncio.sleep(LOOK_SECONDS)


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"[{time.monotonic() - _START:6.1f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
