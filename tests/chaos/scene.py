"""What the faults happen to: Postgres, three workloads under a budget that is handed out in full, their load.

`__main__` sets it up and takes it down. Everything is in one namespace, made from the manifests of `make demo`.
"""

import asyncio
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from examples.demo.phases import DEPLOY
from tests.chaos import sampler
from tests.e2e.database import BASE, EVERYWHERE, Shop, importing, module, uvicorn
from tests.functional.cluster import budget, eventually, is_admitting, kubectl
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space

NAMESPACE = "poolbudget-chaos"
USABLE = 54
RESERVED = 8
SERVER_RESERVES = 3
SYSTEM = ("poolbudget-operator", "poolbudget-webhook")
REFUSED = " 53300 "
"""How the SQLSTATE of a refusal stands in Postgres' log, by the prefix that `server` sets."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment of the example's application and the load that wants more than all its connections.

    `hold`: how long a request holds a connection, in milliseconds; `rate`: most requests per second, of `clients`.
    """

    command: tuple[str, ...]
    most_pods: int
    hold: int
    clients: int
    rate: int


APPLICATION = Path(__file__).with_name("eager.py")
GUNICORN = ("gunicorn", f"{APPLICATION.stem}:app", "--bind", f"{EVERYWHERE}:8000", "-k", "uvicorn_worker.UvicornWorker")
WORKLOADS: Mapping[str, Workload] = {
    "api": Workload(uvicorn(APPLICATION, 2), most_pods=3, hold=400, clients=60, rate=80),
    "worker": Workload((*GUNICORN, "-w", "3", "--no-control-socket"), most_pods=2, hold=1000, clients=40, rate=30),
    "batch": Workload(uvicorn(APPLICATION), most_pods=2, hold=2000, clients=24, rate=12),
}
"""At the floor of 2 a process they need 4 x 4 + 3 x 6 + 3 x 2 = 40 of 54; the plan hands out the other 14, too."""


def install() -> None:
    """Start operator and webhook as they are shipped, of the newest image, and wait until pods are admitted."""
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(DEPLOY))
    kubectl("-n", OPERATOR_NAMESPACE, "rollout", "restart", "deployment")
    for name in SYSTEM:
        kubectl("-n", OPERATOR_NAMESPACE, "rollout", "status", f"deployment/{name}", "--timeout=180s")
    eventually(is_admitting, "a labelled pod comes back gated")


async def clear(space: Space) -> None:
    """Remove the namespace and what the operator remembers of it; nothing to do is fine."""
    if kubectl("get", "namespace", space.name, "--ignore-not-found", "--output=name").stdout:
        kubectl("delete", "-n", space.name, "deployments,statefulsets,pods", "--all", "--grace-period=1")
        await space.forget()
        kubectl("delete", "namespace", space.name, "--timeout=180s")


async def build(space: Space, *, headroom: int, check_interval: int) -> Shop:
    """Make the namespace and wait until Postgres and all workloads serve."""
    kubectl("create", "namespace", NAMESPACE)
    kubectl("wait", "-n", NAMESPACE, "--for=create", "serviceaccount/default", "--timeout=60s")
    manifests = rendered()
    shop = Shop(space, manifests | {key: raw for name in WORKLOADS for key, raw in application(manifests, name)})
    await space.apply(*server(manifests, USABLE + RESERVED + headroom), module(APPLICATION))
    await rolled_out("statefulset/orders-db")
    set_check_interval(check_interval)
    await space.apply(the_budget(space.name, headroom))
    for name, workload in WORKLOADS.items():
        await shop.application(name, workload.most_pods)
    for name in WORKLOADS:
        await rolled_out(f"deployment/{name}")
    await space.status("orders", _is_handed_out, what=f"all {USABLE} connections are planned", seconds=60)
    return shop


