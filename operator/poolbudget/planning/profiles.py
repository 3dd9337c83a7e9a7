"""What `env.profile` of a workload means for its plan and its settings.

`planning.sizing` asks `misfit` first and then plans with `effects`; `planning.settings` names and fills the variables.
"""

from collections.abc import Mapping
from difflib import get_close_matches

from poolbudget.api.v1alpha1 import Route, SettingName, Workload, WorkloadMode
from poolbudget.detection.podspec import PodSpec
from poolbudget.detection.profiles import Effects, catalogue
from poolbudget.planning.model import PoolShare
from poolbudget.planning.pools import NOTHING_OWN, OwnPool, split

DEFAULT_PROFILE = "Default"

DEFAULT = Effects(
    names={
        SettingName.POOL_SIZE: "DB_POOL_SIZE",
        SettingName.MAX_OVERFLOW: "DB_MAX_OVERFLOW",
        SettingName.POOL_CLASS: "DB_POOL_CLASS",
        SettingName.POOL_MIN_SIZE: "DB_POOL_MIN_SIZE",
        SettingName.POOL_MAX_SIZE: "DB_POOL_MAX_SIZE",
        SettingName.POOL_TIMEOUT: "DB_POOL_TIMEOUT",
        SettingName.POOL_RECYCLE: "DB_POOL_RECYCLE",
        SettingName.POOL_PRE_PING: "DB_POOL_PRE_PING",
        SettingName.STATEMENT_CACHE_SIZE: "DB_STATEMENT_CACHE_SIZE",
        SettingName.PREPARED_STATEMENT_CACHE_SIZE: "DB_PREPARED_STATEMENT_CACHE_SIZE",
        SettingName.COMMAND_TIMEOUT: "DB_COMMAND_TIMEOUT",
        SettingName.STATEMENT_TIMEOUT: "DB_STATEMENT_TIMEOUT",
        SettingName.APPLICATION_NAME: "DB_APPLICATION_NAME",
        SettingName.HOST: "DB_HOST",
        SettingName.PORT: "DB_PORT",
    }
)
"""The names of PoolBudget's own, in the order in which pods get them."""


def effects(workload: Workload) -> Effects:
    """Return what the profile of a workload changes; an unknown profile, which is never planned, changes nothing."""
    name = workload.env.profile
    return DEFAULT if name == DEFAULT_PROFILE else catalogue().get(name, DEFAULT)


def misfit(workload: Workload, pod: PodSpec | None) -> str:
    """Return why a workload cannot have its profile, and what to write instead; empty if it can."""
    name = workload.env.profile
    if name == DEFAULT_PROFILE:
        return ""
    if name not in catalogue():
        close = get_close_matches(name.lower(), catalogue(), n=1)
        known = f"did you mean {close[0]}?" if close else f"write {DEFAULT_PROFILE} or one of {', '.join(catalogue())}"
        return f"env.profile {name} is not known: {known}"
    of_profile = effects(workload)
    if workload.pools:
        return f"the pools of {name} are its own: remove `pools` of the workload"
    if workload.route is Route.ENV and not {SettingName.HOST, SettingName.PORT} <= {
        *of_profile.names,
        *workload.env.names,
    }:
        return f"{name} has no variables for host and port: remove `route` of the workload, or name them in `env.names`"
    if workload.max_per_process < floor(of_profile):
        return f"{name} needs {floor(of_profile)} connections a process: raise `maxPerProcess` of the workload to that"
    for container in pod.targets(workload.containers) if pod else ():
        values = {variable.name: variable.value for variable in container.env}
        for variable, value in of_profile.requires.items():
            if values.get(variable) != value:
                return f'{name} needs {variable}: set it to "{value}" in the env of container {container.name}'
    return ""


def floor(of_profile: Effects) -> int:
    """Return the fewest connections of a process: each of its pools needs one, beside the least overflow."""
    return max(of_profile.floor, of_profile.pools * (1 + of_profile.least_overflow))


def process_pools(
    workload: Workload,
    share: int,
    own: Mapping[str, OwnPool] = NOTHING_OWN,
    mode: WorkloadMode = WorkloadMode.DIRECT,
) -> tuple[PoolShare, ...]:
    """Return the pools of one process as it is told of them: one stands for all equal ones of an application.

    Behind a pooler a pool keeps what it opens, which costs the server nothing. Without pools each stands for one
    connection at a time.
    """
    if mode is WorkloadMode.NULL_POOL:
        return tuple(PoolShare(name, 1, 0) for name in [pool.name for pool in workload.pools or ()] or [""])
    of_profile = effects(workload)
    if workload.pools is None:
        share = max(share // of_profile.pools, 1 + of_profile.least_overflow)
    declared = workload.pool.max_overflow if mode is WorkloadMode.DIRECT else 0
    return split(share, max(declared, of_profile.least_overflow), workload.pools, own)
