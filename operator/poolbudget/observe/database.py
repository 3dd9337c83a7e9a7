"""What the Postgres server says of itself: its capacity, and who is connected.

One persistent connection for each server, as the role of `deploy/sql/monitor.sql`: a storm of refused logins can lock
out even superusers for a moment, a connection that is open already stays. `reconcile` asks for a reading at every
round.
"""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import asyncpg

from poolbudget.api.v1alpha1 import Database, TlsMode
from poolbudget.kube import ApiError, Kube
from poolbudget.planning.model import Observed

ANSWER_SECONDS = 2.0
RETRY_SECONDS = 5.0

SslMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]

LIBPQ_SSLMODE: Mapping[TlsMode, SslMode] = {
    TlsMode.DISABLE: "disable",
    TlsMode.PREFER: "prefer",
    TlsMode.REQUIRE: "require",
    TlsMode.VERIFY_CA: "verify-ca",
    TlsMode.VERIFY_FULL: "verify-full",
}

# pg_has_role: without pg_read_all_stats the addresses of other roles' sessions read as NULL.
CAPACITY = """
select current_setting('max_connections')::int as max_connections,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
       pg_has_role(current_user, 'pg_read_all_stats', 'usage') as sees_all,
       coalesce(current_setting('client_connection_check_interval', true), '0') <> '0'
         or exists (select from pg_db_role_setting, unnest(setconfig) as setting
                    where setting ~ '^client_connection_check_interval=.*[1-9]') as checks_clients
"""
SESSIONS = """
select coalesce(host(client_addr), '') as address, count(*)::int as backends
from pg_stat_activity where backend_type = 'client backend' group by 1
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the server. `backends`: by client address.

    `checks_clients`: for all or some roles it looks, while a query runs, whether the client is still there; without
    client_connection_check_interval a backend whose client vanished runs on to the end of its query.
    """

    capacity: Observed
    backends: Mapping[str, int]
    checks_clients: bool


class Unobservable(Exception):  # noqa: N818 - a state that is reported, not a fault of the program
    """The server cannot be read now. `reason` is CamelCase; the text says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError, ApiError, Unobservable)
"""ValueError: a host or name that the resolver or the driver cannot even encode."""


class Monitor:
    """The operator's connection to one server, opened when it is first needed and again when it broke."""

    def __init__(self, kube: Kube, namespace: str, database: Database) -> None:
        self.configuration = (namespace, database)
        self._kube, self._namespace, self._database = kube, namespace, database
        self._connection: asyncpg.Connection | None = None
        self._failure: tuple[float, Unobservable] | None = None

    async def read(self) -> Reading:
        """Ask the server; raise `Unobservable`. After a failure the next attempt waits, so that rounds stay quick."""
        now = asyncio.get_running_loop().time()
        if self._failure and now - self._failure[0] < RETRY_SECONDS:
            raise self._failure[1]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reading = await self._ask()
        except FAILURES as error:
            self.close()
            self._failure = (now, _explain(error, self._database))
            raise self._failure[1] from error
        self._failure = None
        return reading

    def close(self) -> None:
        """Drop the connection without waiting for the server."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _ask(self) -> Reading:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        capacity = await self._connection.fetchrow(CAPACITY)
        if capacity is None or not capacity["sees_all"]:
            raise Unobservable(
                "MissingPrivilege", "the monitoring role cannot see other sessions: GRANT pg_monitor to it"
            )
        backends = {row["address"]: row["backends"] for row in await self._connection.fetch(SESSIONS)}
        observed = Observed(capacity["max_connections"], capacity["reserved"])
        return Reading(observed, backends, capacity["checks_clients"])

    async def _connect(self) -> asyncpg.Connection:
        database = self._database
        if database.credentials_secret_ref is None:
            raise Unobservable("NoCredentials", "set database.credentialsSecretRef to observe the server")
        credentials = await self._secret(database.credentials_secret_ref.name, ("username", "password"))
        return await asyncpg.connect(
            host=_host(database.host, self._namespace),
            port=database.port,
            database=database.name,
            user=credentials["username"],
            password=credentials["password"],
            ssl=await self._ssl(),
            timeout=ANSWER_SECONDS,
            statement_cache_size=0,
            server_settings={"application_name": "poolbudget"},
        )

    async def _ssl(self) -> SslMode | ssl.SSLContext:
        tls = self._database.tls
        if tls.ca_secret_ref is None:
            return LIBPQ_SSLMODE[tls.mode]
        ca = await self._secret(tls.ca_secret_ref.name, (tls.ca_secret_ref.key,))
        try:
            context = ssl.create_default_context(cadata=ca[tls.ca_secret_ref.key])
        except (ssl.SSLError, ValueError) as error:
            message = f"the key {tls.ca_secret_ref.key} of the Secret {tls.ca_secret_ref.name} holds no PEM certificate"
            raise Unobservable("SecretInvalid", message) from error
        context.check_hostname = tls.mode is TlsMode.VERIFY_FULL
        return context

    async def _secret(self, name: str, keys: tuple[str, ...]) -> dict[str, str]:
        try:
            secret = await self._kube.get(f"/api/v1/namespaces/{self._namespace}/secrets/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            raise Unobservable("SecretNotFound", f"create the Secret {self._namespace}/{name}") from error
        data = secret.get("data") or {}
        if missing := [key for key in keys if key not in data]:
            raise Unobservable(
                "SecretIncomplete", f"add the key {', '.join(missing)} to the Secret {self._namespace}/{name}"
            )
        try:
            return {key: b64decode(data[key]).decode() for key in keys}
        except ValueError as error:
            message = (
                f"the Secret {self._namespace}/{name} holds something that is no text: write {', '.join(keys)} anew"
            )
            raise Unobservable("SecretInvalid", message) from error


def _host(host: str, namespace: str) -> str:
    """Make a bare Service name reachable from the operator's namespace; it is meant in the budget's."""
    return host if "." in host or host == "localhost" else f"{host}.{namespace}.svc"


def _explain(error: Exception, database: Database) -> Unobservable:
    where = f"{database.host}:{database.port}"
    match error:
        case Unobservable():
            return error
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return Unobservable(
                "AuthenticationFailed", f"{where} refused the monitoring role: correct the Secret ({error})"
            )
        case asyncpg.TooManyConnectionsError():
            return Unobservable("TooManyConnections", f"{where} has no slot left for the monitoring role ({error})")
        case asyncpg.InvalidCatalogNameError():
            return Unobservable("DatabaseNotFound", f"{where} has no database {database.name}: correct database.name")
        case ssl.SSLError():
            return Unobservable("TlsFailed", f"{where}: {error}: correct database.tls")
        case asyncpg.PostgresError():
            return Unobservable("QueryFailed", f"{where}: {error}")
        case _:
            return Unobservable("Unreachable", f"{where} does not answer: {str(error) or type(error).__name__}")
