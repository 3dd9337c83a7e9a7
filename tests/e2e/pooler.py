"""The pooler that the operator runs in front of a shop's Postgres: how a test prepares the database and looks at it."""

import asyncio
import base64
import time
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
REPLICAS = 2
SERVER = {"matchLabels": {"app": "orders-db"}}
"""Selects the pod of Postgres."""
USERS = {"userlist.txt": b'"shop" "shop-demo"'}
"""For a pooler that looks nobody up."""

API: dict[str, Any] = {"name": "api", "route": "Env", "maxPerProcess": 20, "pool": {"recycleSeconds": 5}}
LOAD = ("python", "-m", "load", "--url", "http://api/orders/7?hold_ms=100", "--concurrency", "60", "--seconds", "900")
SAMPLER = ("python", "-m", "sampler", "--every-ms", "20", "--role", "shop", "--usable", "50", "--reserve", "7")
"""Of the 10 that the budget keeps for others the server keeps 3 for itself."""

UNREACHED = {"ClientConnectorError"}
"""A Service may lead to a pod a moment before or after it is there; such a request never came near the database."""


def pooler(**fields: Any) -> dict[str, Any]:
    """Return `spec.pooler`."""
    return {"mode": "Always", "replicas": REPLICAS, "authSecretRef": {"name": AUTH}, **fields}


async def set_up(shop: Shop, password: str) -> None:
    """Run deploy/sql/setup.sql with this password."""
    await psql(shop, SETUP.read_text(), "-v", f"pooler_password={password}")


async def refuse(shop: Shop, *addresses: str) -> None:
    """Let the server refuse the role that looks up secrets from these addresses alone, and end its sessions."""
    rules = "".join(f"host all poolbudget_pooler {address}/32 reject\n" for address in addresses)
    write = 'rules=$(grep -v reject $PGDATA/pg_hba.conf); (cat; echo "$rules") > $PGDATA/pg_hba.conf'
    await in_server(shop, "sh", "-c", write, stdin=rules)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'poolbudget_pooler'"
    await psql(shop, f"SELECT pg_reload_conf(); {ended}")


async def psql(shop: Shop, script: str, *options: str) -> str:
    """Run a script as the superuser in the shop's database; return what it printed."""
    connect = ("psql", "-U", "postgres", "-d", "orders", "-qAtX", "-v", "ON_ERROR_STOP=1")
    return await in_server(shop, *connect, *options, "-f", "-", stdin=script)


async def in_server(shop: Shop, *command: str, stdin: str) -> str:
    """Run a command in the server's pod; return what it printed."""
    where = ("-n", shop.space.name, "-i", "statefulset/orders-db")
    done = await asyncio.to_thread(kubectl, "exec", *where, "--", *command, stdin=stdin)
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


async def serve_tls(shop: Shop, service: str = "orders-db") -> Held:
    """Let the shop's Postgres accept TLS under the name of its Service, or of another; return all that it shows."""
    held = create((f"{service}.{shop.space.name}.svc",), datetime.now(UTC), Validity())
    data = held.to_data()
    for key in ("tls.crt", "tls.key"):
        await in_server(shop, "sh", "-c", f"umask 077; cat > $PGDATA/{key}", stdin=data[key].decode())
    await psql(
        shop,
        "ALTER SYSTEM SET ssl_cert_file = 'tls.crt'; ALTER SYSTEM SET ssl_key_file = 'tls.key';"
        "ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf()",
    )
    return held


async def until(shop: Shop, query: str, count: int, seconds: float = 30) -> None:
    """Wait until a query of one number gives this one."""
    until = time.monotonic() + seconds
    while (found := int(await psql(shop, query))) != count:
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {query} gives {found}, not {count}"


async def until_replaced(shop: Shop, pod: Raw) -> None:
    """Wait until another pod of the same name is ready."""
    metadata = pod["metadata"]

    def holds(pods: list[Raw]) -> bool:
        same = [p for p in pods if p["metadata"]["name"] == metadata["name"]]
        return any(p["metadata"]["uid"] != metadata["uid"] and is_ready(p) for p in same)

    await shop.space.until("Pod", holds, what=f"{metadata['name']} is replaced", seconds=60)


def is_ready(pod: Raw) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
