"""The cache of a watch against a real API server: what it missed, and whether it saw how an object ended."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from poolbudget.kube import Kube
from poolbudget.observe.watch import Change, ListWatch


def parse(raw: Mapping[str, Any]) -> tuple[str, str] | None:
    name: str = raw["metadata"]["name"]
    return None if name == "kube-root-ca.crt" else (name, raw["metadata"].get("annotations", {}).get("text", ""))


@asynccontextmanager
async def following(watch: ListWatch[str, str]) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_gap_is_made_up_for_and_only_a_relist_leaves_an_end_unwitnessed(namespace: str, kube: Kube) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    changes: asyncio.Queue[tuple[str, Change[str]]] = asyncio.Queue()
    watch = ListWatch(kube, path, parse, lambda key, change: changes.put_nowait((key, change)))
    async with following(watch), asyncio.timeout(30):
        await watch.synced.wait()
        for name in ("first", "second"):
            await kube.post(path, {"metadata": {"name": name, "annotations": {"text": name}}})
            assert await changes.get() == (name, Change(None, name))

    await kube.delete(f"{path}/first")
    async with following(watch), asyncio.timeout(30):
        assert await changes.get() == ("first", Change("first", None, witnessed=True))

    await kube.delete(f"{path}/second")
    watch._version = None  # as after 410 Gone
    async with following(watch), asyncio.timeout(30):
        assert await changes.get() == ("second", Change("second", None, witnessed=False))
    assert watch.items == {}
