"""Runs kubectl, and says what the demo does and how long it takes. Used by all modules here that touch the cluster."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

NAMESPACE = "poolbudget-demo"
PATIENCE = "--timeout=180s"  # of one wait: a backstop, never a pause

_START = time.monotonic()


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


def say(text: str) -> None:
    """Print one line of progress, with the seconds since the demo began."""
    print(f"[{time.monotonic() - _START:6.1f} s] {text}", flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what begins, and how long it took when it ends well."""
    say(f"{what} ...")
    begun = time.monotonic()
    yield
    say(f"{what}: done in {time.monotonic() - begun:.1f} s")


def kubectl(*words: str, namespace: str = NAMESPACE) -> str:
    """Run kubectl and return its stdout; raise `DemoError` with what it said if it fails."""
    with start(*words, namespace=namespace) as process:
        stdout, stderr = process.communicate()
    if process.returncode != 0:
        raise DemoError(f"`kubectl {' '.join(words)}` failed: {stderr.strip() or stdout.strip()}")
    return stdout


def start(*words: str, namespace: str = NAMESPACE) -> subprocess.Popen[str]:
    """Start kubectl with pipes for what it prints."""
    line = ["kubectl", f"--namespace={namespace}", *words]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    try:
        return subprocess.Popen(line, stdin=nothing, stdout=pipe, stderr=pipe, text=True, bufsize=1)  # noqa: S603
    except FileNotFoundError:
        raise DemoError("kubectl is not installed: run `make demo`, which brings its own") from None


def show(*words: str) -> None:
    """Print a kubectl command and what it prints."""
    print(f"\n$ kubectl --namespace={NAMESPACE} {' '.join(words)}\n{kubectl(*words)}", end="", flush=True)
