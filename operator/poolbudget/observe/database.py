"""What the Postgres server says of itself: its capacity, and who is connected.

One persistent connection for each server, as the role of `deploy/sql/monitor.sql`: a storm of refused logins can lock
out even superusers for a moment, a connection that is open already stays. `reconcile` asks for a reading at every
round.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from poolbudget.api.v1alpha1 import Database
from poolbudget.kube import Kube
from poolbudget.observe.login import FAILURES, Unobservable, connect, explain, read_secret
from poolbudget.planning.model import Observed

ANSWER_SECONDS = 2.0
RETRY_SECONDS = 5.0

# pg_has_role: without pg_read_all_stats the addresses of other roles' sessions read as NULL.
CAPACITY = """
select pg_postmaster_start_time() as started,
       current_setting('max_connections')::int as max_connections,
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
    """One look at the server. `backends`: by client address. `started`: when it did, to the microsecond.

    `checks_clients`: for all or some roles it looks, while a query runs, whether the client is still there; without
    client_connection_check_interval a backend whose client vanished runs on to the end of its query.
    """

    capacity: Observed
    backends: Mapping[str, int]
    checks_clients: bool
    started: str


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
            self._failure = (now, explain(error, self._database))
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
        return Reading(observed, backends, capacity["checks_clients"], capacity["started"].isoformat())

    async def _connect(self) -> asyncpg.Connection:
        database = self._database
        if database.credentials_secret_ref is None:
            raise Unobservable("NoCredentials", "set database.credentialsSecretRef to observe the server")
        keys = ("username", "password")
        credentials = await read_secret(self._kube, self._namespace, database.credentials_secret_ref.name, keys)
        return await connect(self._kube, self._namespace, database, credentials, ANSWER_SECONDS)
