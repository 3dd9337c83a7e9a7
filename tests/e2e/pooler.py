"""The pooler that the operator runs in front of a shop's Postgres: how a test prepares the database and looks at it."""

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from poolbudget.act.authority import Held, Validity, create
from tests.e2e.database import Shop
from tests.functional.cluster import kubectl
from tests.functional.space import Raw, condition

SETUP = Path(__file__).parents[2] / "deploy" / "sql" / "setup.sql"
NAME = "orders-pooler"
AUTH = "orders-pooler-auth"
PASSWORD = "lookup-demo"


def pooler(**fields: Any) -> dict[str, Any]:
    """Return `spec.pooler` with two replicas."""
    return {"mode": "Always", "authSecretRef": {"name": AUTH}, **fields}


async def set_up(shop: Shop, password: str) -> None:
    """Run deploy/sql/setup.sql with this password."""
    await psql(shop, SETUP.read_text(), "-v", f"pooler_password={password}")


async def psql(shop: Shop, script: str, *options: str) -> str:
    """Run a script as the superuser in the shop's database; return what it printed."""
    where = ("-n", shop.space.name, "-i", "statefulset/orders-db")
    command = ("psql", "-U", "postgres", "-d", "orders", "-qAtX", "-v", "ON_ERROR_STOP=1", *options, "-f", "-")
    done = await asyncio.to_thread(kubectl, "exec", *where, "--", *command, stdin=script)
    return done.stdout.strip()


async def write_login(shop: Shop, password: str) -> None:
    """Write the Secret that the budget names."""
    await write_secret(shop, AUTH, {"username": b"poolbudget_pooler", "password": password.encode()})


async def write_secret(shop: Shop, name: str, data: Mapping[str, bytes]) -> None:
    """Write a Secret with exactly this content."""
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    await shop.space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded})


async def until_pooler(shop: Shop, reason: str, message: str = "", seconds: float = 60) -> None:
    """Wait until the condition PoolerReady has this reason, and this in its message."""

    def holds(status: Raw) -> bool:
        found = condition(status, "PoolerReady")
        return found.get("reason") == reason and message in found["message"]

    await shop.space.status("orders", holds, what=f"PoolerReady is {reason}: {message}", seconds=seconds)


async def poolers(shop: Shop) -> list[Raw]:
    """Return the pooler's pods, by name."""
    pods = await shop.space.all("Pod", labelSelector="poolbudget.dev/pooler=orders")
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


async def serve_tls(shop: Shop) -> Held:
    """Let the shop's Postgres accept TLS under its Service's name; return certificate and authority."""
    held = create((f"orders-db.{shop.space.name}.svc",), datetime.now(UTC), Validity())
    data = held.to_data()
    for key in ("tls.crt", "tls.key"):
        write = ("sh", "-c", f"umask 077; cat > $PGDATA/{key}")
        where = ("-n", shop.space.name, "-i", "statefulset/orders-db")
        await asyncio.to_thread(kubectl, "exec", *where, "--", *write, stdin=data[key].decode())
    await psql(
        shop,
        "ALTER SYSTEM SET ssl_cert_file = 'tls.crt'; ALTER SYSTEM SET ssl_key_file = 'tls.key';"
        "ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf()",
    )
    return held
