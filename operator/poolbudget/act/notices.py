"""What people see on pods: why one waits at the gate, and that it no longer does.

`reconcile` and `orphans` hand over who waits at the end of a round; nothing here holds up a grant. Most pods wait
only a moment, and of those nothing is written at all.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from functools import partial

from poolbudget.act.events import post_pod_event
from poolbudget.act.outbox import Outbox
from poolbudget.act.pods import pod_path
from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.model import GRANTED_CONDITION, Pod, Wait

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a pod has to wait before that is written: a request for each pod of a burst would slow down its grants."""
NOTICE_SECONDS = 10.0
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"


class Notices:
    """Remembers what each waiting pod shows, so that nothing is written twice while the cache lags."""

    def __init__(self, kube: Kube, outbox: Outbox, reporter: str) -> None:
        self._kube, self._outbox, self._reporter = kube, outbox, reporter
        self._waits: dict[str, Wait] = {}
        self._queued: set[str] = set()
        self._noticed: dict[str, tuple[float, str]] = {}
        self._corrected: set[str] = set()

    def show(self, waits: Collection[Wait], pods: Iterable[Pod] = ()) -> None:
        """Show on each pod why it waits, once it has for a while, and on those opened of `pods` that they don't.

        A new reason is an Event, too. A message whose figures alone have moved is written again only after a while.
        """
        loop = asyncio.get_running_loop()
        self._waits = {wait.pod.uid: wait for wait in waits}
        self._noticed = {uid: noticed for uid, noticed in self._noticed.items() if uid in self._waits}
        for uid, wait in self._waits.items():
            if uid not in self._queued and self._is_news(wait, loop.time()):
                self._queued.add(uid)
                delay = 0.0 if uid in self._noticed else PATIENCE_SECONDS
                loop.call_later(delay, self._outbox.courtesy, partial(self._explain, uid))
        outdated = {pod.uid: pod for pod in pods if pod.notice is not None and not pod.gates and not pod.ended}
        for uid in outdated.keys() - self._corrected:
            self._outbox.courtesy(partial(self._set_condition, outdated[uid], "True", "Granted", ""))
        self._corrected = set(outdated)

    def _is_news(self, wait: Wait, now: float) -> bool:
        shown = wait.pod.notice
        if wait.pod.uid not in self._noticed:
            return shown != (wait.reason, wait.message)
        at, reason = self._noticed[wait.pod.uid]
        return reason != wait.reason or (shown != (wait.reason, wait.message) and now - at >= NOTICE_SECONDS)

    async def _explain(self, uid: str) -> None:
        self._queued.discard(uid)
        wait, now = self._waits.get(uid), asyncio.get_running_loop().time()
        if wait is None or not self._is_news(wait, now):
            return
        pod = wait.pod
        last = self._noticed.get(uid, (0.0, pod.notice[0] if pod.notice else ""))[1]
        self._noticed[uid] = (now, wait.reason)
        await self._set_condition(pod, "False", wait.reason, wait.message)
        if last != wait.reason:
            await post_pod_event(self._kube, self._reporter, pod, wait.reason, "Waiting", wait.message)

    async def _set_condition(self, pod: Pod, status: str, reason: str, message: str) -> None:
        condition = {
            "type": GRANTED_CONDITION,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
        try:
            await self._kube.patch(f"{pod_path(pod)}/status", patch, STRATEGIC_MERGE_PATCH)
        except ApiError as error:
            log.warning("explaining %s/%s: %s", pod.namespace, pod.name, error)
