"""Whatever containers set themselves: what they open at a share is never more than the share."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from poolbudget.api.v1alpha1 import Workload
from poolbudget.detection.podspec import Container, PodSpec, Variable
from poolbudget.planning.overrides import overrides
from poolbudget.planning.profiles import effects, process_pools

SETTINGS = ("DB_POOL_SIZE", "DB_MAX_OVERFLOW", "DB_POOL_MAX_SIZE")
MLFLOW = ("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", "MY_MAX_SIZE")
KINDS: list[dict[str, Any]] = [
    {},
    {"pools": [{"name": "read", "weight": 3}, {"name": "write"}, {"name": "bulk", "weight": 2}]},
    {"env": {"profile": "mlflow", "names": {"poolMaxSize": "MY_MAX_SIZE"}}},
]


def variables(workload: Workload) -> list[tuple[str, ...]]:
    """Return the names of size, overflow and largest size of each pool."""
    if workload.env.profile != "Default":
        return [MLFLOW]
    prefixes = [f"{pool.name.upper()}_" for pool in workload.pools or ()] or [""]
    return [tuple(prefix + setting for setting in SETTINGS) for prefix in prefixes]


@given(data=st.data(), kind=st.sampled_from(KINDS), max_overflow=st.integers(0, 30), above=st.integers(0, 40))
def test_no_process_opens_more_than_it_is_charged(
    data: st.DataObject, kind: dict[str, Any], max_overflow: int, above: int
) -> None:
    names = ["a", "b", "c"][: data.draw(st.integers(1, 3), label="containers")]
    workload = Workload.model_validate(
        {"name": "api", "containers": names, "pool": {"maxOverflow": max_overflow}, **kind}
    )
    pools = variables(workload)
    least = {overflow: effects(workload).least_overflow for _, overflow, _ in pools}
    envs = [
        {v: data.draw(st.none() | st.integers(least.get(v, 1), 20), label=v) for pool in pools for v in pool}
        for _ in names
    ]
    pod = PodSpec(
        tuple(
            Container(name, env=tuple(Variable(v, str(n)) for v, n in env.items() if n is not None))
            for name, env in zip(names, envs, strict=True)
        )
    )
    own = overrides(workload, pod)
    floor, share = own.bounds(workload_floor(workload), workload_floor(workload) + above)
    assert floor <= share
    for given_share in {floor, share}:
        told = process_pools(workload, given_share, own.pools)
        assert all(pool.size >= 1 for pool in told)
        for env in envs:
            opened = 0
            for (size, overflow, most), pool in zip(pools, told, strict=True):
                sqlalchemy = (env[size] or pool.size) + (pool.overflow if env[overflow] is None else env[overflow] or 0)
                opened += max(sqlalchemy, env[most] or pool.size + pool.overflow)
            assert opened * effects(workload).pools <= given_share


def workload_floor(workload: Workload) -> int:
    """Return the least that the workload works with as `planning.sizing` has it, without what is set by hand."""
    of_profile = effects(workload)
    return max(2, len(workload.pools or ()), of_profile.pools * (1 + of_profile.least_overflow))
