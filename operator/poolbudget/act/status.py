"""Writes the status of PoolBudgets, only when it differs, and an Event when a condition flips.

Last step of `reconcile`.
"""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from poolbudget.act.events import post_event
from poolbudget.api.conditions import NewCondition, merge
from poolbudget.api.v1alpha1 import API_VERSION, KIND, PLURAL, Condition, PoolBudgetStatus
from poolbudget.kube import ApiError, Kube
from poolbudget.planning.model import BudgetKey

log = logging.getLogger(__name__)


FIGURES_SECONDS = 1.0
"""How often figures alone are written: a burst of grants is many rounds, and each moves some figure."""


class StatusWriter:
    """Remembers what each budget shows, so that an unchanged status costs nothing."""

    def __init__(self, kube: Kube, reporter: str) -> None:
        self._kube, self._reporter = kube, reporter
        self._shown: dict[BudgetKey, PoolBudgetStatus] = {}
        self._uids: dict[BudgetKey, str] = {}
        self._written_at: dict[BudgetKey, float] = {}

    def remember(self, key: BudgetKey, uid: str, status: Mapping[str, Any]) -> None:
        """Take note of what a budget shows when it is first seen, or seen again as another object of that name."""
        if self._uids.get(key) == uid:
            return
        self._uids[key] = uid
        try:
            self._shown[key] = PoolBudgetStatus.model_validate(status)
        except ValidationError:  # written by another version: overwritten as a whole
            self._shown[key] = PoolBudgetStatus()

    def shown(self, key: BudgetKey) -> PoolBudgetStatus:
        """Return what a budget shows."""
        return self._shown.get(key, PoolBudgetStatus())

    def forget(self, key: BudgetKey) -> None:
        """Drop a deleted budget."""
        self._uids.pop(key, None)
        self._shown.pop(key, None)
        self._written_at.pop(key, None)

    async def write(
        self, key: BudgetKey, generation: int, status: PoolBudgetStatus, findings: list[NewCondition]
    ) -> None:
        """Bring the budget's status up to date. A budget that is gone by now is no error."""
        if key not in self._uids:
            return
        before = self._shown[key]
        conditions = merge(before.conditions, findings, generation, _now())
        after = status.model_copy(update={"observed_generation": generation, "conditions": conditions})
        flipped = _flipped(before.conditions, conditions)
        if after == before or (not flipped and self._was_just_written(key)):
            return
        body = {"metadata": {"uid": self._uids[key]}, "status": _as_merge_patch(before, after)}
        try:
            await self._kube.patch(f"{_path(key)}/status", body)
        except ApiError as error:
            log.log(logging.INFO if error.status in {404, 409} else logging.WARNING, "status of %s: %s", key, error)
            return
        self._shown[key] = after
        self._written_at[key] = time.monotonic()
        for condition in flipped:
            await self._tell(key, condition)

    async def write_failure(self, key: BudgetKey, generation: int, reason: str, message: str) -> None:
        """Show that the budget's server is not served, and keep what was shown of it before."""
        shown = self._shown.get(key)
        if shown is None:
            return
        others = [_found(condition) for condition in shown.conditions if condition.type != "Ready"]
        await self.write(key, generation, shown, [NewCondition("Ready", False, reason, message), *others])

    def _was_just_written(self, key: BudgetKey) -> bool:
        return time.monotonic() - self._written_at.get(key, -FIGURES_SECONDS) < FIGURES_SECONDS

    async def _tell(self, key: BudgetKey, condition: Condition) -> None:
        regarding = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": key.namespace,
            "name": key.name,
            "uid": self._uids.get(key, ""),
        }
        await post_event(
            self._kube,
            regarding,
            reporter=self._reporter,
            type_="Warning" if condition.status == "False" else "Normal",
            reason=condition.reason,
            action=condition.type,
            note=condition.message,
        )


def _as_merge_patch(before: PoolBudgetStatus, after: PoolBudgetStatus) -> dict[str, Any]:
    """Return the whole status, and null for what it no longer has (RFC 7386)."""
    old = before.model_dump(by_alias=True, exclude_none=True, mode="json")
    new = after.model_dump(by_alias=True, exclude_none=True, mode="json")
    return _with_nulls(old, new)


def _with_nulls(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        nested = isinstance(value, dict) and isinstance(old.get(key), dict)
        patch[key] = _with_nulls(old[key], value) if nested else value
    return patch


def _flipped(before: list[Condition], after: list[Condition]) -> list[Condition]:
    shown = {condition.type: (condition.status, condition.reason) for condition in before}
    return [condition for condition in after if shown.get(condition.type) != (condition.status, condition.reason)]


def _path(key: BudgetKey) -> str:
    return f"/apis/{API_VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"


def _found(condition: Condition) -> NewCondition:
    status = {"True": True, "False": False}.get(condition.status)
    return NewCondition(condition.type, status, condition.reason, condition.message)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
