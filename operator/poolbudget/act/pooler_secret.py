"""The Secret of a pooler: users, key and certificate, and the console's password. Kept by `act.pooler_keeper`.

The Secret that the user names is only read. Ours is written only over what was read, as another operator may be at it.
"""

import asyncio
import base64
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from poolbudget.act.authority import CHANGES, Held, Step, Validity, create, next_step
from poolbudget.kube import ApiError, Kube
from poolbudget.observe.login import Unobservable, read_secret, secret_data, texts
from poolbudget.pooler.config import CONSOLE_USER, auth_ini, is_one_line, user_line
from poolbudget.pooler.objects import Pooler, secret

VALIDITY = Validity(authority=timedelta(days=3650), leaf=timedelta(days=365), settle=timedelta(days=30))
"""Applications read an authority once, when they start: it lasts, and a new one is announced for long."""
PASSWORD = "console-password"  # noqa: S105 - the name of a key
USERS = "userlist.txt"


@dataclass(frozen=True, slots=True)
class Material:
    """What is secret of a pooler, and whom it trusts.

    `login`: the role that looks up other users' secrets, None with a list of all. `server_authority`: what verifies the
    server, from a Secret that is mounted as it is.
    """

    password: str
    held: Held
    users: str
    login: Mapping[str, str] | None
    server_authority: str

    @property
    def trusted(self) -> str:
        """The authorities that applications have to trust, as PEM."""
        return self.held.bundle.decode()

    @property
    def trust(self) -> ssl.SSLContext:
        """What verifies the pooler by that; pods are reached by address, and nobody else has such a certificate."""
        context = ssl.create_default_context(cadata=self.trusted)
        context.check_hostname = False
        return context

    @property
    def digest(self) -> str:
        """A short hash that changes when anything of it does."""
        return sha256(repr((sorted(self.to_data().items()), self.server_authority)).encode()).hexdigest()[:16]

    def to_data(self) -> dict[str, str]:
        """Return the Secret's data."""
        plain = {
            **self.held.to_data(),
            PASSWORD: self.password.encode(),
            USERS: (user_line(CONSOLE_USER, self.password) + self.users).encode(),
            "auth.ini": auth_ini(self.login["username"] if self.login else None).encode(),
        }
        return {key: base64.b64encode(value).decode() for key, value in plain.items()}


async def keep_secret(kube: Kube, pooler: Pooler, now: datetime) -> Material:
    """Return what the pooler's Secret holds, after it was brought up to date; raise `Unobservable` where it cannot."""
    (users, login), stored, server_authority = await asyncio.gather(
        _users(kube, pooler), _stored(kube, pooler), _server_authority(kube, pooler)
    )
    password, held = _kept(stored, pooler, now)
    material = Material(password, held, users, login, server_authority)
    data = material.to_data()
    if stored is None:
        await kube.post(_collection(pooler), secret(pooler, data))
    elif stored.get("data") != data:
        await kube.put(_path(pooler), {**stored, "data": data})
    return material


async def _users(kube: Kube, pooler: Pooler) -> tuple[str, Mapping[str, str] | None]:
    """Read the Secret that the budget names: a list of all users, or the role that looks them up."""
    named = pooler.budget.spec.pooler.auth_secret_ref
    if named is None:
        raise Unobservable("NoCredentials", "set pooler.authSecretRef: PgBouncer has to know its users")
    where = f"{pooler.budget.key.namespace}/{named.name}"
    data = await secret_data(kube, pooler.budget.key.namespace, named.name)
    if USERS in data:
        return texts(data, where, (USERS,))[USERS].rstrip("\n") + "\n", None
    login = texts(data, where, ("username", "password"))
    for key, value in login.items():
        if not is_one_line(value):
            raise Unobservable("SecretInvalid", f"{key} in the Secret {where} must be one line, no space around it")
    return user_line(login["username"], login["password"]), login


async def _server_authority(kube: Kube, pooler: Pooler) -> str:
    named = pooler.server_tls.ca_secret_ref
    if named is None:
        return ""
    return (await read_secret(kube, pooler.budget.key.namespace, named.name, (named.key,)))[named.key]


async def _stored(kube: Kube, pooler: Pooler) -> dict[str, Any] | None:
    try:
        stored = await kube.get(_path(pooler))
    except ApiError as error:
        if error.status != 404:
            raise
        return None
    owners = [owner["uid"] for owner in stored["metadata"].get("ownerReferences", [])]
    if pooler.budget.uid not in owners:
        message = f"the Secret {pooler.budget.key.namespace}/{pooler.name} is not the operator's: delete or rename it"
        raise Unobservable("NameTaken", message)
    return stored


def _kept(stored: Mapping[str, Any] | None, pooler: Pooler, now: datetime) -> tuple[str, Held]:
    """Return password and certificates as they are, or made anew where they are missing, unusable or due."""
    try:
        data = {key: base64.b64decode(value) for key, value in (stored or {}).get("data", {}).items()}
        password, held = data[PASSWORD].decode(), Held.from_data(data)
    except (KeyError, ValueError):
        return secrets.token_urlsafe(24), create(pooler.hosts, now, VALIDITY)
    unchanged = now - max(held.newest.not_valid_before_utc, held.leaf.not_valid_before_utc)
    step = next_step(held, held.bundle, unchanged, now, VALIDITY)
    return password, held if step is Step.REST else CHANGES[step](held, pooler.hosts, now, VALIDITY)


def _collection(pooler: Pooler) -> str:
    return f"/api/v1/namespaces/{pooler.budget.key.namespace}/secrets"


def _path(pooler: Pooler) -> str:
    return f"{_collection(pooler)}/{pooler.name}"
