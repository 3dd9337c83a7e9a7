"""`make demo`: the same load on the same two workloads, first without a budget and then with one, side by side.

It needs kubectl, and a cluster that holds the images poolbudget/{operator,example}:dev and poolbudget/postgres:17:
`make demo` sees to both. Exit code 0: with the budget nothing was refused and nothing exceeded; 1: something was; 2:
the demo could not run; 130: interrupted. KEEP=1 leaves everything running and says how to look around.
"""

import os
import signal
import sys
from types import FrameType

from examples.demo import phases
from examples.demo.console import NAMESPACE, DemoError, say, show
from examples.demo.outcome import complaints, table

LOOK_AROUND = f"""
Everything is left running. To look around (before each: make cluster-exec CMD="..."):
  kubectl -n {NAMESPACE} get pb,pods
  kubectl -n {NAMESPACE} scale deployment/api --replicas=6     # two more than the plan is made for
  kubectl -n {NAMESPACE} get events --field-selector reason=PodsBeyondPlan
  kubectl -n {NAMESPACE} describe pb orders-db
  kubectl delete namespace {NAMESPACE}                         # when you have seen enough"""


def main() -> int:
    """Run the demo and clean up, whatever happens."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return demonstrate()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    finally:
        leave()


def demonstrate() -> int:
    """Measure without, measure with, compare."""
    phases.clear()
    phases.install()
    phases.start_without_budget()
    say("=== 1. without a budget")
    without = phases.measure()
    phases.adopt()
    say("=== 2. with a PoolBudget: the same load, the same scale-out, the same rolling update")
    with_budget = phases.measure()

    print(f"\n{table(without, with_budget)}")
    show("get", "pb")
    show("describe", "pb", "orders-db")
    return judge(complaints(with_budget))


def judge(broken: list[str]) -> int:
    """Print the verdict and return the exit code."""
    print()
    for complaint in broken:
        say(f"FAILED: {complaint}")
    if not broken:
        say("with the budget no connection was refused and no sample was above usable")
    return 1 if broken else 0


def leave() -> None:
    """Remove what the demo made, unless KEEP asks otherwise; nothing interrupts that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.environ.get("KEEP", "") not in {"", "0"}:
        print(LOOK_AROUND)
        return
    try:
        phases.clear()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
