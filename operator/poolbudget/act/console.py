"""PgBouncer's console: commands to one process, as the operator's own user. Used by `act.pooler_pods`.

It speaks the simple protocol alone. asyncpg uses that for a statement without arguments and then returns no rows: it
tells the console things, and pg8000 asks.
"""

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import asyncpg
from pg8000.native import Connection, Error
from scramp import ScramException

from poolbudget.planning.poolers import PORT
from poolbudget.pooler.config import CONSOLE, CONSOLE_USER, Limits

ASKING = ThreadPoolExecutor(4, thread_name_prefix="console")
"""Of its own: names are looked up in the one that all share, which consoles that do not answer would fill."""
ANSWER_SECONDS = 2.0
CLOSE_SECONDS = 10.0
"""How long to wait for transactions on connections that have to be closed; who waits longer asks again."""
IDLE_SECONDS = 1
"""A client that asks nothing for so long while its pooler ends is between two requests."""


@dataclass(frozen=True, slots=True)
class Console:
    """How to reach the console of one pod; `trust` verifies it by the authority that issues for this pooler alone."""

    address: str
    password: str
    trust: ssl.SSLContext

    async def limit(self, limits: Limits, *, shrink: bool) -> None:
        """Set the limits at once. `shrink`: return only when all connections from before have been replaced.

        A smaller limit alone closes nothing (1.24): RECONNECT closes each connection after its transaction.
        """
        commands = [f"SET {name} = {value}" for name, value in limits.settings.items()]
        await self._tell(*commands, *(("RECONNECT", "WAIT_CLOSE") if shrink else ()))

    async def renew(self, limits: Limits) -> None:
        """Read the files again: certificates, users. The limits are set anew, should theirs be late."""
        await self._tell("RELOAD", *(f"SET {name} = {value}" for name, value in limits.settings.items()))

    async def send_away(self) -> None:
        """Close clients that are between two requests: a pool that checks its connections opens others elsewhere."""
        await self._tell(f"SET client_idle_timeout = {IDLE_SECONDS}")

    async def clients(self) -> frozenset[str]:
        """Return the addresses of all clients; none are known of a process that does not answer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(ASKING, self._clients)
        except (Error, ScramException, OSError):
            return frozenset()

    def _clients(self) -> frozenset[str]:
        connection = Connection(
            CONSOLE_USER,
            host=self.address,
            port=PORT,
            password=self.password,
            database=CONSOLE,
            ssl_context=self.trust,
            timeout=ANSWER_SECONDS,
        )
        try:
            rows = connection.run("SHOW CLIENTS")
            addr = [column["name"] for column in connection.columns].index("addr")
            return frozenset(row[addr] for row in rows)
        finally:
            connection.close()

    async def _tell(self, *commands: str) -> None:
        connection = await asyncpg.connect(
            host=self.address,
            port=PORT,
            user=CONSOLE_USER,
            password=self.password,
            database=CONSOLE,
            ssl=self.trust,
            timeout=ANSWER_SECONDS,
            statement_cache_size=0,
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS + CLOSE_SECONDS):
                for command in commands:
                    await connection.execute(command)
        finally:
            connection.terminate()
