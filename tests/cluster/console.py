"""Says what is being done and how long it took, runs programs, and lets one run at a time do a piece of work.

Used by every module here that does something; all of it goes to stderr, stdout is for results.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class ClusterError(Exception):
    """The work cannot go on; the text says why and what to do."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"cluster: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what` when the block starts, and its seconds when it ends well."""
    say(f"{what} ...")
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.1f} s")


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run `command` with `env` on top of the environment and return its stdout; a failure shows its last lines."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            check=False,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]} is not installed") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise ClusterError(f"`{' '.join(words)}` ended with exit code {done.returncode}:\n{tail}")
    return done.stdout


def succeeds(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> bool:
    """Whether `command` is there and ends with exit code 0."""
    try:
        run(command, env)
    except ClusterError:
        return False
    return True


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; waits, and says so, while another run holds it."""
    with open_lock(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds {path}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def lock_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` and yield True, or yield False at once when another run holds it."""
    with open_lock(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def open_lock(path: Path) -> Iterator[int]:
    """Open the lock file; closing it, or the end of this process, gives the lock up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
