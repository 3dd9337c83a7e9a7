"""Pods without our labels in the namespaces of budgets: they may belong to a workload that is not yet adopted.

`main` starts one `Unlabelled` and tells it where budgets are; `observe.gather` asks it at every round. Elsewhere
nothing is watched: a cluster's pods cost nothing unless a budget stands beside them.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from poolbudget.kube import Kube
from poolbudget.ledger.model import BUDGET_LABEL
from poolbudget.ledger.unmanaged import UnmanagedPod
from poolbudget.observe.caches import Caches
from poolbudget.observe.pods import controller_of, has_ended, revision_of
from poolbudget.observe.watch import Change, ListWatch
from poolbudget.planning.model import TargetKey, WorkloadKey


class UnlabelledPod(NamedTuple):
    """What is kept of such a pod. Its spec is not: its controller's template says the same."""

    namespace: str
    name: str
    owner: TargetKey
    revision: str | None
    address: str
    deleting: bool
    ended: bool


class Unlabelled:
    """One list-and-watch for each namespace that is followed."""

    def __init__(self, kube: Kube, caches: Caches) -> None:
        self._kube, self._caches = kube, caches
        self._watches: dict[str, ListWatch[str, UnlabelledPod]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._by_owner: dict[TargetKey, dict[str, UnlabelledPod]] = {}
        self._running: asyncio.TaskGroup | None = None

    async def of(self, workloads: Mapping[TargetKey, WorkloadKey]) -> list[UnmanagedPod]:
        """Return the live pods that the targets own, directly or not, once their namespaces are listed completely.

        A namespace that is asked for is followed from then on.
        """
        for namespace in {target.namespace for target in workloads}:
            await self._follow(namespace).synced.wait()
        return [pod for owner in self._by_owner for pod in self._unmanaged(owner, workloads)]

    def keep(self, namespaces: Collection[str]) -> None:
        """Follow no namespace any more but these."""
        for namespace in self._watches.keys() - set(namespaces):
            self._watches.pop(namespace).synced.set()  # nobody waits for it any more
            if task := self._tasks.pop(namespace, None):
                task.cancel()
            self._by_owner = {o: pods for o, pods in self._by_owner.items() if o.namespace != namespace}

    async def run(self) -> None:
        """Keep the picture for ever."""
        async with asyncio.TaskGroup() as self._running:
            for namespace in self._watches:
                self._start(namespace, self._running)
            await asyncio.Event().wait()

    def _follow(self, namespace: str) -> ListWatch[str, UnlabelledPod]:
        if namespace not in self._watches:
            path = f"/api/v1/namespaces/{namespace}/pods"
            self._watches[namespace] = ListWatch(
                self._kube, path, _parse, self._changed, label_selector=f"!{BUDGET_LABEL}"
            )
            if self._running is not None:
                self._start(namespace, self._running)
        return self._watches[namespace]

    def _start(self, namespace: str, running: asyncio.TaskGroup) -> None:
        self._tasks[namespace] = running.create_task(self._watches[namespace].run())

    def _changed(self, uid: str, change: Change[UnlabelledPod]) -> None:
        for pod in (change.old, change.new):
            if pod is not None:
                self._set(uid, pod, lives=pod is change.new and not pod.ended)
                self._caches.wake_lineage(pod.owner)

    def _set(self, uid: str, pod: UnlabelledPod, *, lives: bool) -> None:
        pods = self._by_owner.setdefault(pod.owner, {})
        if lives:
            pods[uid] = pod
            return
        pods.pop(uid, None)
        if not pods:
            del self._by_owner[pod.owner]

    def _unmanaged(self, owner: TargetKey, workloads: Mapping[TargetKey, WorkloadKey]) -> Iterable[UnmanagedPod]:
        workload = next((workloads[key] for key in self._caches.lineage(owner) if key in workloads), None)
        if workload is None:
            return
        controller = self._caches.target(owner)
        spec = controller.template if controller else None
        for uid, pod in self._by_owner[owner].items():
            yield UnmanagedPod(uid, pod.namespace, pod.name, workload, pod.revision, pod.address, pod.deleting, spec)


def _parse(raw: Mapping[str, Any]) -> tuple[str, UnlabelledPod] | None:
    """Return a pod that has a controller; no workload consists of others."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    owner = controller_of(metadata)
    if owner is None:
        return None
    pod = UnlabelledPod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        owner=owner,
        revision=revision_of(metadata.get("labels") or {}),
        address=status.get("podIP") or "",
        deleting="deletionTimestamp" in metadata,
        ended=has_ended(status),
    )
    return metadata["uid"], pod