async def begin_measuring(shop: Shop) -> None:
    """Start the sampler, then the load."""
    limits = ("--role", "shop", "--usable", str(USABLE), "--reserve", str(RESERVED - SERVER_RESERVES))
    await shop.start("sampler", "python", "-c", inspect.getsource(sampler), *limits, role="postgres")
    for name, workload in WORKLOADS.items():
        url = f"http://{name}/orders/7?hold_ms={workload.hold}"
        load = ("--concurrency", str(workload.clients), "--rate", str(workload.rate), "--seconds", "86400")
        await shop.start(f"load-{name}", "python", "-m", "load", "--url", url, *load)


async def end_measuring(shop: Shop) -> tuple[Raw, list[Raw], int]:
    """End both; return the sampler's line, those of the load, and the logins that Postgres refused."""
    loads = [await shop.stop(f"load-{name}") for name in WORKLOADS]
    seen = await shop.stop("sampler")
    log = kubectl("logs", "-n", NAMESPACE, "orders-db-0").stdout
    return seen, loads, log.count(REFUSED)


def rendered() -> dict[tuple[str, str], Raw]:
    """Return the manifests of the demo without its namespace, by kind and name."""
    found = list(yaml.safe_load_all(kubectl("kustomize", str(BASE)).stdout))
    for manifest in found:
        manifest["metadata"].pop("namespace", None)
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in found}


def server(manifests: Mapping[tuple[str, str], Raw], max_connections: int) -> list[Raw]:
    """Return the demo's Postgres, started again and again in one container: its data outlives a restart."""
    made = [raw for (kind, name), raw in manifests.items() if kind != "Namespace" and name not in WORKLOADS]
    stateful = next(raw for raw in made if raw["kind"] == "StatefulSet")
    spec = stateful["spec"]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = 1
    container = spec["containers"][0]
    settings = {"max_connections": max_connections, "fsync": "off", "log_line_prefix": "%m [%p] %e "}
    container["command"] = ["sh", "-c", 'while :; do entrypoint.sh "$@"; done', "sh"]
    container["args"] = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return made


def application(manifests: Mapping[tuple[str, str], Raw], name: str) -> list[tuple[tuple[str, str], Raw]]:
    """Return Service and Deployment of a workload, made from those of the demo's api."""
    made = []
    for kind in ("Service", "Deployment"):
        text = json.dumps(manifests[kind, "api"]).replace('"app": "api"', f'"app": "{name}"')
        raw = json.loads(text)
        raw["metadata"]["name"] = name
        made.append(((kind, name), raw))
    template = made[1][1]["spec"]["template"]
    template["spec"]["containers"][0]["command"] = list(WORKLOADS[name].command)
    importing(APPLICATION, template)
    return made


def the_budget(namespace: str, headroom: int) -> Raw:
    """Return the budget of the three workloads."""
    return budget(
        namespace,
        *budget_workloads({}),
        maxConnections=USABLE + RESERVED + headroom,
        reservedConnections=RESERVED,
        headroom=headroom,
        database={
            "host": f"orders-db.{namespace}.svc",
            "name": "orders",
            "credentialsSecretRef": {"name": "orders-db-monitor"},
        },
    )


def budget_workloads(edits: Mapping[str, Mapping[str, Any]]) -> list[Raw]:
    """Return the budget's workloads, with further fields by name."""
    return [{"name": name, "maxPods": w.most_pods, **edits.get(name, {})} for name, w in WORKLOADS.items()]


def set_check_interval(milliseconds: int) -> None:
    """Set how often a backend looks whether its client is still there; 0: never."""
    sql = f"ALTER ROLE shop SET client_connection_check_interval = {milliseconds}"
    kubectl("exec", "-n", NAMESPACE, "orders-db-0", "--", "psql", "-X", "-c", sql, "orders")


async def rolled_out(what: str) -> None:
    await asyncio.to_thread(kubectl, "rollout", "status", "-n", NAMESPACE, what, "--timeout=240s")


def _is_handed_out(status: Raw) -> bool:
    capacity = status["capacity"]
    return bool(capacity.get("usable") == USABLE == capacity.get("planned"))
