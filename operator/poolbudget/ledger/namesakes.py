"""Hosts behind which one and the same Postgres runs. Pure; `servers` asks in every round, before anything is decided.

Divided apart, its connections would be given away once for each name. Servers are told apart by the instant at which
they started, to the microsecond, and not by the system identifier: a standby has that of its primary.
"""

from collections.abc import Mapping
from typing import NamedTuple

APART_SECONDS = 15.0
"""Names that led to one server part once both were read for so long after that: they are not read at the same instant,
and Postgres may have started anew between two readings."""


class Start(NamedTuple):
    """When a server says that it started, and when it said so, in seconds of a clock that never goes back."""

    instant: str
    read_at: float


class Namesakes:
    """Remembers when two names last led to the same server."""

    def __init__(self) -> None:
        self._met: dict[frozenset[str], float] = {}

    def of(self, name: str, starts: Mapping[str, Start]) -> frozenset[str]:
        """Return the other names of this server; `starts` is what the servers behind all names said last."""
        found = set[str]()
        if (mine := starts.get(name)) is None:
            return frozenset()
        for other, start in starts.items():
            pair, read_at = frozenset((name, other)), min(mine.read_at, start.read_at)
            if start.instant == mine.instant:
                self._met[pair] = read_at
            if read_at - self._met.get(pair, float("-inf")) < APART_SECONDS:
                found.add(other)
        return frozenset(found - {name})
