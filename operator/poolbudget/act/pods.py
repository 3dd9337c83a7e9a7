"""What is done to pods: they are granted, or deleted to be born anew.

Called by `reconcile` after the ledger has been written. A grant is one patch, bound to the pod's uid and its gate: it
writes the annotations that the environment refers to, labels the pod with its mode and opens the gate, all or nothing,
and never on a running pod.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

from poolbudget.act.events import post_pod_event
from poolbudget.act.outbox import Outbox
from poolbudget.kube import JSON_PATCH, ApiError, Kube
from poolbudget.ledger.model import GATE, MODE_ANNOTATION, MODE_LABEL, Pod
from poolbudget.planning.model import WorkloadKey
from poolbudget.webhook.mutate import Operation, escape

log = logging.getLogger(__name__)

RECREATE_SECONDS = 10.0

STARTED_OR_GONE = frozenset({404, 409, 422})
"""What the API server answers to a grant when the cache is behind: the pod is not the one at the gate any more."""


def start_patch(pod: Pod, annotations: Mapping[str, str]) -> list[Operation]:
    """Return the JSON patch that annotates a pod, labels it with the mode among the annotations and opens its gate.

    The API server refuses it with 422 if the pod is another one by now, or stands no longer at the gate. Pure.
    """
    return [
        {"op": "test", "path": "/metadata/uid", "value": pod.uid},
        {"op": "test", "path": "/spec/schedulingGates", "value": [{"name": GATE}]},
        *_annotate(pod, annotations),
        *_label(annotations),
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


def _label(annotations: Mapping[str, str]) -> list[Operation]:
    if MODE_ANNOTATION not in annotations:
        return []
    return [{"op": "add", "path": f"/metadata/labels/{escape(MODE_LABEL)}", "value": annotations[MODE_ANNOTATION]}]


Annotations = Callable[[], Mapping[str, str]]
"""Makes the annotations of one pod: only of those that are not under way yet, since in a burst that is most of them."""


class PodWriter:
    """Hands over what was decided on pods, and remembers it: nothing is sent again that is under way or just done."""

    def __init__(self, kube: Kube, outbox: Outbox, reporter: str) -> None:
        self._kube, self._outbox, self._reporter = kube, outbox, reporter
        self._started: set[str] = set()
        self._ages: list[float] = []
        self._recreated: dict[WorkloadKey, float] = {}

    def start(self, annotations: Collection[tuple[Pod, Annotations]]) -> list[float]:
        """Have the annotations written and the gate opened of each of these pods.

        Return the ages (s) of those opened since the last call. One that failed is sent again once it is given again.
        """
        self._started &= {pod.uid for pod, _ in annotations}
        for pod, annotate in annotations:
            if pod.uid not in self._started:
                self._started.add(pod.uid)
                self._outbox.grant(partial(self._start, pod, annotate()))
        opened, self._ages = self._ages, []
        return opened

    async def taken_up(self, at_most: float) -> None:
        """Return once all that was handed over is being sent, or after so many seconds."""
        await self._outbox.taken_up(at_most)

    def recreate(self, pods: Iterable[Pod], reason: str, note: str) -> None:
        """Have pods deleted, and say why in an Event of each; their controllers make them anew.

        A workload's pods are deleted again only after a while: if a birth does not cure them, the next will not either.
        """
        now = asyncio.get_running_loop().time()
        due = [pod for pod in pods if now - self._recreated.get(pod.workload, -RECREATE_SECONDS) >= RECREATE_SECONDS]
        self._recreated.update((pod.workload, now) for pod in due)
        for pod in due:
            self._outbox.grant(partial(self._recreate, pod, reason, note))

    async def _start(self, pod: Pod, annotations: Mapping[str, str]) -> None:
        try:
            await self._kube.patch(pod_path(pod), start_patch(pod, annotations), JSON_PATCH)
        except ApiError as error:
            self._started.discard(pod.uid)
            level = logging.INFO if error.status in STARTED_OR_GONE else logging.WARNING
            log.log(level, "granting %s/%s: %s", pod.namespace, pod.name, error)
            return
        self._ages.append((datetime.now(UTC) - datetime.fromisoformat(pod.created)).total_seconds())

    async def _recreate(self, pod: Pod, reason: str, note: str) -> None:
        try:
            await self._kube.delete(pod_path(pod), {"preconditions": {"uid": pod.uid}})
        except ApiError as error:
            log.warning("replacing %s/%s: %s", pod.namespace, pod.name, error)
            return
        self._outbox.courtesy(partial(post_pod_event, self._kube, self._reporter, pod, reason, "Recreating", note))


def pod_path(pod: Pod) -> str:
    """Return where the pod is in the API."""
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
