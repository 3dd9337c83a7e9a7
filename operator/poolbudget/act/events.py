"""Events that `kubectl describe` and `kubectl get events` show on pods and budgets."""

import logging
import time
from datetime import UTC, datetime
from typing import Literal

from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.model import Pod

log = logging.getLogger(__name__)

NOTE_LIMIT = 1024
REPORTER = "poolbudget.dev/operator"


async def post_event(
    kube: Kube,
    regarding: dict[str, str],
    *,
    reporter: str,
    type_: Literal["Normal", "Warning"],
    reason: str,
    action: str,
    note: str,
) -> None:
    """Tell about an object (`regarding`: an ObjectReference). A failure is logged: events are a courtesy."""
    namespace = regarding["namespace"]
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{regarding['name'][:200]}.{time.time_ns():x}", "namespace": namespace},
        "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "regarding": regarding,
        "reportingController": REPORTER,
        "reportingInstance": reporter,
        "type": type_,
        "reason": reason,
        "action": action,
        "note": note[:NOTE_LIMIT],
    }
    try:
        await kube.post(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event)
    except ApiError as error:
        log.warning("event %s for %s/%s: %s", reason, namespace, regarding["name"], error)


async def post_pod_event(kube: Kube, reporter: str, pod: Pod, reason: str, action: str, note: str) -> None:
    """Warn about a pod."""
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
    await post_event(kube, regarding, reporter=reporter, type_="Warning", reason=reason, action=action, note=note)
