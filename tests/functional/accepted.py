"""Specs that are accepted, keyed by what is remarkable about them.

`tests/unit/test_api_parse.py` runs them through the models, `tests/functional/test_crd.py` through the API server.
"""

from typing import Any

from tests.functional.specs import EXTERNAL, spec, workload

ACCEPTED: dict[str, dict[str, Any]] = {
    "the smallest useful budget": {"maxConnections": 200, "workloads": [{"name": "api"}, {"name": "worker"}]},
    "max above maxConnections": workload(max=120),
    "all of maxConnections": workload(max="100%"),
    "overflow at maxPerProcess": workload(maxPerProcess=5, pool={"maxOverflow": 5}),
    "one connection is left": spec(maxConnections=11),
    "one name, two kinds": spec(
        workloads=[{"name": "a"}, {"name": "b", "targetRef": {"kind": "StatefulSet", "name": "a"}}]
    ),
    "fields that are null count as absent": spec(updateMode=None, pooler=None) | {"database": None},
    "a workload whose optional fields are null": workload(demand=None, max=None, pools=None),
    "update mode Off": spec(updateMode="Off"),
    "demand by rate and hold": workload(demand={"requestsPerSecond": 400, "holdMilliseconds": 50}),
    "Pooled behind an external pooler": workload(mode="Pooled") | {"database": {"host": "db"}, "pooler": EXTERNAL},
    "NullPool behind the operator's pooler": workload(mode="NullPool")
    | {"database": {"host": "db"}, "pooler": {"authSecretRef": {"name": "users"}, "maxConnections": 2}},
    "a pooler for all": spec(
        database={"host": "db"}, pooler={"mode": "Always", "authSecretRef": {"name": "users"}, "maxConnections": 9}
    ),
    "the pods of Postgres, where the pooler is for later": spec(
        database={"host": "db"},
        pooler={
            "authSecretRef": {"name": "users"},
            "serverPodSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "copy"]}]},
        },
    ),
    "everything": {
        "maxConnections": 200,
        "reservedConnections": 10,
        "headroom": 5,
        "database": {
            "host": "orders-db.shop.svc",
            "port": 5432,
            "name": "orders",
            "credentialsSecretRef": {"name": "orders-db-monitor"},
            "tls": {"mode": "VerifyFull", "caSecretRef": {"name": "orders-db-ca", "key": "ca.crt"}},
        },
        "admission": "Available",
        "updateMode": "Recreate",
        "pooler": {
            "mode": "External",
            "poolMode": "session",
            "external": {"host": "pgb", "port": 6432, "connections": 50, "preparedStatements": False},
            "when": {"processesAbove": 4, "plannedAbovePercent": 50},
        },
        "tuning": {"mode": "Recommend"},
        "allowedNamespaces": {
            "from": "Selector",
            "selector": {
                "matchLabels": {"team": "orders"},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}],
            },
        },
        "workloads": [
            {
                "name": "api",
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
                "containers": ["app"],
                "mode": "Direct",
                "route": "Env",
                "processes": 4,
                "maxPods": 12,
                "weight": 2,
                "max": "50%",
                "minPerProcess": 2,
                "maxPerProcess": 20,
                "extraPerPod": 1,
                "demand": {"concurrency": 100, "headroomPercent": 10, "per": "Process"},
                "pool": {
                    "maxOverflow": 5,
                    "timeoutMilliseconds": 1500,
                    "recycleSeconds": 60,
                    "prePing": False,
                    "statementTimeoutMilliseconds": 5000,
                    "commandTimeoutMilliseconds": 5000,
                },
                "pools": [{"name": "read", "weight": 4}, {"name": "write"}],
                "updateMode": "Off",
                "env": {"profile": "Default", "names": {"poolSize": "MY_POOL_SIZE"}},
            }
        ],
    },
}
