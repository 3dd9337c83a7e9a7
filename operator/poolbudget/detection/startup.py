"""Settings that a container sends while it connects to Postgres: PgBouncer takes in only those that it keeps track of.

`planning.results` names the `refused_settings` of a workload that goes behind a pooler. What stands in the code (as
asyncpg's `server_settings`) or in a source that is not read stays unknown.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from poolbudget.detection.environment import Environment
from poolbudget.detection.podspec import Container

OPTIONS_VARIABLE = "PGOPTIONS"
"""Read by libpq, and so by psycopg (https://www.postgresql.org/docs/current/libpq-envars.html); not by asyncpg."""

TRACKED = frozenset(
    {"application_name", "client_encoding", "datestyle", "intervalstyle", "standard_conforming_strings", "timezone"}
)
"""What PgBouncer keeps for each client (https://www.pgbouncer.org/config.html, track_extra_parameters)."""
DROPPED = frozenset({"extra_float_digits"})
"""What the operator's own PgBouncer is told to ignore (`pooler.config`), since drivers send it."""

_SETTING = re.compile(r"(?:^|\s)(?:-c\s*|--)([A-Za-z_][\w.-]*)=")


def refused_settings(container: Container) -> dict[str, list[str]]:
    """Return the settings that PgBouncer refuses in the options of a connection, by the variable that carries them."""
    environment = Environment.of(container.env, has_env_from=container.has_env_from)
    found = {variable: _names(options) for variable, options in _options(environment.values)}
    return {variable: names for variable, names in found.items() if names}


def _options(values: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    for variable, value in values.items():
        if value and variable == OPTIONS_VARIABLE:
            yield variable, value
        elif value and value.startswith("postgres") and "options=" in value:
            yield variable, " ".join(_of_url(value))


def _of_url(text: str) -> list[str]:
    try:
        return parse_qs(urlsplit(text).query).get("options", [])
    except ValueError:
        return []


def _names(options: str) -> list[str]:
    """Return the refused settings of libpq's `-c name=value` and `--name=value`, in order."""
    names = [name.replace("-", "_") for name in _SETTING.findall(options)]
    return [name for name in dict.fromkeys(names) if name.lower() not in TRACKED | DROPPED]
