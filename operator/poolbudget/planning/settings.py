"""The settings that a pod gets: which variables carry them, and their values.

The webhook asks `setting_names` which variables to inject, as references to annotations of the pod; the operator
writes those annotations with `setting_values` when it grants. Both know of a setting only if it has a value: a
reference to an annotation that is not there is an empty string, and `int("")` ends the application.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256

from poolbudget.api.v1alpha1 import Database, PoolBudgetSpec, Route, SettingName, Workload, WorkloadMode
from poolbudget.planning.model import BudgetKey, PoolShare
from poolbudget.planning.poolers import Endpoint, endpoint
from poolbudget.planning.profiles import effects

ANNOTATION_PREFIX = "env.poolbudget.dev/"
MOST_CHARACTERS = 63
"""Of the name part of an annotation's key, and of application_name in Postgres (NAMEDATALEN - 1)."""
HASH_CHARACTERS = 8
VALID_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

OF_A_POD = frozenset({SettingName.APPLICATION_NAME, SettingName.HOST, SettingName.PORT})
"""What all pools of a pod share. The variables of everything else carry the name of a named pool in front."""


def setting_names(spec: PoolBudgetSpec, workload: Workload) -> dict[str, tuple[str, SettingName]]:
    """Return the variables that a pod of the workload gets, in order: name to pool ("" for none) and setting."""
    variables = _variables(spec, workload)
    of_pools = {setting: name for setting, name in variables.items() if setting not in OF_A_POD}
    of_pod = {name: ("", setting) for setting, name in variables.items() if setting in OF_A_POD}
    return _of_pools(workload, of_pools) | of_pod


def pool_variables(workload: Workload, settings: Iterable[SettingName]) -> dict[str, tuple[str, SettingName]]:
    """Return the variables of such settings of a pool as always have a value, like `setting_names`."""
    names = {**effects(workload).names, **workload.env.names}
    return _of_pools(workload, {setting: names[setting] for setting in settings if setting in names})


def setting_values(
    budget: BudgetKey, spec: PoolBudgetSpec, workload: Workload, pools: Sequence[PoolShare], mode: WorkloadMode
) -> dict[str, str]:
    """Return the value of every variable of `setting_names` for a pod whose processes are told of these pools.

    `mode` is Direct, Pooled or NullPool. Raises ValueError for the latter two where the budget can have no pooler.
    """
    server: Database | Endpoint | None = spec.database
    prepared_statements = True
    if mode is not WorkloadMode.DIRECT:
        server = pooler = endpoint(budget, spec)
        if pooler is None:
            raise ValueError(f"PoolBudget {budget} has no pooler for workload {workload.name} of mode {mode}")
        prepared_statements = pooler.prepared_statements
    by_pool = {pool.name: _values_of_a_pool(workload, pool, mode, prepared_statements) for pool in pools}
    of_pod = _values_of_a_pod(budget, server, workload)
    return {
        variable: of_pod[setting] if setting in OF_A_POD else by_pool[pool][setting]
        for variable, (pool, setting) in setting_names(spec, workload).items()
    }


@lru_cache
def annotation_key(variable: str) -> str:
    """Return the key of the annotation that holds a variable's value.

    A name that is no valid name part of a key
    (https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/), as it is too long or begins or
    ends with `_`, is shortened, and told apart by its hash.
    """
    return f"{ANNOTATION_PREFIX}{_shortened(variable, valid=VALID_KEY_NAME.fullmatch(variable) is not None)}"


def _shortened(name: str, *, valid: bool = True) -> str:
    """Return `name`, or its beginning and a hash where it is too long or not valid.

    It begins with a letter or digit.
    """
    if valid and len(name) <= MOST_CHARACTERS:
        return name
    digest = sha256(name.encode()).hexdigest()[:HASH_CHARACTERS]
    stem = name[: MOST_CHARACTERS - HASH_CHARACTERS - 1].lstrip("-_.")
    return f"{stem}-{digest}" if stem else digest


def _of_pools(workload: Workload, variables: Mapping[SettingName, str]) -> dict[str, tuple[str, SettingName]]:
    names: dict[str, tuple[str, SettingName]] = {}
    for pool in [pool.name for pool in workload.pools or ()] or [""]:
        prefix = f"{pool.upper().replace('-', '_')}_" if pool else ""
        names |= {prefix + name: (pool, setting) for setting, name in variables.items()}
    return names


def _variables(spec: PoolBudgetSpec, workload: Workload) -> dict[SettingName, str]:
    """Return the variable of every setting that has a value."""
    routed = workload.route is Route.ENV and spec.database is not None
    has_value = {
        SettingName.COMMAND_TIMEOUT: workload.pool.command_timeout_milliseconds is not None,
        SettingName.STATEMENT_TIMEOUT: workload.pool.statement_timeout_milliseconds is not None,
        SettingName.HOST: routed,
        SettingName.PORT: routed,
    }
    names = {**effects(workload).names, **workload.env.names}
    return {setting: name for setting, name in names.items() if has_value.get(setting, True)}


def _values_of_a_pool(
    workload: Workload, pool: PoolShare, mode: WorkloadMode, prepared_statements: bool
) -> dict[SettingName, str]:
    options, is_pool = workload.pool, mode is not WorkloadMode.NULL_POOL
    # A pooler that forgets a prepared statement between transactions breaks every cache of them.
    cached = "100" if prepared_statements else "0"
    timeout = options.timeout_milliseconds
    if effects(workload).whole_seconds:
        timeout = -(-timeout // 1000) * 1000
    return {
        SettingName.POOL_SIZE: str(pool.size),
        SettingName.MAX_OVERFLOW: str(pool.overflow),
        SettingName.POOL_CLASS: "AsyncAdaptedQueuePool" if is_pool else "NullPool",
        SettingName.POOL_MIN_SIZE: "1",
        SettingName.POOL_MAX_SIZE: str(pool.size + pool.overflow),
        SettingName.POOL_TIMEOUT: _seconds(timeout),
        SettingName.POOL_RECYCLE: str(options.recycle_seconds),
        SettingName.POOL_PRE_PING: str(is_pool and options.pre_ping).lower(),
        SettingName.STATEMENT_CACHE_SIZE: cached,
        SettingName.PREPARED_STATEMENT_CACHE_SIZE: cached,
        SettingName.COMMAND_TIMEOUT: _seconds(options.command_timeout_milliseconds or 0),
        SettingName.STATEMENT_TIMEOUT: str(options.statement_timeout_milliseconds),
    }


def _values_of_a_pod(
    budget: BudgetKey, server: Database | Endpoint | None, workload: Workload
) -> dict[SettingName, str]:
    # Postgres cuts application_name silently; a hash keeps long names apart.
    values = {SettingName.APPLICATION_NAME: _shortened(f"{budget.namespace}/{workload.name}")}
    if server is not None:
        values |= {SettingName.HOST: server.host, SettingName.PORT: str(server.port)}
    return values


def _seconds(milliseconds: int) -> str:
    """Return seconds as the shortest decimal: 30000 is 30, 1500 is 1.5."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".")
