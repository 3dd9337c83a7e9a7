"""The lines that make an SQLAlchemy async engine from the settings that a pod gets. Copy them.

What is not set keeps SQLAlchemy's own default, so the same application runs anywhere.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

SERVER_SETTINGS = {"application_name": "DB_APPLICATION_NAME", "statement_timeout": "DB_STATEMENT_TIMEOUT"}


def make_engine(url: str | URL, env: Mapping[str, str]) -> AsyncEngine:
    """Make the engine of one process. `url` is postgresql+asyncpg://..., `env` is os.environ."""
    connect: dict[str, Any] = {
        "statement_cache_size": int(env.get("DB_STATEMENT_CACHE_SIZE", 100)),
        "prepared_statement_cache_size": int(env.get("DB_PREPARED_STATEMENT_CACHE_SIZE", 100)),
        "command_timeout": float(env["DB_COMMAND_TIMEOUT"]) if "DB_COMMAND_TIMEOUT" in env else None,
        "server_settings": {name: env[variable] for name, variable in SERVER_SETTINGS.items() if variable in env},
    }
    if env.get("DB_POOL_CLASS") == "NullPool":  # which takes no sizes
        return create_async_engine(url, connect_args=connect, poolclass=NullPool)
    return create_async_engine(
        url,
        connect_args=connect,
        pool_size=int(env.get("DB_POOL_SIZE", 5)),
        max_overflow=int(env.get("DB_MAX_OVERFLOW", 10)),
        pool_timeout=float(env.get("DB_POOL_TIMEOUT", 30)),
        pool_recycle=int(env.get("DB_POOL_RECYCLE", -1)),
        pool_pre_ping=env.get("DB_POOL_PRE_PING") == "true",
    )
