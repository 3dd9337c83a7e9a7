"""The part of a PoolBudget that describes one workload: its controller, processes, demand, pools and variables.

`api.spec` lists the workloads; `planning` sizes them.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from poolbudget.api.rules import Model, RawRule, Rule, UniqueItems
from poolbudget.api.types import (
    UNSTORED_DEFAULT,
    Connections,
    ConnectionsOrShare,
    Flag,
    Milliseconds,
    Name,
    ObjectName,
    Percent,
    PoolName,
    Positive,
    Route,
    Seconds,
    SettingName,
    ShortText,
    UpdateMode,
    VariableName,
    WorkloadMode,
)

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_SETTINGS = [setting.value for setting in SettingName]


class TargetReference(Model):
    """The controller whose pods form the workload, in the namespace of the budget."""

    api_version: Annotated[ShortText, Field(max_length=100)] = "apps/v1"
    """API group and version, such as apps/v1."""
    kind: ShortText = "Deployment"
    """Kind of the controller, such as Deployment or StatefulSet."""
    name: ObjectName
    """Name of the controller."""


class Demand(Model):
    """How many connections the workload needs at once: a concurrency, or a rate and a hold time (Little's law)."""

    concurrency: Positive | None = None
    """Requests that are served at once."""
    requests_per_second: Positive | None = None
    """Requests per second at the busiest; needs holdMilliseconds."""
    hold_milliseconds: Milliseconds | None = None
    """How long one request holds its connection, in milliseconds; needs requestsPerSecond."""
    connections_per_request: Positive = 1
    """Connections that one request holds at once."""
    requests_per_connection: Positive = 1
    """Requests that share one connection because each holds it for a part of its time only."""
    headroom_percent: Percent = 20
    """Added on top, in percent."""
    per: Literal["Workload", "Process"] = "Workload"
    """Whether the figures are those of the whole workload, or of each process."""

    rules = (
        Rule(
            "!has(self.concurrency) || !(has(self.requestsPerSecond) || has(self.holdMilliseconds))",
            lambda d: d.concurrency is None or (d.requests_per_second is None and d.hold_milliseconds is None),
            "write either concurrency, or requestsPerSecond with holdMilliseconds, but not both",
        ),
        Rule(
            "has(self.requestsPerSecond) == has(self.holdMilliseconds)",
            lambda d: (d.requests_per_second is None) == (d.hold_milliseconds is None),
            "requestsPerSecond and holdMilliseconds belong together: write both, or concurrency alone",
        ),
        Rule(
            "has(self.concurrency) || has(self.requestsPerSecond) || has(self.holdMilliseconds)",
            lambda d: any((d.concurrency, d.requests_per_second, d.hold_milliseconds)),
            "write concurrency, or requestsPerSecond with holdMilliseconds",
        ),
    )


class PoolOptions(Model):
    """What every pool of the workload is made with, beyond its size."""

    max_overflow: Connections = 0
    """The most connections of each process that are opened only when busy; a part of its share, not on top of it."""
    timeout_milliseconds: Milliseconds = 30_000
    """How long a caller waits for a connection of the pool."""
    recycle_seconds: Seconds = 1_800
    """Age at which a connection is replaced; 0: when it is next used."""
    pre_ping: Flag = True
    """Whether a connection is tested before it is handed out."""
    statement_timeout_milliseconds: Milliseconds | None = None
    """Postgres' statement_timeout. Without it none is set."""
    command_timeout_milliseconds: Milliseconds | None = None
    """asyncpg's command_timeout, handed over in seconds. Without it none is set."""


class NamedPool(Model):
    """One of several pools of a process; its variables are prefixed with its name (`READ_DB_POOL_SIZE`)."""

    name: PoolName
    """Name of the pool, unique in the workload."""
    weight: Positive = 1
    """Size relative to the other pools of the process."""


class Env(Model):
    """The names of the variables that carry the settings."""

    profile: ShortText = "Default"
    """Which application's variables are set: Default, or one of the known applications."""
    names: Annotated[
        dict[SettingName, VariableName],
        Field(max_length=len(SettingName)),
        UNSTORED_DEFAULT,
        RawRule(
            f"self.all(setting, setting in {_SETTINGS})",
            lambda names: not isinstance(names, Mapping) or all(setting in _SETTINGS for setting in names),
            f"a setting must be one of {', '.join(_SETTINGS)}",
        ),
        Rule(
            f"self.all(setting, self[setting].matches('{_VARIABLE}'))",
            lambda names: all(re.fullmatch(_VARIABLE, variable) for variable in names.values()),
            "a variable must be letters, digits and '_', not beginning with a digit, such as MY_POOL_SIZE",
        ),
        Rule(
            "[self.map(setting, self[setting])].all(names, names.all(one, names.exists_one(other, other == one)))",
            lambda names: len(set(names.values())) == len(names),
            "two settings have the same variable: give each setting a variable of its own",
        ),
    ] = {}
    """Variables to use instead of the profile's, by setting: {poolSize: MY_POOL_SIZE}."""


class Workload(Model):
    """One claimant of the budget: a controller, its processes and what it may have."""

    name: Name
    """Name of the workload, unique in the budget; pods carry it in the label poolbudget.dev/workload."""
    target_ref: TargetReference | None = None
    """The controller whose pods form the workload. Without it: the Deployment named like the workload."""
    containers: Annotated[list[Name], Field(min_length=1, max_length=20), UniqueItems()] | None = None
    """Containers that connect. Without it: the one that the default-container annotation names, else the first."""
    mode: WorkloadMode = WorkloadMode.AUTO
    """Auto, Direct (its own pools), Pooled (its own pools, through the pooler) or NullPool (no pools, pooler)."""
    route: Route = Route.NONE
    """Env: the application takes host and port from what is injected, so it can be moved. None: it is never moved."""
    processes: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = None
    """Processes with pools of their own in one pod, over all its containers. Without it: detected."""
    max_pods: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    """The most pods outside a rollout; replaces what the controller and its autoscaler say."""
    weight: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 1
    """Size of the share of each of its processes, relative to other workloads."""
    max: ConnectionsOrShare | None = None
    """The most connections of the whole workload: a number, or a share of maxConnections such as "50%"."""
    min_per_process: Positive | None = None
    """The floor: the fewest connections a process works with. Without it: 1 for prefork children, else 2; at least the
    number of pools."""
    max_per_process: Positive = 20
    """The most connections of one process: size + overflow, over all its pools."""
    extra_per_pod: Connections = 0
    """Connections of a pod outside its pools: listeners, a parent process."""
    demand: Demand | None = None
    """How many connections are needed at once. Without it the share is bounded by maxPerProcess and max alone."""
    pool: PoolOptions = PoolOptions()
    """What every pool is made with, beyond its size."""
    pools: (
        Annotated[
            list[NamedPool],
            Field(min_length=1, max_length=10),
            UniqueItems("name"),
        ]
        | None
    ) = None
    """The pools of each process, where there are several. Without it: one, unnamed."""
    update_mode: UpdateMode | None = None
    """Replaces spec.updateMode for this workload. Write "Off" in quotes: YAML reads a bare Off as false."""
    env: Env = Env()
    """The names of the variables that carry the settings."""

    rules = (
        Rule(
            "!has(self.minPerProcess) || self.minPerProcess <= self.maxPerProcess",
            lambda workload: (workload.min_per_process or 0) <= workload.max_per_process,
            "minPerProcess must not be above maxPerProcess (20 unless written): lower the one or raise the other",
            "minPerProcess",
        ),
        Rule(
            "!has(self.pools) || size(self.pools) <= self.maxPerProcess",
            lambda workload: len(workload.pools or ()) <= workload.max_per_process,
            "each pool needs a connection of its own: raise maxPerProcess to the number of pools, or remove pools",
            "pools",
        ),
    )

    @cached_property
    def target(self) -> TargetReference:
        """The controller: `targetRef`, or the Deployment named like the workload."""
        return self.target_ref or TargetReference(name=self.name)
