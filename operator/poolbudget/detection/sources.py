"""The kinds of places where a server may find its number of processes.

`servers` lists them for each server in the order of its precedence and calls `first`. A source answers with a count,
passes on with None, or raises `UndetectableError` where there is an answer that the spec does not show.
"""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from poolbudget.detection.command import Command
from poolbudget.detection.environment import UNREADABLE, UndetectableError
from poolbudget.detection.options import occurrences

MOST_PROCESSES = 10_000
"""The bound of `spec.workloads[].processes`: more is a mistake of the manifest."""


@dataclass(frozen=True, slots=True)
class Count:
    """Processes that open pools, and where the number stands. `threads`: one process runs its tasks in threads."""

    processes: int
    source: str
    threads: bool = False


Source = Callable[[Command], Count | None]


def first(sources: Iterable[Source], command: Command) -> Count | None:
    """Ask the sources in their order and return the first answer."""
    return next((found for source in sources if (found := source(command))), None)


def flag(*names: str, switches: str = "") -> Source:
    """Make an option whose last occurrence is the number, or several between commas, of which the largest counts."""

    def read(command: Command) -> Count | None:
        found = occurrences(command.arguments, names, switches)
        return _count(found[-1], names[-1]) if found else None

    return read


def variable(name: str) -> Source:
    """Make a variable that is the number."""

    def read(command: Command) -> Count | None:
        value = command.environment.read(name)
        return None if value is None else _count(value, name)

    return read


def arguments_variable(name: str, *sources: Source) -> Source:
    """Make a variable that holds further arguments, which `sources` read in their turn."""

    def read(command: Command) -> Count | None:
        value = command.environment.read(name) or ""
        try:
            arguments = tuple(shlex.split(value))
        except ValueError as error:
            raise UndetectableError(f"{name} cannot be split ({error})") from error
        found = first(sources, replace(command, arguments=arguments))
        return found and replace(found, source=name)

    return read


def thread_pool(*names: str, kinds: frozenset[str]) -> Source:
    """Make an option that names a kind of pool; the `kinds` run all tasks in one process."""

    def read(command: Command) -> Count | None:
        kind = next(reversed(occurrences(command.arguments, names)), "")
        return Count(1, f"{names[-1]} {kind}", threads=True) if kind in kinds else None

    return read


def switch(name: str) -> Source:
    """Make an option whose presence means one process."""

    def read(command: Command) -> Count | None:
        present = any(value != UNREADABLE for value in occurrences(command.arguments, (name,)))
        return Count(1, name) if present else None

    return read


def hidden(place: str, *, options: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> Source:
    """Make options and variables which say that the number may stand in a `place` that the spec does not show."""

    def read(command: Command) -> Count | None:
        by_variable = any(name in command.environment.values for name in names)
        if by_variable or occurrences(command.arguments, options):
            raise UndetectableError(f"the number of processes may stand in {place}, which is not read")
        return None

    return read


def hidden_file(*suffixes: str) -> Source:
    """Make a configuration file among the arguments."""

    def read(command: Command) -> Count | None:
        file = next((argument for argument in command.arguments if argument.endswith(suffixes)), None)
        if file is not None:
            raise UndetectableError(f"the number of processes may stand in {file}, which is not read")
        return None

    return read


def default(processes: int) -> Source:
    """Make the number that the server takes when nothing is said."""
    return lambda command: Count(processes, f"default of {command.program}")


def per_cpu(command: Command) -> Count | None:
    """Refuse to guess a default that follows the CPUs of the node."""
    raise UndetectableError(f"{command.program} starts one process per CPU of the node unless it is told a number")


def _count(text: str, source: str) -> Count:
    if UNREADABLE in text:
        raise UndetectableError(f"the value of {source} comes from valueFrom or envFrom, which are not read")
    try:
        processes = max(int(part) for part in text.split(","))
    except ValueError:
        processes = 0
    if not 1 <= processes <= MOST_PROCESSES:
        raise UndetectableError(f"{source} is {text[:40]!r}, not a whole number from 1 to {MOST_PROCESSES}")
    return Count(processes, source)
