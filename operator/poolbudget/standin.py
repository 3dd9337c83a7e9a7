"""Grants in place of an operator that is away, for budgets with `admission: Available`.

`poolbudget webhook` runs `stand_in` beside the listeners, off the path of reviews. Reservations are written to the very
ledger that the operator uses, with the same precondition: a leader that comes back at the same moment, or the other
replica of the webhook, makes the write fail, and then nothing is granted.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from poolbudget.act.lease import LEASE_NAME, Lease
from poolbudget.act.ledger import LedgerConflictError, LedgerStore
from poolbudget.act.outbox import Outbox
from poolbudget.act.pods import PodWriter
from poolbudget.api.parse import SpecError, parse_budget
from poolbudget.api.v1alpha1 import API_VERSION, PLURAL, AdmissionMode, PoolBudgetStatus
from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.codec import LedgerCorruptError
from poolbudget.ledger.model import BUDGET_LABEL, Pod
from poolbudget.ledger.published import starts
from poolbudget.observe.pods import parse_pod
from poolbudget.planning.model import Budget, BudgetKey
from poolbudget.planning.plan import server_key

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


async def stand_in(kube: Kube, namespace: str, identity: str) -> None:
    """Look for ever whether somebody leads, and grant while nobody does. `namespace` is the operator's."""
    lease, outbox = Lease(kube, namespace, LEASE_NAME, identity), Outbox()
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.run())
        group.create_task(_look(kube, namespace, lease, PodWriter(kube, outbox, identity)))


async def _look(kube: Kube, namespace: str, lease: Lease, pods: PodWriter) -> None:
    while True:
        try:
            if await lease.is_free():
                async for budget, status in _available_budgets(kube):
                    await _grant(kube, pods, LedgerStore(kube, namespace, server_key(budget)), budget, status)
        except (ApiError, LedgerConflictError, LedgerCorruptError) as error:
            log.warning("standing in for the operator: %s", error)
        await asyncio.sleep(LOOK_SECONDS)


async def _grant(kube: Kube, pods: PodWriter, store: LedgerStore, budget: Budget, status: PoolBudgetStatus) -> None:
    """Write down and start what the published plan has a place for. The ledger is read before the pods are."""
    ledger = await store.read()
    due = starts(budget, status, ledger, await _pods_of(kube, budget.key))
    if not due:
        return
    await store.write({**ledger, **{start.pod.uid: start.reservation for start in due}})
    pods.start([(start.pod, partial(dict, start.annotations)) for start in due])
    log.info("%s: no operator leads: starting %d pods with the published plan", budget.key, len(due))


async def _available_budgets(kube: Kube) -> AsyncIterator[tuple[Budget, PoolBudgetStatus]]:
    async for page in kube.pages(f"/apis/{API_VERSION}/{PLURAL}"):
        for raw in page["items"]:
            if (found := _parse(raw)) is not None and found[0].spec.admission is AdmissionMode.AVAILABLE:
                yield found


def _parse(raw: dict[str, Any]) -> tuple[Budget, PoolBudgetStatus] | None:
    metadata = raw["metadata"]
    try:
        spec = parse_budget(raw)
    except SpecError:
        return None  # the webhook has said so
    budget = Budget(BudgetKey(metadata["namespace"], metadata["name"]), spec, metadata["generation"])
    return budget, PoolBudgetStatus.model_validate(raw.get("status") or {})


async def _pods_of(kube: Kube, budget: BudgetKey) -> list[Pod]:
    found = [
        parsed[1]
        async for page in kube.pages("/api/v1/pods", labelSelector=f"{BUDGET_LABEL}={budget.name}")
        for raw in page["items"]
        if (parsed := parse_pod(raw)) is not None
    ]
    return [pod for pod in found if pod.workload.budget_key == budget]
