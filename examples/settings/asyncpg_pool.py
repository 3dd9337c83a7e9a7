"""The lines that make a plain asyncpg pool from the settings that a pod gets. Copy them.

What is not set keeps asyncpg's own default, except for min_size: one connection is opened at the start, not ten.
"""

from collections.abc import Mapping

import asyncpg

SERVER_SETTINGS = {"application_name": "DB_APPLICATION_NAME", "statement_timeout": "DB_STATEMENT_TIMEOUT"}


def make_pool(dsn: str, env: Mapping[str, str]) -> asyncpg.Pool:
    """Make the pool of one process, to be awaited or entered. `dsn` is postgresql://..., `env` is os.environ."""
    return asyncpg.create_pool(
        dsn,
        min_size=int(env.get("DB_POOL_MIN_SIZE", 1)),
        max_size=int(env.get("DB_POOL_MAX_SIZE", 10)),
        statement_cache_size=int(env.get("DB_STATEMENT_CACHE_SIZE", 100)),
        command_timeout=float(env["DB_COMMAND_TIMEOUT"]) if "DB_COMMAND_TIMEOUT" in env else None,
        server_settings={name: env[variable] for name, variable in SERVER_SETTINGS.items() if variable in env},
    )
