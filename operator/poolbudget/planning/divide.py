"""Divide what is usable among workloads: from their floors up, one connection per process at a time.

`planning.plan` calls `divide` once for each server, with floors that fit; `planning.pools` then splits each share
into pools. Steps are ordered by share / weight. All steps below the highest level that fits as a whole are taken in
one jump; the steps of the next narrow band, in which every claim has at most one, are taken one by one; and again
with the claims that can still grow.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

from poolbudget.planning.model import WorkloadKey


@dataclass(frozen=True, slots=True)
class Claim:
    """What one workload may have. `floor`, `ceiling`: connections per process.

    `step`: what one more connection per process costs (peak pods x processes).
    `fixed`: what its pods open outside the pools (peak pods x extra per pod).
    """

    key: WorkloadKey
    floor: int
    ceiling: int
    weight: int
    step: int
    fixed: int

    @property
    def floor_cost(self) -> int:
        """What the workload takes at its floor."""
        return self.fixed + self.step * self.floor


def divide(claims: Sequence[Claim], usable: int) -> dict[WorkloadKey, int]:
    """Return the connections per process of each claim.

    The workload with the smallest share / weight (ties: key) is raised by one while some step is below its ceiling
    and fits in what is left. The order of the claims changes nothing. Raises ValueError where the floors alone do not
    fit in `usable`.
    """
    shares = {claim.key: claim.floor for claim in claims}
    left = usable - sum(claim.floor_cost for claim in claims)
    if left < 0:
        raise ValueError(f"the floors need {-left} connections more than the {usable} usable ones")
    # Levels are multiples of 1 / resolution: fine enough that between two of them no claim has more than one step.
    resolution = max((claim.weight for claim in claims), default=1)
    level = 0
    while growing := [c for c in claims if shares[c.key] < c.ceiling and c.step <= left]:
        level, left = _jump(growing, shares, level, left, resolution)
        level += 1
        left = _single_steps(growing, shares, level, left, resolution)
    return shares


def _raised(share: int, weight: int, ceiling: int, level: int, resolution: int) -> int:
    """Return the share after all steps that start below `level / resolution`."""
    return min(ceiling, max(share, -(-level * weight // resolution)))


def _jump(
    claims: Sequence[Claim], shares: dict[WorkloadKey, int], level: int, left: int, resolution: int
) -> tuple[int, int]:
    """Take all steps below the highest level that fits as a whole; return that level and what is left.

    They come before all others, and together they fit, so none of them can fail to fit in its turn.
    """
    # Claims of one weight, ceiling and share rise together: there are few such groups in most budgets.
    groups: Counter[tuple[int, int, int]] = Counter()
    for claim in claims:
        groups[shares[claim.key], claim.weight, claim.ceiling] += claim.step

    def cost(candidate: int) -> int:
        return sum(step * (_raised(*group, candidate, resolution) - group[0]) for group, step in groups.items())

    # Nothing is to be raised at `level` itself, and above `top` everything is at its ceiling.
    top = max(-(-c.ceiling * resolution // c.weight) for c in claims)
    level += bisect_right(range(level + 1, top + 1), left, key=cost)
    left -= cost(level)
    shares.update({c.key: _raised(shares[c.key], c.weight, c.ceiling, level, resolution) for c in claims})
    return level, left


def _single_steps(
    claims: Sequence[Claim], shares: dict[WorkloadKey, int], level: int, left: int, resolution: int
) -> int:
    """Take the steps below `level`, at most one for each claim, in order and as far as they fit.

    Return what is left.
    """
    unit = lcm(*(c.weight for c in claims))
    steps = [c for c in claims if shares[c.key] < _raised(shares[c.key], c.weight, c.ceiling, level, resolution)]
    for claim in sorted(steps, key=lambda c: (shares[c.key] * (unit // c.weight), c.key)):
        if claim.step <= left:
            left -= claim.step
            shares[claim.key] += 1
    return left
