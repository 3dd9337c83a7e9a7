"""What the benches share: requests by the thousand, and what they leave in ledgers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any

from poolbudget.act.ledger import LABEL, SERVER_ANNOTATION
from poolbudget.kube import ApiError, Kube
from tests.functional.space import OPERATOR_NAMESPACE

LEDGERS = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/configmaps"
NOT_FOUND = 404
WATCH_SECONDS = 300


class LedgerWrites:
    """How often each server's ledger was written, from one watch."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self.of: Counter[str] = Counter()

    async def follow(self) -> None:
        """Watch for ever."""
        async for event in changes(self._kube, LEDGERS, labelSelector=LABEL):
            if event["type"] in {"ADDED", "MODIFIED"}:
                self.of[event["object"]["metadata"]["annotations"][SERVER_ANNOTATION]] += 1


async def changes(kube: Kube, path: str, **params: str | int) -> AsyncIterator[dict[str, Any]]:
    """Yield what happens to objects from now on, for ever: a watch ends after some minutes, and another takes over."""
    version = (await kube.get(path, limit=1))["metadata"]["resourceVersion"]
    while True:
        async for event in kube.watch(path, version, WATCH_SECONDS, **params):
            version = event["object"]["metadata"]["resourceVersion"]
            yield event


async def at_once(requests: Iterable[Awaitable[Any]], most: int) -> None:
    """Await all requests, at most so many at once."""
    places = asyncio.Semaphore(most)

    async def one(request: Awaitable[Any]) -> None:
        async with places:
            await request

    await asyncio.gather(*map(one, requests))


async def remove_pods(kube: Kube, path: str, most: int) -> None:
    """Delete the pods under `path` one by one: a request that deletes thousands takes longer than a request may."""
    names = [pod["metadata"]["name"] async for page in kube.pages(path) for pod in page["items"]]
    await at_once((_remove(kube, f"{path}/{name}") for name in names), most)


async def remove_ledgers(kube: Kube, namespace: str) -> None:
    """Delete what is left of the ledgers of servers that budgets of this namespace named; no operator may run."""
    async for page in kube.pages(LEDGERS, labelSelector=LABEL):
        for ledger in page["items"]:
            if ledger["metadata"]["annotations"][SERVER_ANNOTATION].startswith(f"{namespace}/"):
                await kube.delete(f"{LEDGERS}/{ledger['metadata']['name']}")


async def _remove(kube: Kube, path: str) -> None:
    try:
        await kube.delete(path, {"gracePeriodSeconds": 0})
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
