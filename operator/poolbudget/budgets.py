"""PoolBudgets, watched by kopf and handed to `servers`. Started by `main`.

`on.event` is the only kind of handler: kopf then writes nothing to the resource, neither finalizer nor annotation.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from poolbudget.act.lease import default_identity
from poolbudget.act.status import StatusWriter
from poolbudget.api.conditions import NewCondition
from poolbudget.api.parse import SpecError, parse_budget
from poolbudget.api.v1alpha1 import API_VERSION, GROUP, PLURAL, VERSION, PoolBudgetStatus
from poolbudget.kube import ApiError, Kube
from poolbudget.planning.model import Budget, BudgetKey
from poolbudget.servers import Servers

log = logging.getLogger(__name__)


CONFIRM_SECONDS = 10.0


class WatchEndedError(Exception):
    """Nobody watches PoolBudgets any more: the process must end and start anew."""


class Budgets:
    """Takes events of PoolBudgets in, and knows when all that existed at the start have been seen."""

    def __init__(self, servers: Servers, status: StatusWriter, on_change: Callable[[], None]) -> None:
        self._servers, self._status, self._on_change = servers, status, on_change
        self._seen: set[str] = set()
        self._uids: dict[BudgetKey, str] = {}
        self._news = asyncio.Event()

    async def take(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in one event: `kind` is the watch's event type, None for the first listing."""
        metadata = raw["metadata"]
        key = BudgetKey(metadata["namespace"], metadata["name"])
        uid = metadata["uid"]
        if kind != "DELETED":
            self._uids[key] = uid
            self._status.remember(key, uid, raw.get("status") or {})
            await self._set(key, raw)
        elif self._uids.get(key) == uid:  # kopf keeps order for each uid only: a successor may have come first
            self._drop(key)
        self._seen.add(uid)
        self._news.set()
        self._on_change()

    async def synced(self, kube: Kube) -> None:
        """Return once every PoolBudget that exists now was taken in: budgets of one server must be divided together."""
        for uid in await _existing(kube):
            while uid not in self._seen:
                self._news.clear()
                await self._news.wait()

    async def confirm(self, kube: Kube) -> None:
        """Drop for ever what was deleted unseen: kopf does not tell what is gone when it lists anew (410 Gone)."""
        while True:
            await asyncio.sleep(CONFIRM_SECONDS)
            known = dict(self._uids)
            try:
                existing = await _existing(kube)
            except ApiError as error:
                log.warning("confirming PoolBudgets: %s", error)
                continue
            for key, uid in known.items():
                if uid not in existing and self._uids.get(key) == uid:
                    log.info("PoolBudget %s was deleted unseen", key)
                    self._drop(key)
                    self._on_change()

    def _drop(self, key: BudgetKey) -> None:
        del self._uids[key]
        self._servers.remove_budget(key)
        self._status.forget(key)

    async def _set(self, key: BudgetKey, raw: Mapping[str, Any]) -> None:
        metadata = raw["metadata"]
        try:
            spec = parse_budget(raw)
        except SpecError as error:  # stored before this version's rules: the API server refuses it today
            self._servers.remove_budget(key)
            ready = NewCondition("Ready", False, "InvalidSpec", str(error)[:2000])
            await self._status.write(key, metadata["generation"], PoolBudgetStatus(), [ready])
            return
        self._servers.set_budget(
            Budget(key, spec, metadata["generation"], metadata["creationTimestamp"], metadata["uid"])
        )


async def _existing(kube: Kube) -> set[str]:
    """Return the uids of all PoolBudgets, by a quorum read."""
    pages = kube.pages(f"/apis/{API_VERSION}/{PLURAL}")
    return {raw["metadata"]["uid"] async for page in pages for raw in page["items"]}


async def watch_budgets(budgets: Budgets, kubeconfig: str | None) -> None:
    """Run kopf for ever; raise `WatchEndedError` when it ends, as it does when its watch fails for good."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        if kubeconfig is None and (account := kopf.login_with_service_account(**kwargs)):
            return account
        return kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def changed(event: Mapping[str, Any], **_: Any) -> None:
        await budgets.take(event["type"], event["object"])

    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # kopf would make up an identity from the user's name, which a numeric user does not have.
    try:
        await kopf.operator(
            registry=registry,
            settings=settings,
            identity=default_identity(),  # type: ignore[arg-type]  # kopf does not export its type
            standalone=True,
            clusterwide=True,
        )
    except Exception as error:
        raise WatchEndedError(f"watching PoolBudgets failed: {error}") from error
    raise WatchEndedError("watching PoolBudgets ended")
