"""What the containers of a pod set themselves of the variables that size their pools: found, and charged as it is.

The webhook leaves a variable alone that a container defines. `planning.sizing` asks `overrides` about the template of a
controller, and the grant of a waiting pod about the pod's own spec, since the template may have changed meanwhile.

Nobody sees which pool an application makes of its variables: a pool is charged the larger of poolSize + maxOverflow and
poolMaxSize, and every process of the pod what the container with the most has.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poolbudget.api.types import MOST_CONNECTIONS
from poolbudget.api.v1alpha1 import SettingName, Workload
from poolbudget.detection.environment import Environment, UndetectableError
from poolbudget.detection.podspec import Container, PodSpec
from poolbudget.planning.pools import NOTHING_OWN, OwnPool
from poolbudget.planning.profiles import effects
from poolbudget.planning.settings import annotation_key, pool_variables

SIZE, OVERFLOW, MOST, CLASS = (
    SettingName.POOL_SIZE,
    SettingName.MAX_OVERFLOW,
    SettingName.POOL_MAX_SIZE,
    SettingName.POOL_CLASS,
)
LEAST = {SIZE: 1, OVERFLOW: 0, MOST: 1}
"""The smallest number that is a bound: SQLAlchemy takes a size of 0 and an overflow of -1 as unlimited."""

BOUNDED_CLASSES = frozenset({"AsyncAdaptedQueuePool", "QueuePool"})
_NUMBER = re.compile(r"0|[1-9][0-9]{0,6}")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the containers of a pod set themselves, where they do.

    `message` names the variables. `pools`: by name, those that are touched. `connections`: the fewest of a process with
    which these values hold, over all its pools; exactly these if `is_fixed`.
    """

    message: str
    pools: Mapping[str, OwnPool]
    connections: int
    is_fixed: bool

    def bounds(self, floor: int, share: int) -> tuple[int, int]:
        """Return floor and share of a process that are possible with these values."""
        if self.is_fixed:
            return self.connections, self.connections
        floor = max(floor, self.connections)
        return floor, max(floor, share)

    def added_to(self, message: str) -> str:
        """Return a message that goes on with what is set by hand, where something is."""
        return f"{message}; {self.message}" if self.pools else message


NO_OVERRIDES = Overrides("", NOTHING_OWN, 0, is_fixed=False)


class OverrideError(Exception):
    """A value does not bound the connections, or cannot be read; the text names it and says what to write instead."""


Values = Mapping[tuple[str, SettingName], int]
"""What one container sets itself, by pool and setting."""


def overrides(workload: Workload, pod: PodSpec | None) -> Overrides:
    """Return what the target containers of a pod set themselves; raise `OverrideError` where that bounds nothing."""
    targets = pod.targets(workload.containers) if pod else ()
    if not any(container.env for container in targets):
        return NO_OVERRIDES
    variables = pool_variables(workload, (*LEAST, CLASS))
    own = [_read(container, variables, effects(workload).least_overflow) for container in targets]
    if not any(own):
        return NO_OVERRIDES
    names = [pool.name for pool in workload.pools or ()] or [""]
    touched = {pool for values in own for pool, _ in values}
    pools = {name: _own_pool(name, own, workload) for name in names if name in touched}
    least = [pools[name].least if name in pools else 1 + effects(workload).least_overflow for name in names]
    return Overrides(
        message=_message(targets, own, variables),
        pools=pools,
        connections=effects(workload).pools * sum(least),
        is_fixed=all(name in pools and pools[name].is_fixed for name in names),
    )


def _own_pool(name: str, own: Sequence[Values], workload: Workload) -> OwnPool:
    """Return the connections with which the values of every container hold.

    Those that do not set the overflow get the declared one, as far as it fits maxPerProcess beside the largest size.
    """
    of_profile = effects(workload)
    sizes, overflows, mosts = ([values.get((name, setting)) for values in own] for setting in (SIZE, OVERFLOW, MOST))
    beside = workload.max_per_process // of_profile.pools - max((s for s in sizes if s is not None), default=0)
    declared = max(of_profile.least_overflow, min(workload.pool.max_overflow, beside))
    max_overflow = max(declared if overflow is None else overflow for overflow in overflows)
    least = [1 + of_profile.least_overflow]
    for size, overflow, most in zip(sizes, overflows, mosts, strict=True):
        if size is not None:
            least.append(size + (max_overflow if overflow is None else overflow))
        elif overflow is not None:
            least.append(1 + overflow)
        least.append(most or 0)
    return OwnPool(
        max(least), any(s is not None or m is not None for s, m in zip(sizes, mosts, strict=True)), max_overflow
    )


def _read(
    container: Container, variables: Mapping[str, tuple[str, SettingName]], least_overflow: int
) -> dict[tuple[str, SettingName], int]:
    """Return the numbers that a container sets itself; what refers to our annotation is ours."""
    entries = {variable.name: variable for variable in container.env}
    environment = Environment.of(container.env, has_env_from=container.has_env_from)
    found = {}
    for name, (pool, setting) in variables.items():
        if name not in entries or entries[name].annotation == annotation_key(name):
            continue
        try:
            value = environment.read(name)
        except UndetectableError:
            value = None
        if setting is CLASS:
            if value not in BOUNDED_CLASSES:
                raise _unusable(container, name, value, " or ".join(sorted(BOUNDED_CLASSES)))
            continue
        least = max(LEAST[setting], least_overflow if setting is OVERFLOW else 0)
        if value is None or not _NUMBER.fullmatch(value) or not least <= int(value) <= MOST_CONNECTIONS:
            raise _unusable(container, name, value, f"a whole number from {least}")
        found[pool, setting] = int(value)
    return found


def _unusable(container: Container, name: str, value: str | None, instead: str) -> OverrideError:
    said = "from a source that is not read" if value is None else f"to {value[:40]!r}, which bounds no pool"
    return OverrideError(
        f"container {container.name} sets {name} itself {said}: write {instead}, or remove it there to get a share"
    )


def _message(
    targets: Sequence[Container], own: Sequence[Values], variables: Mapping[str, tuple[str, SettingName]]
) -> str:
    said = [
        f"container {container.name} sets {' and '.join(f'{n} to {v[at]}' for n, at in variables.items() if at in v)}"
        for container, v in zip(targets, own, strict=True)
        if v
    ]
    return f"{', '.join(said)} itself: remove it there to get a share"
