"""What the API server shows of a budget's pooler, and whether it serves: called by `act.pooler_keeper`.

PgBouncer tells a client what Postgres told it, so one query as the role that looks up secrets tries the whole way: the
pooler's port, its login at the server, and the function. What hangs instead (TLS) is asked for at the server itself.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import asyncpg

from poolbudget.api.v1alpha1 import Database, PoolBudgetSpec
from poolbudget.kube import ApiError, Kube
from poolbudget.observe.login import FAILURES, Unobservable, connect, explain
from poolbudget.planning.model import BudgetKey
from poolbudget.planning.poolers import PORT
from poolbudget.pooler.config import AUTH_QUERY, Limits, server_tls
from poolbudget.pooler.layout import PoolerPod, Seen
from poolbudget.pooler.objects import CONFIG_ANNOTATION, LIMITS_ANNOTATION, POOLER_LABEL, SECRET_ANNOTATION

ANSWER_SECONDS = 3.0
SETUP = "run deploy/sql/setup.sql in it"
NOT_SET_UP = (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError)

BY_PGBOUNCER = (asyncpg.ProtocolViolationError, asyncpg.ConnectionDoesNotExistError)
"""What its own words come as: the one at a login, the other in a session."""


async def look(kube: Kube, budget: BudgetKey, name: str) -> Seen:
    """Read the StatefulSet and the pods; raise `Unobservable` where the name is somebody else's."""
    try:
        stateful_set = await kube.get(f"/apis/apps/v1/namespaces/{budget.namespace}/statefulsets/{name}")
    except ApiError as error:
        if error.status != 404:
            raise
        stateful_set = None
    if stateful_set and stateful_set["metadata"].get("labels", {}).get(POOLER_LABEL) != budget.name:
        message = f"the StatefulSet {budget.namespace}/{name} is not the operator's: give it or the budget another name"
        raise Unobservable("NameTaken", message)
    path = f"/api/v1/namespaces/{budget.namespace}/pods"
    found = await kube.get(path, labelSelector=f"{POOLER_LABEL}={budget.name}")
    pods = tuple(sorted(map(parse_pod, found["items"]), key=lambda pod: pod.name))
    return parse_stateful_set(stateful_set, pods)


def parse_stateful_set(raw: Mapping[str, Any] | None, pods: tuple[PoolerPod, ...]) -> Seen:
    """Read a StatefulSet, None where there is none."""
    if raw is None:
        return Seen(None, None, "", observed=True, pods=pods)
    limits, config = _annotations(raw["spec"]["template"]["metadata"])
    observed = raw.get("status", {}).get("observedGeneration", 0) >= raw["metadata"]["generation"]
    return Seen(raw["spec"]["replicas"], limits, config, observed, pods)


def parse_pod(raw: Mapping[str, Any]) -> PoolerPod:
    """Read a pod of a pooler."""
    metadata, status = raw["metadata"], raw.get("status", {})
    limits, config = _annotations(metadata)
    running = [c["containerID"] for c in status.get("containerStatuses", []) if "running" in c.get("state", {})]
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
    return PoolerPod(
        name=metadata["name"],
        uid=metadata["uid"],
        process=running[0] if running else "",
        address=status.get("podIP", ""),
        host=status.get("hostIP", ""),
        limits=limits,
        config=config,
        secret=metadata.get("annotations", {}).get(SECRET_ANNOTATION, ""),
        ready=ready,
        ending="deletionTimestamp" in metadata,
    )


async def probe(
    kube: Kube, namespace: str, spec: PoolBudgetSpec, pod: PoolerPod, login: Mapping[str, str], trust: ssl.SSLContext
) -> None:
    """Ask the pooler, and through it the server; raise `Unobservable` with what is wrong and what to do.

    `login`: username and password of the role that looks up secrets. `trust`: who issued the pooler's certificate.
    """
    database = spec.database
    if database is None:
        return
    role = f"the pooler's role {login['username']}"
    try:
        await _ask(pod.address, database, login, trust)
    except BY_PGBOUNCER as error:
        if "fail" in str(error):
            await _ask_server(kube, namespace, spec, login)
            message = f"{pod.name} does not log in yet: {error}; it takes in a changed Secret within two minutes"
            raise Unobservable("LoginPending", message) from error
        if isinstance(error, asyncpg.ProtocolViolationError):
            raise Unobservable("PoolerRefused", f"{pod.name}: {error}") from error
        raise Unobservable("Unreachable", f"{pod.name}: {error}") from error
    except NOT_SET_UP as error:
        message = f"{database.host}:{database.port}, database {database.name}: {error}: {SETUP}"
        raise Unobservable("AuthFunctionMissing", message) from error
    except (TimeoutError, asyncpg.InterfaceError, OSError) as error:
        await _ask_server(kube, namespace, spec, login)
        message = f"{pod.name} does not answer ({str(error) or type(error).__name__}): see its log with kubectl logs"
        raise Unobservable("Unreachable", message) from error
    except FAILURES as error:
        raise explain(error, database, role) from error


async def _ask(address: str, database: Database, login: Mapping[str, str], trust: ssl.SSLContext) -> None:
    async with asyncio.timeout(ANSWER_SECONDS):
        connection = await asyncpg.connect(
            host=address,
            port=PORT,
            database=database.name,
            user=login["username"],
            password=login["password"],
            ssl=trust,
            statement_cache_size=0,
        )
        try:
            await connection.execute(AUTH_QUERY.replace("$1", "''"))
        finally:
            connection.terminate()


async def _ask_server(kube: Kube, namespace: str, spec: PoolBudgetSpec, login: Mapping[str, str]) -> None:
    """Log in at the server as the pooler does; raise what is wrong there, if anything is."""
    if spec.database is None:
        return
    database = spec.database.model_copy(update={"tls": server_tls(spec)})
    try:
        connection = await connect(kube, namespace, database, login, ANSWER_SECONDS)
    except FAILURES as error:
        raise explain(error, database, f"the pooler's role {login['username']}") from error
    connection.terminate()


def _annotations(metadata: Mapping[str, Any]) -> tuple[Limits | None, str]:
    annotations = metadata.get("annotations", {})
    return Limits.parse(annotations.get(LIMITS_ANNOTATION, "")), annotations.get(CONFIG_ANNOTATION, "")
