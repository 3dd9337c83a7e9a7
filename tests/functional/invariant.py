"""The invariant as it can be seen from outside: what ledger and pods hold together, whenever one of them changes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.codec import decode
from tests.functional.space import OPERATOR_NAMESPACE, PATHS, Raw, Space, connections

LEDGERS = PATHS["ConfigMap"].format(OPERATOR_NAMESPACE)
RECONNECT_SECONDS = 0.2


@dataclass(slots=True)
class Peaks:
    """The most that was ever held at one moment; `moments` are those that were looked at."""

    ledger: int = 0
    pods: int = 0
    moments: int = 0


@asynccontextmanager
async def never_more_than(space: Space, usable: int) -> AsyncIterator[Peaks]:
    """Fail at the end if the ledger, or the grants of living pods, of this namespace were ever beyond `usable`.

    Goes on by itself after the API server was away.
    """
    peaks = Peaks()

    def of_ledgers(found: list[Raw]) -> None:
        entries = [entry for ledger in found for entry in decode(ledger.get("data") or {}).values()]
        peaks.ledger = max(peaks.ledger, sum(e.connections for e in entries if e.namespace == space.name))

    def of_pods(found: list[Raw]) -> None:
        peaks.pods = max(peaks.pods, sum(map(connections, _living(found))))
        peaks.moments += 1

    tasks = [
        asyncio.create_task(_follow(space.kube, LEDGERS, of_ledgers, labelSelector="poolbudget.dev/ledger")),
        asyncio.create_task(_follow(space.kube, space.path("Pod"), of_pods)),
    ]
    try:
        yield peaks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    print(f"of {usable} usable, at most {peaks.ledger} in the ledger and {peaks.pods} at pods, {peaks.moments} moments")
    assert 0 < peaks.ledger <= usable
    assert 0 < peaks.pods <= usable


def _living(pods: Iterable[Raw]) -> list[Raw]:
    return [pod for pod in pods if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}]


async def _follow(kube: Kube, path: str, note: Callable[[list[Raw]], None], **params: str) -> None:
    """Call `note` with all objects whenever one has changed, until cancelled."""
    while True:
        try:
            await _follow_once(kube, path, note, **params)
        except ApiError:
            await asyncio.sleep(RECONNECT_SECONDS)


async def _follow_once(kube: Kube, path: str, note: Callable[[list[Raw]], None], **params: str) -> None:
    listed = await kube.get(path, **params)
    seen = {raw["metadata"]["uid"]: raw for raw in listed["items"]}
    note(list(seen.values()))
    async with aclosing(kube.watch(path, listed["metadata"]["resourceVersion"], 600, **params)) as watch:
        async for event in watch:
            raw = event["object"]
            if event["type"] == "DELETED":
                seen.pop(raw["metadata"]["uid"], None)
            elif event["type"] != "BOOKMARK":
                seen[raw["metadata"]["uid"]] = raw
            note(list(seen.values()))
