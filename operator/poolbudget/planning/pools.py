"""Split the share of one process into pools, and each pool into SQLAlchemy's pool_size and max_overflow.

`planning.profiles` calls `split` with the shares that `planning.divide` gave and with what the containers set
themselves (`planning.overrides`); `planning.settings` turns the result into variables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poolbudget.api.v1alpha1 import NamedPool
from poolbudget.planning.model import PoolShare


@dataclass(frozen=True, slots=True)
class OwnPool:
    """What containers set themselves of one pool.

    `least`: the fewest connections with which their values hold. `is_fixed`: they open exactly these, as the size is
    theirs. `max_overflow`: the largest overflow that any of them has, its own or the declared one.
    """

    least: int
    is_fixed: bool
    max_overflow: int


NOTHING_OWN: Mapping[str, OwnPool] = {}


def split(
    share: int, max_overflow: int, pools: Sequence[NamedPool] | None, own: Mapping[str, OwnPool] = NOTHING_OWN
) -> tuple[PoolShare, ...]:
    """Return the pools of one process in the order of the spec; together they hold exactly `share`.

    The overflow is a part of the share, never on top of it, and no size is 0, which SQLAlchemy reads as unlimited.
    Pools of `own` that are fixed have what they have, and the others divide the rest; if all are, it stays unused.
    Raises ValueError for a share that cannot hold the least of every pool: some pool would open more than is charged.
    """
    if not pools and not own and share > 0:
        return (_pool("", share, max_overflow),)
    weights = {pool.name: pool.weight for pool in pools} if pools else {"": 1}
    least = {name: own[name].least if name in own else 1 for name in weights}
    if share < sum(least.values()):
        raise ValueError(f"{share} connections cannot be split into pools of at least {[*least.values()]}")
    fixed = {name: pool.least for name, pool in own.items() if pool.is_fixed}
    free = {name: weight for name, weight in weights.items() if name not in fixed}
    parts = fixed | _by_weight(share - sum(fixed.values()), free, least)
    return tuple(
        [_pool(name, parts[name], own[name].max_overflow if name in own else max_overflow) for name in weights]
    )


def _pool(name: str, connections: int, max_overflow: int) -> PoolShare:
    overflow = min(max_overflow, connections - 1)
    return PoolShare(name, size=connections - overflow, overflow=overflow)


def _by_weight(share: int, weights: Mapping[str, int], least: Mapping[str, int]) -> dict[str, int]:
    """Apportion by the largest remainder (ties: name).

    A pool that would go below its least gets that, and the others divide the rest.
    """
    total = sum(weights.values())
    parts = {name: share * weight // total for name, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda name: (-(share * weights[name] % total), name))
    for name in by_remainder[: share - sum(parts.values())]:
        parts[name] += 1
    short = {name: least[name] for name, part in parts.items() if part < least[name]}
    if not short:
        return parts
    rest = {name: weight for name, weight in weights.items() if name not in short}
    return short | _by_weight(share - sum(short.values()), rest, least)
