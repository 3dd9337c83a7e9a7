"""The lines that give each prefork child of a Celery worker an engine from the settings that a pod gets. Copy them.

The engine is made in the child: one that is made before the fork would be shared, and its connections with it.
Run as `celery -A settings.celery_app worker --concurrency 4`.
"""

import os
from collections.abc import Mapping
from typing import Any

from celery import Celery, signals
from sqlalchemy import Engine, NullPool, create_engine

app = Celery("example")  # reads CELERY_BROKER_URL itself
engine: Engine


def make_engine(url: str, env: Mapping[str, str]) -> Engine:
    """Make the engine of one child. `url` is any synchronous SQLAlchemy URL of Postgres, `env` is os.environ."""
    connect = {"application_name": env["DB_APPLICATION_NAME"]} if "DB_APPLICATION_NAME" in env else {}
    if env.get("DB_POOL_CLASS") == "NullPool":  # which takes no sizes
        return create_engine(url, connect_args=connect, poolclass=NullPool)
    return create_engine(
        url,
        connect_args=connect,
        pool_size=int(env.get("DB_POOL_SIZE", 5)),
        max_overflow=int(env.get("DB_MAX_OVERFLOW", 10)),
        pool_timeout=float(env.get("DB_POOL_TIMEOUT", 30)),
        pool_recycle=int(env.get("DB_POOL_RECYCLE", -1)),
        pool_pre_ping=env.get("DB_POOL_PRE_PING") == "true",
    )


def connect_child(**_: Any) -> None:
    global engine  # noqa: PLW0603  one per process is the point
    engine = make_engine(os.environ["DATABASE_URL"], os.environ)


signals.worker_process_init.connect(connect_child)
