"""The most connections that one process may have: the smallest of maxPerProcess, demand and the workload's `max`.

`planning.plan` calls `ceilings` for every workload; `planning.divide` raises shares up to the smallest of them.
All arithmetic is exact: whole numbers, rounded once.
"""

from poolbudget.api.v1alpha1 import Demand, Workload


def most_connections(maximum: int | str | None, max_connections: int) -> int | None:
    """Return `max` of a workload in connections, None without one; "50%" is of the declared `maxConnections`."""
    if maximum is None or isinstance(maximum, int):
        return maximum
    return int(maximum.removesuffix("%")) * max_connections // 100


def demand_per_process(demand: Demand, steady: int, processes: int) -> int:
    """Return the connections per process that `demand` asks for, its headroom included, rounded up.

    Little's law (J. D. C. Little, 1961): what is held at once is the rate times the time that each is held.
    """
    if demand.concurrency is not None:
        numerator, denominator = demand.concurrency, 1
    else:
        numerator, denominator = (demand.requests_per_second or 0) * (demand.hold_milliseconds or 0), 1000
    numerator *= demand.connections_per_request * (100 + demand.headroom_percent)
    denominator *= demand.requests_per_connection * 100
    if demand.per == "Workload":
        denominator *= steady * processes
    return -(-numerator // denominator)


def ceilings(
    workload: Workload, most: int | None, *, floor: int, steady: int, peak: int, processes: int
) -> dict[str, int]:
    """Return every limit of the connections per process, keyed by the field of the spec that sets it.

    `most` is the workload's `max` in connections. Only `max` may lower the ceiling below the floor, and then the
    workload does not fit.
    """
    limits = {"maxPerProcess": max(floor, workload.max_per_process)}
    if workload.demand is not None:
        limits["demand"] = max(floor, demand_per_process(workload.demand, steady, processes))
    if most is not None:
        limits["max"] = (most - peak * workload.extra_per_pod) // (peak * processes)
    return limits
