"""Which of several operators acts: the holder of a Lease.

The lease keeps operators from working against each other; that no slot is spent twice rests on the ledger's
preconditions alone. A leader that cannot renew ends its process before the lease runs out, so its successor finds
nobody at work.
"""

import asyncio
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from poolbudget.kube import ApiError, Kube

log = logging.getLogger(__name__)

LEASE_NAME = "poolbudget-operator"
DEFAULT_SECONDS = 15.0


class LeaseLostError(Exception):
    """The process no longer leads, or cannot know that it does: it must end."""


@dataclass(frozen=True, slots=True)
class _Held:
    """The lease as last seen: `version` changes with every renewal, `since` is our clock when we saw it change."""

    version: str
    holder: str
    since: float


class Lease:
    """A coordination.k8s.io Lease held by renewing it; `duration` in seconds, unless the object names its own."""

    def __init__(self, kube: Kube, namespace: str, name: str, identity: str, duration: float = DEFAULT_SECONDS) -> None:
        self._kube, self._identity, self._duration = kube, identity, duration
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._seen: _Held | None = None
        self._renewed = 0.0

    async def acquire(self) -> None:
        """Return once we hold the lease: nobody did, or its holder has not renewed it for its whole duration."""
        while True:
            if await self._try_to_acquire():
                break
            await asyncio.sleep(self._duration / 10)
        log.info("leading as %s", self._identity)

    async def is_free(self) -> bool:
        """Whether nobody leads: there is no lease, it was given up, or it has not been renewed for its duration."""
        try:
            return self._is_free(await self._kube.get(self._path))
        except ApiError as error:
            if error.status == 404:
                return True
            raise

    async def keep(self) -> None:
        """Renew for ever; raise `LeaseLostError` when another holds it, or after two thirds of it without renewal."""
        while True:
            await asyncio.sleep(self._duration / 5)
            started = _now()
            try:
                async with asyncio.timeout_at(self._renewed + self._duration * 2 / 3):
                    await self._write(await self._kube.get(self._path))
                self._renewed = started
            except TimeoutError as late:
                raise LeaseLostError("not renewed in time") from late
            except ApiError as error:
                if _now() - self._renewed >= self._duration * 2 / 3:
                    raise LeaseLostError(f"not renewed in time: {error}") from error
                log.warning("renewing the lease: %s", error)

    async def release(self) -> None:
        """Give the lease up, so that a successor need not wait for it to run out."""
        try:
            lease = await self._kube.get(self._path)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                await self._kube.put(self._path, lease)
        except ApiError as error:
            log.warning("releasing the lease: %s", error)

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._name}"

    async def _try_to_acquire(self) -> bool:
        started = _now()
        try:
            lease = await self._kube.get(self._path)
        except ApiError as error:
            if error.status != 404:
                log.warning("reading the lease: %s", error)
                return False
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name},
                "spec": {},
            }
        if not self._is_free(lease):
            return False
        try:
            await self._write(lease, take_over=True)
        except (ApiError, LeaseLostError) as error:
            log.info("another operator was faster: %s", error)
            return False
        self._renewed = started
        return True

    def _is_free(self, lease: dict[str, Any]) -> bool:
        """Whether nobody holds it. Clocks of machines are not compared: we time how long it has stayed as it is."""
        holder = lease["spec"].get("holderIdentity") or ""
        version = lease["metadata"].get("resourceVersion", "")
        if self._seen is None or (self._seen.version, self._seen.holder) != (version, holder):
            self._seen = _Held(version, holder, _now())
        duration = lease["spec"].get("leaseDurationSeconds") or self._duration
        return holder in {"", self._identity} or _now() - self._seen.since >= duration

    async def _write(self, lease: dict[str, Any], *, take_over: bool = False) -> None:
        spec = lease["spec"]
        if not take_over and spec.get("holderIdentity") != self._identity:
            raise LeaseLostError(f"{spec.get('holderIdentity') or 'nobody'} holds the lease")
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec.update(holderIdentity=self._identity, leaseDurationSeconds=max(1, round(self._duration)), renewTime=stamp)
        if take_over:
            spec.update(acquireTime=stamp, leaseTransitions=(spec.get("leaseTransitions") or 0) + 1)
        if "resourceVersion" in lease["metadata"]:
            await self._kube.put(self._path, lease)
        else:
            await self._kube.post(self._collection, lease)


def default_identity() -> str:
    """Return a name that no other process has: the pod's (or host's) and the process's."""
    return f"{os.uname().nodename}_{os.getpid()}"


def _now() -> float:
    return asyncio.get_running_loop().time()
