"""What is compared, and under which loads: the two tables that `bench_modes` goes through.

The server has 50 connections for the application, whose Deployment is scaled from 3 to 12 pods of one process. A
rolling update adds one more pod, so a division for the peak is one by 13: by hand in `static`, by the plan in `direct`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.pooler import AUTH, REPLICAS

RESERVED = 10
SERVER_RESERVES = 3
MAX_CONNECTIONS = 60
USABLE = MAX_CONNECTIONS - RESERVED
FEW_PODS = 3
MANY_PODS = 12
SURGE_PODS = 1
CLIENTS_PER_PROCESS = 20
"""The pool of a process whose connections end at a PgBouncer: the most that a budget gives by default."""
DEFAULT_POOL_SIZE = 5
"""Of SQLAlchemy."""

DIRECTLY = {"DB_HOST": "orders-db"}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of giving the application its connections.

    `env`: what is set by hand in the pod template. `pgbouncers`: whether the two PgBouncers run. `budget`: what the
    PoolBudget of the application says besides the server and its connections; None: it is under none.
    """

    name: str
    title: str
    env: Mapping[str, str]
    pgbouncers: bool = False
    budget: Mapping[str, Any] | None = None

    @property
    def has_own_pooler(self) -> bool:
        """Whether the operator runs a PgBouncer for it."""
        return "authSecretRef" in (self.budget or {}).get("pooler", {})

    @property
    def is_ours(self) -> bool:
        """Whether PoolBudget decides; the others are its peers."""
        return self.budget is not None


@dataclass(frozen=True, slots=True)
class Load:
    """Closed-loop clients at a bounded rate.

    `rate`: most requests per second of all of them. `together`: they all ask at the same instants.
    """

    name: str
    title: str
    path: str
    clients: int
    rate: int
    together: bool = False


ARMS = (
    Arm("defaults", "SQLAlchemy defaults (5 + 10)", DIRECTLY),
    Arm(
        "static",
        "static pools, divided by hand",
        DIRECTLY | {"DB_POOL_SIZE": str(USABLE // (MANY_PODS + SURGE_PODS)), "DB_MAX_OVERFLOW": "0"},
    ),
    Arm(
        "pgbouncers",
        "two tuned PgBouncers",
        {
            "DB_HOST": "pgbouncer",
            "DB_PORT": "6432",
            "DB_POOL_SIZE": str(CLIENTS_PER_PROCESS),
            "DB_MAX_OVERFLOW": "0",
        },
        pgbouncers=True,
    ),
    Arm("direct", "PoolBudget Direct", DIRECTLY, budget={"workloads": [{"name": "api", "maxPods": MANY_PODS}]}),
    Arm(
        "external",
        "PoolBudget, the same PgBouncers declared External",
        {},
        pgbouncers=True,
        budget={
            "pooler": {"mode": "External", "external": {"host": "pgbouncer", "connections": USABLE}},
            "workloads": [{"name": "api", "maxPods": MANY_PODS, "route": "Env", "mode": "Pooled"}],
        },
    ),
    Arm(
        "auto",
        "PoolBudget Auto: at least 5 for each process, so direct with few pods and pooled with many",
        {},
        budget={
            "updateMode": "Recreate",
            "pooler": {"mode": "Auto", "replicas": REPLICAS, "authSecretRef": {"name": AUTH}},
            "workloads": [{"name": "api", "route": "Env", "minPerProcess": DEFAULT_POOL_SIZE}],
        },
    ),
)

LOADS = (
    Load("crud", "5 ms CRUD", "/orders/7?hold_ms=5", clients=40, rate=100),
    Load("fan-out", "fan-out of 5 parallel queries of 5 ms", "/fan-out/7", clients=16, rate=32),
    Load("bursts", "a burst of 60 small writes every second", "/notes/7", clients=60, rate=60, together=True),
    Load("held", "transactions held 2 s", "/held/7", clients=64, rate=32),
)
"""The rates are below what one generator can send, so that it is not what is measured; `held` wants more than there is.

`held` is the last one: its queues outlast it.
"""
