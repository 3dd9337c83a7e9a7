"""List-and-watch: a cache of one kind that never keeps a ghost.

Every relist is compared with what the cache holds, so an object that vanished while nobody watched is reported as
deleted like any other. The operator keeps one cache per kind (`observe.caches`), the webhook one of PoolBudgets.
Objects are parsed to small values at the door: the raw JSON is never kept.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from poolbudget.kube import ApiError, Kube
from poolbudget.observe.answers import PAGE, WATCH_EVENT

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

WATCH_SECONDS = 300


class Change(NamedTuple, Generic[V]):
    """What happened to one object: `old` is None when it appeared, `new` when it is gone.

    When it is gone, `old` is its last known state. That is the state it was deleted in only if the deletion was
    `witnessed`: after a relist, much may have happened to it since.
    """

    old: V | None
    new: V | None
    witnessed: bool = True


class ListWatch(Generic[K, V]):
    """A live mapping from key to parsed object of everything under `path`.

    `parse` turns what `observe.answers` keeps of an object to a key and a value, or to None for one that does not
    matter. `on_change` is called, in the event loop, after the mapping changed. `synced` is set once the first list is
    complete.
    """

    def __init__(
        self,
        kube: Kube,
        path: str,
        parse: Callable[[Mapping[str, Any]], tuple[K, V] | None],
        on_change: Callable[[K, Change[V]], None],
        *,
        label_selector: str = "",
    ) -> None:
        self._kube, self._path, self._parse, self._on_change = kube, path, parse, on_change
        self._params: dict[str, Any] = {"labelSelector": label_selector} if label_selector else {}
        self._version: str | None = None
        self.items: dict[K, V] = {}
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """List and watch for ever; ends only by cancellation.

        A failed request is tried again after a short pause. A watch that broke goes on from where it stood, so that no
        deletion is missed; everything is listed anew only when the server has forgotten that point.
        """
        pause = 0.0
        while True:
            try:
                if self._version is None:
                    self._version = await self._list()
                await self._watch()
                pause = 0.0
            except ApiError as error:
                if error.status == 410:
                    self._version = None
                    continue
                pause = min(10.0, pause * 2 + 0.2)
                log.warning("watching %s: %s; again in %.1f s", self._path, error, pause)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads retries, no secret

    async def _list(self) -> str:
        seen: dict[K, V] = {}
        version = ""
        async for page in self._kube.pages(self._path, PAGE, **self._params):
            version = page["metadata"]["resourceVersion"]
            seen.update(item for raw in page["items"] if (item := self._parse(raw)))
            await asyncio.sleep(0)
        for key in self.items.keys() - seen.keys():
            self._remove(key, self.items[key], witnessed=False)
        for key, value in seen.items():
            self._set(key, value)
        self.synced.set()
        return version

    async def _watch(self) -> None:
        """Follow changes until the server ends the watch, as it does every few minutes."""
        version = self._version or ""
        async for event in self._kube.watch(self._path, version, WATCH_SECONDS, WATCH_EVENT, **self._params):
            raw = event["object"]
            self._version = raw["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            if (item := self._parse(raw)) is None:
                continue
            if event["type"] == "DELETED":
                self._remove(*item, witnessed=True)
            else:
                self._set(*item)

    def _set(self, key: K, value: V) -> None:
        old = self.items.get(key)
        self.items[key] = value
        if old != value:
            self._on_change(key, Change(old, value))

    def _remove(self, key: K, last: V, *, witnessed: bool) -> None:
        if self.items.pop(key, None) is not None:
            self._on_change(key, Change(last, None, witnessed))
