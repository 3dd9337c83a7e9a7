"""How long `poolbudget plan` takes: reading manifests and planning apart, and the start of the command.

    python -m tests.bench.bench_plan

Prints one line for each input. Times are processor time, the best of several runs, as the machine may be busy.
The first plan detects the processes of every template; later ones, as the operator makes them, remember them.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from poolbudget.cli.manifests import Manifests, load
from poolbudget.planning import processes
from poolbudget.planning.model import ServerPlan
from poolbudget.planning.plan import plan_server

RUNS = 5
STARTS = {
    "Python": "pass",
    "pydantic with one model": "import pydantic; pydantic.create_model('Model', field=(int, ...))",
    "poolbudget plan": "import poolbudget.cli.plan",
}
INPUTS = {"1 budget of 1,000 workloads": (1, 1_000), "100 budgets of 50 workloads": (100, 50)}


def manifests(budgets: int, workloads: int) -> str:
    """Return budgets with workloads that differ in weight, replicas and processes, and their Deployments, as JSON."""
    items: list[dict[str, Any]] = []
    for b in range(budgets):
        names = [f"w{b}-{w}" for w in range(workloads)]
        declared = [{"name": n, "weight": 1 + i % 7, "maxPerProcess": 100} for i, n in enumerate(names)]
        spec = {"maxConnections": workloads * 250, "workloads": declared}
        items.append(_object("poolbudget.dev/v1alpha1", "PoolBudget", f"b{b}", spec))
        items += [_object("apps/v1", "Deployment", n, _deployment(n, i)) for i, n in enumerate(names)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def best(work: Callable[[], object]) -> float:
    """Return the processor milliseconds of the quickest of several runs."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1000


def plan_all(found: Manifests) -> list[ServerPlan]:
    """Plan every budget as a server of its own."""
    return [plan_server([budget], found.targets, None) for budget in found.budgets]


def plan_for_the_first_time(found: Manifests) -> None:
    """Plan as if no template had been seen before."""
    processes._detect.cache_clear()
    plan_all(found)


def start(code: str, folder: str) -> float:
    """Return the processor milliseconds of a Python that runs `code`, with byte code in `folder` after the first.

    An installed package has its byte code, too.
    """
    environment = {"PYTHONPYCACHEPREFIX": folder, "PATH": os.environ["PATH"]}
    before = _of_children()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return (_of_children() - before) * 1000


def main() -> None:
    """Measure and print."""
    for label, (budgets, workloads) in INPUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "manifests.json")
            file.write_text(manifests(budgets, workloads))
            found = load([str(file)])
            if found.problems or not all(plan.fits for plan in plan_all(found)):
                sys.exit(f"{label}: the input does not fit: {found.problems[:1]}")
            reading, first = best(partial(load, [str(file)])), best(partial(plan_for_the_first_time, found))
            print(f"{label}: read {reading:.0f} ms, plan {first:.1f} ms, again {best(partial(plan_all, found)):.1f} ms")
    with tempfile.TemporaryDirectory() as folder:
        for label, code in STARTS.items():
            print(f"start of {label}: {min(start(code, folder) for _ in range(RUNS)):.0f} ms")


def _object(api_version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _deployment(name: str, index: int) -> dict[str, Any]:
    command = ["uvicorn", "app:app", "--workers", str(1 + index % 4), "--root-path", f"/{name}"]
    return {"replicas": 1 + index % 5, "template": {"spec": {"containers": [{"name": "app", "command": command}]}}}


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
