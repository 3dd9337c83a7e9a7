"""How the operator logs in at a Postgres server: credentials from Secrets, TLS as declared, and what went wrong.

`observe.database` reads servers through it, and `observe.pooler` asks with it why a pooler does not get in.
"""

import ssl
from base64 import b64decode
from collections.abc import Mapping

import asyncpg

from poolbudget.api.types import LIBPQ_SSLMODE, SslMode
from poolbudget.api.v1alpha1 import Database, Tls, TlsMode
from poolbudget.kube import ApiError, Kube


class Unobservable(Exception):  # noqa: N818 - a state that is reported, not a fault of the program
    """The server cannot be reached or read now. `reason` is CamelCase; the text says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    ValueError,
    ApiError,
    Unobservable,
)
"""InternalClientError: of a query on a connection that the server has just ended. ValueError: a host or name that the
resolver or the driver cannot even encode."""


async def connect(
    kube: Kube, namespace: str, database: Database, credentials: Mapping[str, str], timeout: float
) -> asyncpg.Connection:
    """Connect with the username and password of `credentials`, within `timeout` seconds; raises one of `FAILURES`."""
    return await asyncpg.connect(
        host=_host(database.host, namespace),
        port=database.port,
        database=database.name,
        user=credentials["username"],
        password=credentials["password"],
        ssl=await _ssl(kube, namespace, database.tls),
        timeout=timeout,
        statement_cache_size=0,
        server_settings={"application_name": "poolbudget"},
    )


async def read_secret(kube: Kube, namespace: str, name: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Return these keys of a Secret as text; raise `Unobservable` where one is missing."""
    return texts(await secret_data(kube, namespace, name), f"{namespace}/{name}", keys)


async def secret_data(kube: Kube, namespace: str, name: str) -> Mapping[str, str]:
    """Return what a Secret holds, in base64; raise `Unobservable` where there is none."""
    try:
        secret = await kube.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    except ApiError as error:
        if error.status != 404:
            raise
        raise Unobservable("SecretNotFound", f"create the Secret {namespace}/{name}") from error
    return secret.get("data") or {}


def texts(data: Mapping[str, str], where: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Decode these keys of a Secret's data."""
    if missing := [key for key in keys if key not in data]:
        raise Unobservable("SecretIncomplete", f"add the key {', '.join(missing)} to the Secret {where}")
    try:
        return {key: b64decode(data[key]).decode() for key in keys}
    except ValueError as error:
        message = f"the Secret {where} holds something that is no text: write {', '.join(keys)} anew"
        raise Unobservable("SecretInvalid", message) from error


def explain(error: Exception, database: Database, role: str = "the monitoring role") -> Unobservable:
    """Say what a failure means, and what to do."""
    where = f"{database.host}:{database.port}"
    match error:
        case Unobservable():
            return error
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return Unobservable("AuthenticationFailed", f"{where} refused {role}: correct the Secret ({error})")
        case asyncpg.TooManyConnectionsError():
            return Unobservable("TooManyConnections", f"{where} has no slot left for {role} ({error})")
        case asyncpg.InvalidCatalogNameError():
            return Unobservable("DatabaseNotFound", f"{where} has no database {database.name}: correct database.name")
        case ssl.SSLError():
            return Unobservable("TlsFailed", f"{where}: {error}: correct database.tls")
        case asyncpg.PostgresError():
            return Unobservable("QueryFailed", f"{where}: {error}")
        case _:
            return Unobservable("Unreachable", f"{where} does not answer: {str(error) or type(error).__name__}")


async def _ssl(kube: Kube, namespace: str, tls: Tls) -> SslMode | ssl.SSLContext:
    if tls.ca_secret_ref is None:
        return LIBPQ_SSLMODE[tls.mode]
    name, key = tls.ca_secret_ref.name, tls.ca_secret_ref.key
    ca = await read_secret(kube, namespace, name, (key,))
    try:
        context = ssl.create_default_context(cadata=ca[key])
    except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: what is not ASCII
        message = f"the key {key} of the Secret {name} holds no PEM certificate, or more than ASCII text around it"
        raise Unobservable("SecretInvalid", message) from error
    context.check_hostname = tls.mode is TlsMode.VERIFY_FULL
    return context


def _host(host: str, namespace: str) -> str:
    """Make a bare Service name reachable from the operator's namespace; it is meant in the budget's."""
    return host if "." in host or host == "localhost" else f"{host}.{namespace}.svc"
