"""One measurement: one arm under one load, while the application is scaled out and in and rolled over.

`bench_modes` goes through all of them; `outcome` makes the table of what they came to.
"""

import asyncio
import time
from pathlib import Path

from tests.bench.modes.arms import FEW_PODS, MANY_PODS, RESERVED, SERVER_RESERVES, USABLE, Arm, Load
from tests.bench.modes.outcome import Row, row
from tests.bench.modes.processors import Processors
from tests.bench.modes.programs import Program
from tests.bench.modes.scene import NAMESPACE, refused_logins
from tests.e2e.database import Shop
from tests.functional.cluster import kubectl
from tests.functional.space import Raw, is_wanted

GENERATOR = Path(__file__).with_name("generator.py")
STEADY_SECONDS = 2.0
"""How long the load goes on undisturbed before each event."""
PATIENCE_SECONDS = 60
"""How long an event may take. What is slower is shown as not finished, and the bench goes on."""
LIMITS = ("--role", "shop", "--usable", str(USABLE), "--reserve", str(RESERVED - SERVER_RESERVES))


async def measure(shop: Shop, processors: Processors, arm: Arm, load: Load) -> Row:
    """Measure an arm that is in place with few pods; it is left as it was found."""
    refused_before, begin = await asyncio.gather(asyncio.to_thread(refused_logins), processors.reading())
    sampling = Program(NAMESPACE, "sampler", ("python", "-m", "sampler", "--every-ms", "20", *LIMITS))
    async with sampling, loading(load) as sending:
        events = await happen(shop)
        sent = await sending.end()
        seen = await sampling.end()
    refused_after, _ = await asyncio.gather(asyncio.to_thread(refused_logins), processors.reading())
    return row(
        arm,
        load,
        sent=sent,
        seen=seen,
        refused_logins=refused_after - refused_before,
        processor_seconds=processors.since(begin),
        events=events,
    )


def loading(load: Load) -> Program:
    """Return the program that sends the load."""
    url = f"http://api{load.path}"
    shape = ("--clients", str(load.clients), "--rate", str(load.rate), *["--together"] * load.together)
    return Program(NAMESPACE, "generator", ("python", "-c", GENERATOR.read_text(), "--url", url, *shape))


async def happen(shop: Shop) -> dict[str, float | None]:
    """Let the events happen; return how many seconds each took, None where it did not finish."""
    await asyncio.sleep(STEADY_SECONDS)
    await shop.space.scale("Deployment", "api", MANY_PODS)
    scaled_out = await finished()
    await asyncio.sleep(STEADY_SECONDS)
    await shop.space.scale("Deployment", "api", FEW_PODS)
    await gone(shop)
    await asyncio.to_thread(kubectl, "rollout", "restart", "-n", NAMESPACE, "deployment/api")
    return {"scaled_out_s": scaled_out, "rolled_out_s": await finished()}


async def finished() -> float | None:
    """Wait until all pods of the application are of the newest revision and serve."""
    begun = time.monotonic()
    words = ("rollout", "status", "-n", NAMESPACE, "deployment/api", f"--timeout={PATIENCE_SECONDS}s")
    done = await asyncio.to_thread(kubectl, *words, check=False)
    return round(time.monotonic() - begun, 1) if done.returncode == 0 else None


async def gone(shop: Shop) -> None:
    """Wait until only the few pods are left that are wanted."""

    def few(pods: list[Raw]) -> bool:
        of_api = [pod for pod in pods if pod["metadata"].get("labels", {}).get("app") == "api"]
        return len(of_api) == FEW_PODS and all(map(is_wanted, of_api))

    await shop.space.until("Pod", few, what=f"{FEW_PODS} pods are left", seconds=PATIENCE_SECONDS)
