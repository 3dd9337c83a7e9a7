"""PgBouncers that the operator did not make, in front of a shop's Postgres: what `pooler.external` describes.

The bench of modes measures two of them, tuned by hand.
"""

import asyncio

from tests.e2e.database import Shop
from tests.functional.cluster import kubectl
from tests.functional.space import Raw

CONNECTIONS = 8
NAME = "pgbouncer"
PORT = 6432
USERS = '"shop" "shop-demo"\n'
EXTERNAL = {"mode": "External", "external": {"host": NAME, "connections": CONNECTIONS}}


async def start_pgbouncer(shop: Shop) -> str:
    """Start one, and return its address once it serves."""
    await shop.space.apply(*pgbouncers(shop.space.name, 1, CONNECTIONS))
    where = ("-n", shop.space.name, f"deployment/{NAME}", "--timeout=60s")
    await asyncio.to_thread(kubectl, "rollout", "status", *where)
    (pod,) = await shop.space.all("Pod", labelSelector=f"app={NAME}")
    address: str = pod["status"]["podIP"]
    return address


def pgbouncers(namespace: str, replicas: int, connections: int) -> list[Raw]:
    """Return the manifests of PgBouncers that open at most `connections` together."""
    labels = {"app": NAME}
    files = {"pgbouncer.ini": _settings(namespace, connections // replicas), "userlist.txt": USERS}
    template = {"metadata": {"labels": labels}, "spec": _pod_spec()}
    deployment = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "stringData": files},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": labels, "ports": [{"port": PORT}]},
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": deployment},
    ]


def _settings(namespace: str, connections: int) -> str:
    return f"""\
[databases]
orders = host=orders-db.{namespace}.svc.cluster.local port=5432
[pgbouncer]
listen_addr = 0.0.0.0
listen_port = {PORT}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
default_pool_size = {connections}
max_db_connections = {connections}
max_client_conn = 500
max_prepared_statements = 200
query_wait_timeout = 25
log_connections = 0
log_disconnections = 0
"""


def _pod_spec() -> Raw:
    container = {
        "name": NAME,
        "image": "poolbudget/pgbouncer:1.24",
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/pgbouncer"}],
    }
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "config", "secret": {"secretName": NAME}}],
    }
