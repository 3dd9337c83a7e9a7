"""Split the share of one process into pools, and each pool into SQLAlchemy's pool_size and max_overflow.

`planning.plan` calls `split` with the shares that `planning.divide` gave; `planning.settings` turns the result into
variables.
"""

from collections.abc import Sequence

from poolbudget.api.v1alpha1 import NamedPool
from poolbudget.planning.model import PoolShare


def split(share: int, max_overflow: int, pools: Sequence[NamedPool] | None) -> tuple[PoolShare, ...]:
    """Return the pools of one process in the order of the spec; together they hold exactly `share`.

    The overflow is a part of the share, never on top of it, and no size is 0, which SQLAlchemy reads as unlimited.
    Raises ValueError for a share below 1 or below the number of pools: some pool would be unlimited.
    """
    if share < max(1, len(pools or ())):
        raise ValueError(f"{share} connections cannot be split into {max(1, len(pools or ()))} pools")
    if pools is None:
        return (_pool("", share, max_overflow),)
    parts = _by_weight(share, pools)
    return tuple(_pool(pool.name, parts[pool.name], max_overflow) for pool in pools)


def _pool(name: str, connections: int, max_overflow: int) -> PoolShare:
    overflow = min(max_overflow, connections - 1)
    return PoolShare(name, size=connections - overflow, overflow=overflow)


def _by_weight(share: int, pools: Sequence[NamedPool]) -> dict[str, int]:
    """Apportion by the largest remainder (ties: name).

    A pool that would go empty gets 1, and the others divide the rest.
    """
    total = sum(pool.weight for pool in pools)
    parts = {pool.name: share * pool.weight // total for pool in pools}
    by_remainder = sorted(pools, key=lambda pool: (-(share * pool.weight % total), pool.name))
    for pool in by_remainder[: share - sum(parts.values())]:
        parts[pool.name] += 1
    empty = [name for name, part in parts.items() if part == 0]
    if not empty:
        return parts
    rest = [pool for pool in pools if pool.name not in empty]
    return dict.fromkeys(empty, 1) | _by_weight(share - len(empty), rest)
