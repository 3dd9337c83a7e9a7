"""How the share of a process becomes pools."""

import pytest

from poolbudget.api.v1alpha1 import NamedPool
from poolbudget.planning.pools import split


@pytest.mark.parametrize(
    ("share", "max_overflow", "size", "overflow"),
    [(47, 5, 42, 5), (6, 5, 1, 5), (5, 5, 1, 4), (1, 5, 1, 0), (8, 0, 8, 0), (20, 100, 1, 19)],
)
def test_overflow_is_a_part_of_the_share_and_size_is_never_zero(
    share: int, max_overflow: int, size: int, overflow: int
) -> None:
    (pool,) = split(share, max_overflow, None)
    assert (pool.name, pool.size, pool.overflow) == ("", size, overflow)


WEIGHTS: dict[str, tuple[int, dict[str, int], dict[str, int]]] = {
    "in proportion": (10, {"read": 4, "write": 1}, {"read": 8, "write": 2}),
    "by the largest remainder": (7, {"read": 4, "write": 1}, {"read": 6, "write": 1}),
    "ties go to the first name": (5, {"b": 1, "a": 1}, {"b": 2, "a": 3}),
    "at least one each": (2, {"read": 1000, "write": 1}, {"read": 1, "write": 1}),
    "at least one each, and the others divide the rest": (
        11,
        {"a": 1000, "b": 500, "c": 1, "d": 1},
        {"a": 6, "b": 3, "c": 1, "d": 1},
    ),
    "one pool takes all": (9, {"read": 3}, {"read": 9}),
}


@pytest.mark.parametrize(("share", "weights", "sizes"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_several_pools_divide_by_weight(share: int, weights: dict[str, int], sizes: dict[str, int]) -> None:
    pools = split(share, 0, [NamedPool(name=name, weight=weight) for name, weight in weights.items()])
    assert {pool.name: pool.size for pool in pools} == sizes


def test_each_pool_has_its_own_overflow() -> None:
    pools = split(10, 3, [NamedPool(name="read", weight=4), NamedPool(name="write")])
    assert [(pool.size, pool.overflow) for pool in pools] == [(5, 3), (1, 1)]
