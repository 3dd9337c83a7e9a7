"""A container, and what its spec should say about its number of processes: shown, or hidden."""

import shlex
from dataclasses import dataclass, field

from poolbudget.detection.podspec import Container, Variable


@dataclass(frozen=True)
class Case:
    """A container, and the count that its spec shows."""

    sentence: str
    command: str | list[str]
    count: int
    env: dict[str, str | None] = field(default_factory=dict)
    env_from: bool = False
    prefork: bool = False


@dataclass(frozen=True)
class Hidden:
    """A container whose spec does not show the count, and words of the reason."""

    sentence: str
    command: str | list[str]
    reason: str
    env: dict[str, str | None] = field(default_factory=dict)
    env_from: bool = False


def container(case: Case | Hidden) -> Container:
    """Return the container of a case, named `app`."""
    words = shlex.split(case.command) if isinstance(case.command, str) else case.command
    return Container(
        "app",
        command=tuple(words[:1]),
        args=tuple(words[1:]),
        env=tuple(Variable(key, value) for key, value in case.env.items()),
        has_env_from=case.env_from,
    )
