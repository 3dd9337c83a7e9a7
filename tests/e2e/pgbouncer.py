"""A PgBouncer that the operator did not make, in front of a shop's Postgres: what `pooler.external` describes."""

import asyncio

from tests.e2e.database import Shop
from tests.functional.cluster import kubectl
from tests.functional.space import Raw

CONNECTIONS = 8
NAME = "pgbouncer"
SETTINGS = f"""\
[databases]
orders = host=orders-db port=5432
[pgbouncer]
listen_addr = *
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
default_pool_size = {CONNECTIONS}
max_db_connections = {CONNECTIONS}
max_client_conn = 500
max_prepared_statements = 200
query_wait_timeout = 25
"""
USERS = '"shop" "shop-demo"\n'
EXTERNAL = {"mode": "External", "external": {"host": NAME, "connections": CONNECTIONS}}


async def start_pgbouncer(shop: Shop) -> str:
    """Start it, and return its address once it serves."""
    await shop.space.apply(*_manifests())
    where = ("-n", shop.space.name, f"deployment/{NAME}", "--timeout=60s")
    await asyncio.to_thread(kubectl, "rollout", "status", *where)
    (pod,) = await shop.space.all("Pod", labelSelector=f"app={NAME}")
    address: str = pod["status"]["podIP"]
    return address


def _manifests() -> list[Raw]:
    labels = {"app": NAME}
    container = {
        "name": NAME,
        "image": "poolbudget/pgbouncer:1.24",
        "ports": [{"containerPort": 6432}],
        "readinessProbe": {"tcpSocket": {"port": 6432}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "configuration", "mountPath": "/etc/pgbouncer"}],
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "configuration", "configMap": {"name": NAME}}],
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME},
            "data": {"pgbouncer.ini": SETTINGS, "userlist.txt": USERS},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": labels, "ports": [{"port": 6432}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
        },
    ]
