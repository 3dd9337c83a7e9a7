"""`make bench`: run every measurement of this folder, or those named, each in a process of its own.

`python -m tests.bench modes` runs bench_modes.py alone.
"""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
INTERRUPTED = {130, -signal.SIGINT, -signal.SIGTERM}


def main() -> int:
    """Return the number of measurements that failed; after an interruption no further one is begun."""
    failed = 0
    for name in names():
        print(f"== bench_{name}", flush=True)
        code = measure(name)
        if code in INTERRUPTED:
            return 130
        failed += code != 0
    return failed


def names() -> list[str]:
    """Return the measurements that the command line names, else all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)} (default: all)")
    named: list[str] = parser.parse_args().names
    if unknown := set(named) - set(NAMES):
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    return named or NAMES


def measure(name: str) -> int:
    """Run one measurement to its end, and return its exit code.

    Both get the SIGINT of a terminal. The measurement then clears away what it made, and this process waits for it.
    """
    process = subprocess.Popen([sys.executable, "-m", f"tests.bench.bench_{name}"])
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
