"""Dividing equals its definition: one connection per process at a time."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from poolbudget.planning.divide import Claim, divide
from poolbudget.planning.model import WorkloadKey


def one_at_a_time(claims: list[Claim], usable: int) -> dict[WorkloadKey, int]:
    """The definition: always raise the workload with the smallest share / weight whose step still fits."""
    shares = {claim.key: claim.floor for claim in claims}
    left = usable - sum(claim.fixed + claim.step * claim.floor for claim in claims)
    while open_claims := [c for c in claims if shares[c.key] < c.ceiling and c.step <= left]:
        chosen = min(open_claims, key=lambda c: (Fraction(shares[c.key], c.weight), c.key))
        shares[chosen.key] += 1
        left -= chosen.step
    return shares


@st.composite
def claims_of_a_server(draw: st.DrawFn) -> list[Claim]:
    names = draw(st.lists(st.text("abz-09", min_size=1, max_size=3), min_size=1, max_size=8, unique=True))
    most_weight = draw(st.sampled_from([1, 3, 10, 1000]))
    most_step = draw(st.sampled_from([1, 8, 100]))
    claims = []
    for name in names:
        floor = draw(st.integers(1, 6))
        claims.append(
            Claim(
                WorkloadKey(draw(st.sampled_from("ab")), "budget", name),
                floor=floor,
                ceiling=floor + draw(st.integers(0, 60)),
                weight=draw(st.integers(1, most_weight)),
                step=draw(st.integers(1, most_step)),
                fixed=draw(st.integers(0, 10)),
            )
        )
    return claims


def floors(claims: list[Claim]) -> int:
    return sum(claim.floor_cost for claim in claims)


@settings(max_examples=2000, deadline=None)
@given(claims_of_a_server(), st.integers(0, 5000))
def test_equals_the_definition(claims: list[Claim], beyond_floors: int) -> None:
    usable = floors(claims) + beyond_floors
    assert divide(claims, usable) == one_at_a_time(claims, usable)


@settings(max_examples=200, deadline=None)
@given(claims_of_a_server(), st.integers(0, 5000), st.randoms(use_true_random=False))
def test_the_order_of_the_claims_changes_nothing(claims: list[Claim], beyond_floors: int, random: object) -> None:
    usable = floors(claims) + beyond_floors
    shuffled = claims.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert divide(shuffled, usable) == divide(claims, usable)


@settings(max_examples=200, deadline=None)
@given(claims_of_a_server(), st.integers(0, 5000))
def test_never_more_than_usable_nor_outside_floor_and_ceiling(claims: list[Claim], beyond_floors: int) -> None:
    usable = floors(claims) + beyond_floors
    shares = divide(claims, usable)
    assert sum(c.fixed + c.step * shares[c.key] for c in claims) <= usable
    assert all(c.floor <= shares[c.key] <= c.ceiling for c in claims)
