"""What is written to pods: the grant, and why a pod has to wait.

Called by `reconcile` after the ledger has been written. A grant is one patch, bound to the pod's uid and its gate: it
writes the annotations that the environment refers to and opens the gate, both or neither, and never on a running pod.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from poolbudget.act.events import post_event
from poolbudget.kube import JSON_PATCH, ApiError, Kube
from poolbudget.ledger.model import GATE, GRANTED_CONDITION, Pod, Wait
from poolbudget.planning.model import WorkloadKey
from poolbudget.webhook.mutate import Operation, escape

log = logging.getLogger(__name__)

IN_FLIGHT = 16
NOTICE_SECONDS = 10.0
RECREATE_SECONDS = 10.0
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"


STARTED_OR_GONE = frozenset({404, 409, 422})
"""What the API server answers to a grant when the cache is behind: the pod is not the one at the gate any more."""


def start_patch(pod: Pod, annotations: Mapping[str, str]) -> list[Operation]:
    """Return the JSON patch that annotates a pod and opens its gate.

    The API server refuses it with 422 if the pod is another one by now, or stands no longer at the gate. Pure.
    """
    return [
        {"op": "test", "path": "/metadata/uid", "value": pod.uid},
        {"op": "test", "path": "/spec/schedulingGates", "value": [{"name": GATE}]},
        *_annotate(pod, annotations),
        {"op": "remove", "path": "/spec/schedulingGates"},
    ]


def _annotate(pod: Pod, annotations: Mapping[str, str]) -> list[Operation]:
    if not annotations:
        return []
    if pod.annotated:
        at = "/metadata/annotations"
        return [{"op": "add", "path": f"{at}/{escape(key)}", "value": value} for key, value in annotations.items()]
    # Somebody may have annotated it since: his annotations must not be overwritten.
    return [
        {"op": "test", "path": "/metadata/annotations", "value": None},
        {"op": "add", "path": "/metadata/annotations", "value": dict(annotations)},
    ]


class PodWriter:
    """Carries out what was decided on pods, and remembers it: nothing is sent twice while the cache lags."""

    def __init__(self, kube: Kube, reporter: str) -> None:
        self._kube, self._reporter = kube, reporter
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        self._opened: set[str] = set()
        self._outdated: list[Pod] = []
        self._recreated: dict[WorkloadKey, float] = {}
        self._noticed: dict[str, tuple[float, str]] = {}

    async def start(self, annotations: Collection[tuple[Pod, Mapping[str, str]]]) -> list[float]:
        """Write the annotations and open the gate of each pod; return the ages (s) of those opened just now."""
        self._opened &= {pod.uid for pod, _ in annotations}
        fresh = [(pod, values) for pod, values in annotations if pod.uid not in self._opened]
        opened = await asyncio.gather(*(self._start(pod, values) for pod, values in fresh))
        now = datetime.now(UTC)
        return [
            (now - datetime.fromisoformat(pod.created)).total_seconds()
            for (pod, _), done in zip(fresh, opened, strict=True)
            if done
        ]

    async def recreate(self, pods: Iterable[Pod], reason: str, note: str) -> None:
        """Delete pods, and say why in an Event of each; their controllers make them anew.

        A workload's pods are deleted again only after a while: if a birth does not cure them, the next will not either.
        """
        now = asyncio.get_running_loop().time()
        due = [pod for pod in pods if now - self._recreated.get(pod.workload, -RECREATE_SECONDS) >= RECREATE_SECONDS]
        self._recreated.update((pod.workload, now) for pod in due)
        await asyncio.gather(*(self._recreate(pod, reason, note) for pod in due))

    async def explain(self, waits: Collection[Wait]) -> None:
        """Show on each pod why it waits, and on those that were opened that they no longer do.

        A new reason is an Event, too. A message whose figures alone have moved is written again only after a while.
        """
        outdated, self._outdated = self._outdated, []
        await asyncio.gather(*(self._set_condition(pod, "True", "Granted", "") for pod in outdated))
        now = asyncio.get_running_loop().time()
        waiting = {wait.pod.uid for wait in waits}
        self._noticed = {uid: noticed for uid, noticed in self._noticed.items() if uid in waiting}
        await asyncio.gather(*(self._explain(wait, now) for wait in waits if self._is_news(wait, now)))

    def _is_news(self, wait: Wait, now: float) -> bool:
        shown = wait.pod.notice
        if wait.pod.uid not in self._noticed:
            return shown != (wait.reason, wait.message)
        at, reason = self._noticed[wait.pod.uid]
        return reason != wait.reason or (shown != (wait.reason, wait.message) and now - at >= NOTICE_SECONDS)

    async def _start(self, pod: Pod, annotations: Mapping[str, str]) -> bool:
        async with self._in_flight:
            try:
                await self._kube.patch(_path(pod), start_patch(pod, annotations), JSON_PATCH)
            except ApiError as error:
                level = logging.INFO if error.status in STARTED_OR_GONE else logging.WARNING
                log.log(level, "granting %s/%s: %s", pod.namespace, pod.name, error)
                return False
        self._opened.add(pod.uid)
        if pod.notice is not None:
            self._outdated.append(pod)
        return True

    async def _recreate(self, pod: Pod, reason: str, note: str) -> None:
        async with self._in_flight:
            try:
                await self._kube.delete(_path(pod), {"preconditions": {"uid": pod.uid}})
            except ApiError as error:
                log.warning("replacing %s/%s: %s", pod.namespace, pod.name, error)
                return
        await self._tell(pod, reason, "Recreating", note)

    async def _explain(self, wait: Wait, now: float) -> None:
        pod = wait.pod
        last = self._noticed.get(pod.uid, (0.0, pod.notice[0] if pod.notice else ""))[1]
        self._noticed[pod.uid] = (now, wait.reason)
        await self._set_condition(pod, "False", wait.reason, wait.message)
        if last != wait.reason:
            await self._tell(pod, wait.reason, "Waiting", wait.message)

    async def _tell(self, pod: Pod, reason: str, action: str, note: str) -> None:
        regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
        await post_event(
            self._kube, regarding, reporter=self._reporter, type_="Warning", reason=reason, action=action, note=note
        )

    async def _set_condition(self, pod: Pod, status: str, reason: str, message: str) -> None:
        condition = {
            "type": GRANTED_CONDITION,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
        async with self._in_flight:
            try:
                await self._kube.patch(f"{_path(pod)}/status", patch, STRATEGIC_MERGE_PATCH)
            except ApiError as error:
                log.warning("explaining %s/%s: %s", pod.namespace, pod.name, error)


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
