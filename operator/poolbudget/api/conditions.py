"""The conditions of a PoolBudget: what is true of it now, and since when.

`report` states what is found as `NewCondition`; `act.status` calls `merge`, which carries over the times of those that
did not change, before it writes the status. The shape is metav1.Condition.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from poolbudget.api.status import Condition

_STATUS: dict[bool | None, Literal["True", "False", "Unknown"]] = {True: "True", False: "False", None: "Unknown"}


class NewCondition(NamedTuple):
    """A condition without its history. `status` is None where it is not known; `reason` is one CamelCase word."""

    type: str
    status: bool | None
    reason: str
    message: str


def merge(previous: Sequence[Condition], new: Iterable[NewCondition], generation: int, now: str) -> list[Condition]:
    """Return the conditions of `new`, in its order, as observed at `generation`.

    `lastTransitionTime` becomes `now` (RFC 3339) only where the status flips or is new. Types that are not in `new`
    are dropped.
    """
    before = {item.type: item for item in previous}
    return [_dated(found, before.get(found.type), generation, now) for found in new]


def _dated(found: NewCondition, before: Condition | None, generation: int, now: str) -> Condition:
    status = _STATUS[found.status]
    return Condition(
        type=found.type,
        status=status,
        reason=found.reason,
        message=found.message,
        last_transition_time=before.last_transition_time if before and before.status == status else now,
        observed_generation=generation,
    )
