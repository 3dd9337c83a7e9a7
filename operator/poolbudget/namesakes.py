"""Hosts behind which one and the same Postgres runs. Pure; asked by `servers` before every round.

Divided apart, its connections would be given away once for each name. Servers are told apart by the instant at which
they started, to the microsecond, and not by the system identifier: a standby has that of its primary.
"""

from collections.abc import Mapping

APART_SECONDS = 15.0
"""Names that led to one server are taken for one for some more readings: they are not read at the same instant, and
Postgres may have started anew between two of them."""


class Namesakes:
    """Remembers when two names last led to the same server. `now` is in seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._met: dict[frozenset[str], float] = {}

    def of(self, name: str, started: Mapping[str, str], now: float) -> frozenset[str]:
        """Return the other names of this server. `started`: when the server behind each name says that it did."""
        mine = started.get(name)
        self._met |= {frozenset((name, other)): now for other in started if other != name and started[other] == mine}
        self._met = {pair: met for pair, met in self._met.items() if now - met < APART_SECONDS}
        return frozenset().union(*(pair for pair in self._met if name in pair)) - {name}
