"""What is believed of a server's capacity, from reading to reading. Pure.

A fail-over may change the capacity, and while a name points now to the one server and now to the other, single readings
say little. So a reading is believed once it was repeated; until then plans stand, but nothing is granted that would not
fit the least of what was read. That holds for a raise as well: what is granted on a reading that does not last cannot
be taken back. `observe.gather` keeps one `Belief` for each server, `planning.plan` plans on it.
"""

from dataclasses import dataclass
from typing import Self

from poolbudget.planning.model import Observed

READINGS = 3
SPACING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Belief:
    """The `believed` capacity, and the `least` of it and of all that was read since it was last confirmed.

    `latest` was read `repeated` times in a row; `counted_at` is when that was last counted, in seconds.
    """

    believed: Observed | None = None
    least: Observed | None = None
    latest: Observed | None = None
    repeated: int = 0
    counted_at: float = 0.0

    @classmethod
    def of(cls, observed: Observed | None) -> Self:
        """Return a belief that was noted earlier; None: nothing is known."""
        return cls(observed, observed)

    def after(self, reading: Observed, now: float) -> "Belief":
        """Return the belief after one more reading.

        The first is believed at once. Readings that are less than SPACING_SECONDS apart count as one.
        """
        if self.believed is None or self.least is None:
            return Belief(reading, reading, reading, READINGS, now)
        if reading == self.latest and now - self.counted_at < SPACING_SECONDS:
            return self
        repeated = self.repeated + 1 if reading == self.latest else 1
        if repeated >= READINGS:
            return Belief(reading, reading, reading, repeated, now)
        return Belief(self.believed, _least(self.least, reading), reading, repeated, now)


def _least(one: Observed, other: Observed) -> Observed:
    return Observed(min(one.max_connections, other.max_connections), max(one.reserved, other.reserved))
