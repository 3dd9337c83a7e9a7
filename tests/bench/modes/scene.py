"""The one Postgres of the bench, and the application as each arm runs it. `bench_modes` sets it up and takes it down.

Everything is in one namespace, made from the manifests of `make demo`.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.bench.modes.arms import FEW_PODS, MAX_CONNECTIONS, RESERVED, SURGE_PODS, USABLE, Arm
from tests.chaos.scene import REFUSED, rendered, server
from tests.e2e.database import Shop, importing, labels, module, uvicorn
from tests.e2e.pgbouncer import pgbouncers
from tests.e2e.pooler import AUTH, USERS, until_pooler, write_secret
from tests.functional.cluster import budget, eventually, kubectl
from tests.functional.space import Raw, Space

NAMESPACE = "poolbudget-modes"
SERVER: Mapping[str, Any] = {
    "maxConnections": MAX_CONNECTIONS,
    "reservedConnections": RESERVED,
    "database": {
        "host": f"orders-db.{NAMESPACE}.svc",
        "name": "orders",
        "credentialsSecretRef": {"name": "orders-db-monitor"},
    },
}
"""What every budget of the bench says of the server."""
PGBOUNCERS = pgbouncers(NAMESPACE, 2, USABLE)
APPLICATION = Path(__file__).with_name("application.py")
TOOLS = {"generator": ("shop", "300m"), "sampler": ("postgres", "100m")}
"""The pods in which the programs of a measurement run, as whom these log in, and what of a processor is theirs."""
POD_CPU = "20m"
"""What a pod of the application is sure to get: little, so that those that start leave the others something."""
DRAIN_SECONDS = 2
"""How long a pod that ends goes on serving, until nobody is sent to it any more."""
NOTES = """
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id integer NOT NULL);
GRANT INSERT ON notes TO shop;
"""
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'"


async def build(space: Space) -> Shop:
    """Make the namespace with Postgres and the pods for the programs, and wait until all run."""
    kubectl("create", "namespace", NAMESPACE)
    kubectl("wait", "-n", NAMESPACE, "--for=create", "serviceaccount/default", "--timeout=60s")
    manifests = rendered()
    shop = Shop(space, manifests)
    await space.apply(*server(manifests, MAX_CONNECTIONS), module(APPLICATION))
    kubectl("rollout", "status", "-n", NAMESPACE, "statefulset/orders-db", "--timeout=90s")
    psql(NOTES)
    await write_secret(shop, AUTH, USERS)
    for name, (role, cpu) in TOOLS.items():
        await shop.start(name, "sleep", "86400", role=role, cpu=cpu)
    return shop


@asynccontextmanager
async def in_place(shop: Shop, arm: Arm) -> AsyncIterator[None]:
    """The application runs with few pods as the arm has it; afterwards no connection of it is left."""
    space = shop.space
    if arm.pgbouncers:
        await space.apply(*PGBOUNCERS)
        await shop.ready("pgbouncer")
    if arm.budget is not None:
        await space.apply(budget(NAMESPACE, **SERVER, **arm.budget))
        await space.status("orders", lambda status: bool(status.get("workloads")), what="it is planned")
    if arm.has_own_pooler:
        await until_pooler(shop, "Ready")
    await space.apply(shop.manifests["Service", "api"], deployment(shop.manifests["Deployment", "api"], arm))
    await shop.ready("api")
    yield
    of_arm = "--selector=app in (api, pgbouncer)"
    await asyncio.to_thread(kubectl, "delete", "-n", NAMESPACE, "deployments", "--all")
    await asyncio.to_thread(kubectl, "delete", "-n", NAMESPACE, "replicasets,pods", of_arm, "--grace-period=1")
    await space.forget()
    await asyncio.to_thread(eventually, lambda: psql(BACKENDS) == "0", "no backend of the application is left")


def deployment(like: Raw, arm: Arm) -> Raw:
    """Return the demo's api with one process, the bench's routes and what the arm sets by hand."""
    made = copy.deepcopy(like)
    made["spec"]["replicas"] = FEW_PODS
    made["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": SURGE_PODS, "maxUnavailable": 0}
    template = made["spec"]["template"]
    if arm.is_ours:
        template["metadata"]["labels"] |= labels("api")
    container = template["spec"]["containers"][0]
    container["command"] = list(uvicorn(APPLICATION))
    container["resources"]["requests"]["cpu"] = POD_CPU
    container["lifecycle"]["preStop"] = {"sleep": {"seconds": DRAIN_SECONDS}}
    own = [entry for entry in container["env"] if entry["name"] != "DB_HOST"]
    container["env"] = own + [{"name": name, "value": value} for name, value in arm.env.items()]
    importing(APPLICATION, template)
    return made


def refused_logins() -> int:
    """Return how many logins Postgres has refused for want of a connection slot, by its own log."""
    return kubectl("logs", "-n", NAMESPACE, "orders-db-0").stdout.count(REFUSED)


def psql(sql: str) -> str:
    """Run SQL as the superuser, and return what it selected."""
    words = ("psql", "-XqtA", "-c", sql, "orders")
    return kubectl("exec", "-n", NAMESPACE, "orders-db-0", "--", *words).stdout.strip()
