"""What is believed of a server's capacity, reading after reading."""

from collections.abc import Sequence

import pytest

from poolbudget.planning.capacity import Belief
from poolbudget.planning.model import Observed

LARGE, SMALL, SMALLER = Observed(100, 3), Observed(60, 3), Observed(40, 3)


def believe(readings: Sequence[Observed], noted: Observed | None = None, spacing: float = 5.0) -> Belief:
    belief = Belief.of(noted)
    for number, reading in enumerate(readings):
        belief = belief.after(reading, number * spacing)
    return belief


@pytest.mark.parametrize(
    ("readings", "believed", "least"),
    [
        pytest.param([], None, None, id="nothing was read"),
        pytest.param([LARGE], LARGE, LARGE, id="the first reading"),
        pytest.param([LARGE, SMALL], LARGE, SMALL, id="a drop, read once"),
        pytest.param([LARGE, SMALL, SMALL], LARGE, SMALL, id="a drop, read twice"),
        pytest.param([LARGE, SMALL, SMALL, SMALL], SMALL, SMALL, id="a drop, read three times"),
        pytest.param([SMALL, LARGE], SMALL, SMALL, id="a raise, read once"),
        pytest.param([SMALL, LARGE, LARGE, LARGE], LARGE, LARGE, id="a raise, read three times"),
        pytest.param([LARGE, SMALL, LARGE, SMALL, LARGE], LARGE, SMALL, id="a flapping pair"),
        pytest.param([LARGE, SMALL, LARGE, LARGE, LARGE], LARGE, LARGE, id="a drop that did not last"),
        pytest.param([LARGE, SMALLER, SMALL, SMALL], LARGE, SMALLER, id="two drops: the least of them counts"),
        pytest.param([LARGE, SMALLER, SMALL, SMALL, SMALL], SMALL, SMALL, id="the last of two drops is believed"),
        pytest.param([LARGE, Observed(100, 9)], LARGE, Observed(100, 9), id="the server keeps more for itself"),
    ],
)
def test_a_reading_is_believed_once_it_was_repeated(
    readings: list[Observed], believed: Observed | None, least: Observed | None
) -> None:
    belief = believe(readings)
    assert (belief.believed, belief.least) == (believed, least)


def test_readings_of_one_moment_count_once() -> None:
    assert believe([LARGE, *[SMALL] * 9], spacing=0.1).believed == LARGE
    assert believe([LARGE, *[SMALL] * 9], spacing=0.4).believed == SMALL


def test_a_drop_while_no_operator_ran_is_doubted_as_well() -> None:
    belief = believe([SMALL], noted=LARGE)
    assert (belief.believed, belief.least) == (LARGE, SMALL)
