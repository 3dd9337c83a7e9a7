"""The scalar types, choices and small shared shapes that the resource is made of.

The models in `api.server`, `api.workload`, `api.spec` and `api.status` build on them. Times carry their unit in the
name; counts are connections unless the name says otherwise. Upper bounds also bound the cost of the CEL rules.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, SkipValidation

from poolbudget.api.rules import Rule, matches

GROUP = "poolbudget.dev"
VERSION = "v1alpha1"
KIND = "PoolBudget"
PLURAL = "poolbudgets"
API_VERSION = f"{GROUP}/{VERSION}"

_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_POOL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_LABEL_KEY = r"^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$"
_LABEL_VALUE = r"^([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$"
_LABEL_CHARACTERS = "letters, digits, '-', '_' and '.', at most 63, beginning and ending with a letter or digit"
_SHARE = r"^([1-9][0-9]?|100)%$"
MOST_CONNECTIONS = 1_000_000


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


UNSTORED_DEFAULT = Field(json_schema_extra=_without_default)
"""Marks a default that the operator applies when it reads, but that the API server does not write into the object."""

Connections = Annotated[int, Field(strict=True, ge=0, le=MOST_CONNECTIONS)]
Positive = Annotated[int, Field(strict=True, ge=1, le=MOST_CONNECTIONS)]
Percent = Annotated[int, Field(strict=True, ge=0, le=1_000)]
Milliseconds = Annotated[int, Field(strict=True, ge=1, le=86_400_000)]
Seconds = Annotated[int, Field(strict=True, ge=0, le=604_800)]
PortNumber = Annotated[int, Field(strict=True, ge=1, le=65_535)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(min_length=1, max_length=253)]
ShortText = Annotated[str, Field(min_length=1, max_length=63)]
Name = Annotated[
    str,
    Field(min_length=1, max_length=63),
    matches(_LABEL, "must be lower-case letters, digits and '-', beginning and ending with a letter or digit"),
]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matches(
        r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        "must be lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
    ),
]
PoolName = Annotated[
    str,
    Field(min_length=1, max_length=30),
    matches(_POOL, "must be lower-case letters, digits and '-', beginning with a letter, such as read"),
]
LabelKey = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matches(_LABEL_KEY, f"must be the key of a label, such as app or example.com/app: {_LABEL_CHARACTERS}"),
]
LabelValue = Annotated[
    str,
    Field(max_length=63),
    matches(_LABEL_VALUE, f"must be the value of a label: {_LABEL_CHARACTERS}"),
]
Labels = Annotated[
    dict[str, Annotated[str, Field(max_length=63)]],
    Field(max_length=20),
    Rule(
        f"self.all(key, key.matches('{_LABEL_KEY}') && self[key].matches('{_LABEL_VALUE}'))",
        lambda labels: all(
            re.fullmatch(_LABEL_KEY, key) and re.fullmatch(_LABEL_VALUE, value) for key, value in labels.items()
        ),
        f"must be labels, such as app: orders-db; keys and values are {_LABEL_CHARACTERS}",
    ),
]
VariableName = Annotated[str, Field(min_length=1, max_length=80)]


def _is_connections_or_share(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(_SHARE, value) is not None
    return type(value) is int and 1 <= value <= MOST_CONNECTIONS


ConnectionsOrShare = Annotated[
    int | str,
    SkipValidation,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": 20}),
    Rule(
        f"type(self) == int ? self >= 1 && self <= {MOST_CONNECTIONS} : self.matches('{_SHARE}')",
        _is_connections_or_share,
        'must be a number of connections, such as 120, or a share of maxConnections from "1%" to "100%", such as "50%"',
    ),
]


class Choice(StrEnum):
    """A closed set of CamelCase values."""


class AdmissionMode(Choice):
    """What pods do while the operator is away."""

    STRICT = "Strict"
    AVAILABLE = "Available"


class UpdateMode(Choice):
    """How pods come to their settings."""

    OFF = "Off"
    INITIAL = "Initial"
    RECREATE = "Recreate"
    LIVE = "Live"


class WorkloadMode(Choice):
    """How a workload reaches the server."""

    AUTO = "Auto"
    DIRECT = "Direct"
    POOLED = "Pooled"
    NULL_POOL = "NullPool"


class Route(Choice):
    """Whether a workload can be sent to another host and port."""

    NONE = "None"
    ENV = "Env"


class TlsMode(Choice):
    """The modes of libpq's `sslmode`, in CamelCase."""

    DISABLE = "Disable"
    PREFER = "Prefer"
    REQUIRE = "Require"
    VERIFY_CA = "VerifyCA"
    VERIFY_FULL = "VerifyFull"


SslMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]

LIBPQ_SSLMODE: Mapping[TlsMode, SslMode] = {
    TlsMode.DISABLE: "disable",
    TlsMode.PREFER: "prefer",
    TlsMode.REQUIRE: "require",
    TlsMode.VERIFY_CA: "verify-ca",
    TlsMode.VERIFY_FULL: "verify-full",
}
"""What libpq, asyncpg and PgBouncer call the modes."""


class PoolerMode(Choice):
    """When workloads go through a pooler."""

    AUTO = "Auto"
    ALWAYS = "Always"
    NEVER = "Never"
    EXTERNAL = "External"


class TuningMode(Choice):
    """Whether sizes follow what is observed."""

    OFF = "Off"
    RECOMMEND = "Recommend"
    AUTO = "Auto"


class SettingName(Choice):
    """The settings that a pod gets: the keys of `env.names`."""

    POOL_SIZE = "poolSize"
    MAX_OVERFLOW = "maxOverflow"
    POOL_CLASS = "poolClass"
    POOL_MIN_SIZE = "poolMinSize"
    POOL_MAX_SIZE = "poolMaxSize"
    POOL_TIMEOUT = "poolTimeout"
    POOL_RECYCLE = "poolRecycle"
    POOL_PRE_PING = "poolPrePing"
    STATEMENT_CACHE_SIZE = "statementCacheSize"
    PREPARED_STATEMENT_CACHE_SIZE = "preparedStatementCacheSize"
    COMMAND_TIMEOUT = "commandTimeout"
    STATEMENT_TIMEOUT = "statementTimeout"
    APPLICATION_NAME = "applicationName"
    HOST = "host"
    PORT = "port"
