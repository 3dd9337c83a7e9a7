"""What PgBouncer of one budget reads: `pgbouncer.ini`, the list of users, and the limits that may change at any time.

`pooler.objects` puts the files into the manifests; `act.pooler_pods` sets the limits of running pods over the console.
The names and meanings are those of https://www.pgbouncer.org/config.html (1.24).
"""

import re
from dataclasses import dataclass
from typing import Self

from poolbudget.api.types import LIBPQ_SSLMODE
from poolbudget.api.v1alpha1 import PoolBudgetSpec, Tls
from poolbudget.planning.poolers import PORT

FOLDER = "/etc/pgbouncer"
CONSOLE = "pgbouncer"
"""The name of PgBouncer's own database, over which it is administered."""
CONSOLE_USER = "poolbudget_console"
AUTH_QUERY = "SELECT username, secret FROM poolbudget.pooler_auth($1)"
"""The function is made by deploy/sql/setup.sql in the database: role name to its SCRAM secret."""

ENTRY_NAME = re.compile(r"[A-Za-z0-9_.-]+")
ENTRY_NAME_HINT = "letters, digits, '_', '-' and '.', and not pgbouncer itself"

LOOKUPS = 2
"""Sessions of one PgBouncer for looking up users."""
CLIENTS_MARGIN_PERCENT = 25
"""For clients beyond the plan: the operator itself, people, pods that reconnect before their old connections ended."""
CLIENTS_STEP = 100
MOST_QUERY_WAIT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one PgBouncer process: connections that it opens at the server, and clients that it takes in."""

    connections: int
    clients: int

    @classmethod
    def of(cls, connections: int, clients: int) -> Self:
        """Return the limits for so many connections, never 0, and for all `clients` at once.

        Every replica has to hold all clients, since the others may be away. The number goes up in steps: a plan that
        moves a little changes nothing.
        """
        most = clients * (100 + CLIENTS_MARGIN_PERCENT) // 100
        return cls(max(1, connections), (most // CLIENTS_STEP + 1) * CLIENTS_STEP)

    @property
    def settings(self) -> dict[str, int]:
        """Return PgBouncer's settings.

        The limit is that of the one database entry, so that the session of the authentication query is inside; every
        role may use all of it, since PgBouncer closes the idle sessions of another role for it.
        """
        return {
            "max_client_conn": self.clients,
            "max_db_connections": self.connections,
            "default_pool_size": self.connections,
        }

    @property
    def text(self) -> str:
        """Return the included file. It has no header: a second [pgbouncer] would put all others to their defaults."""
        return "".join(f"{name} = {value}\n" for name, value in self.settings.items())

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what `text` gave; None where somebody else wrote it."""
        found = {name: int(value) for name, value in re.findall(r"^(\w+) = (\d{1,9})$", text, re.MULTILINE)}
        limits = cls(found.get("max_db_connections", 0), found.get("max_client_conn", 0))
        return limits if limits.text == text else None


def pgbouncer_ini(spec: PoolBudgetSpec) -> str:
    """Return the configuration of the pooler in front of `spec.database`.

    With one entry and no fallback (`*`) nothing else can be reached, and two entries of one database would double the
    limit. A transaction that waits for a connection fails before the application's own pool gives up.

    Raises ValueError where `database` cannot be written.
    """
    database, pooler = spec.database, spec.pooler
    if database is None:
        raise ValueError("set `database`: a pooler stands in front of one")
    if database.name == CONSOLE or not ENTRY_NAME.fullmatch(database.name):
        raise ValueError(f"database.name {database.name!r} is none that PgBouncer can have: {ENTRY_NAME_HINT}")
    if not is_one_line(database.host):
        raise ValueError(f"database.host {database.host!r} is no host name")
    tls = server_tls(spec)
    settings = {
        "listen_addr": "*",
        "listen_port": PORT,
        "unix_socket_dir": "",
        "pool_mode": pooler.pool_mode,
        "reserve_pool_size": 0,
        "max_prepared_statements": 200,
        "query_wait_timeout": query_wait_seconds(spec),
        "server_login_retry": 1,
        # What drivers send that Postgres 12 and newer do by themselves.
        "ignore_startup_parameters": "extra_float_digits",
        "admin_users": CONSOLE_USER,
        "auth_type": "scram-sha-256",
        "auth_file": f"{FOLDER}/userlist.txt",
        # An application that asks for TLS gets it, and one that does not is not refused because it was moved.
        "client_tls_sslmode": "prefer",
        "client_tls_cert_file": f"{FOLDER}/tls.crt",
        "client_tls_key_file": f"{FOLDER}/tls.key",
        "server_tls_sslmode": LIBPQ_SSLMODE[tls.mode],
        **({"server_tls_ca_file": f"{FOLDER}/server-ca.crt"} if tls.ca_secret_ref else {}),
        "log_connections": 0,
        "log_disconnections": 0,
    }
    lines = [
        "[databases]",
        f"{database.name} = host={_value(database.host)} port={database.port} dbname={_value(database.name)}",
        "",
        "[pgbouncer]",
        *(f"{name} = {value}".rstrip() for name, value in settings.items()),
        f"%include {FOLDER}/limits.ini",
        f"%include {FOLDER}/auth.ini",
    ]
    return "\n".join(lines) + "\n"


def server_tls(spec: PoolBudgetSpec) -> Tls:
    """Return how the pooler's connections to the server are protected: as declared, else as the operator's own."""
    return spec.pooler.tls or (spec.database.tls if spec.database else Tls())


def query_wait_seconds(spec: PoolBudgetSpec) -> int:
    """Return how long a transaction may wait: two thirds of the shortest time that a workload's pool waits."""
    shortest = min(workload.pool.timeout_milliseconds for workload in spec.workloads)
    return min(MOST_QUERY_WAIT_SECONDS, max(1, shortest * 2 // 3000))


def auth_ini(username: str | None) -> str:
    """Return the included file that says who looks up other users' secrets; None: all users are in the list.

    A storm of logins would fill the pooler's share with sessions that only look up. The file comes last, since it
    begins another section.
    """
    if username is None:
        return ""
    lookup = f"auth_user = {username}\nauth_query = {AUTH_QUERY}\n"
    return f"{lookup}[users]\n{username} = pool_size={LOOKUPS}\n" if ENTRY_NAME.fullmatch(username) else lookup


def user_line(username: str, secret: str) -> str:
    """Return a line of the list of users: a password, or a SCRAM secret as Postgres stores it."""
    return f"{_quoted(username)} {_quoted(secret)}\n"


def is_one_line(text: str) -> bool:
    """Whether a user name or password can stand in PgBouncer's files."""
    return bool(text) and text == text.strip() and text.isprintable()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _value(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
