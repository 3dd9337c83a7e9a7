"""Whatever a process is given, the pools that its application makes of it hold no more."""

from hypothesis import given
from hypothesis import strategies as st

from poolbudget.api.v1alpha1 import Workload
from poolbudget.detection.profiles import catalogue
from poolbudget.planning.profiles import floor, process_pools


@given(
    application=st.sampled_from(sorted(catalogue())),
    above_the_floor=st.integers(0, 500),
    max_overflow=st.integers(0, 500),
)
def test_all_pools_of_a_process_together_hold_its_share(
    application: str, above_the_floor: int, max_overflow: int
) -> None:
    profile = catalogue()[application]
    share = floor(profile) + above_the_floor
    declared = {"name": "api", "env": {"profile": application}, "pool": {"maxOverflow": max_overflow}}
    workload = Workload.model_validate(declared)
    (pool,) = process_pools(workload, share)
    assert pool.size >= 1
    assert pool.overflow >= profile.least_overflow
    assert share - profile.pools < profile.pools * (pool.size + pool.overflow) <= share
