"""Gives a workload a new pod template, so that its controller replaces the pods: our labels and the time, nothing else.

Called by `reconcile` with what `ledger.rollouts` has decided. Server-side apply under our own field manager: a
field of ours that somebody else keeps is never taken over.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from poolbudget.act.events import post_event
from poolbudget.kube import APPLY_PATCH, ApiError, Kube
from poolbudget.ledger.model import BUDGET_LABEL, WORKLOAD_LABEL
from poolbudget.ledger.rollouts import LABELLED_ANNOTATION, RESTARTED_ANNOTATION, Applied, Restart, labels_of
from poolbudget.metrics import ROLLOUTS
from poolbudget.planning.model import Rollout, Target

log = logging.getLogger(__name__)

FIELD_MANAGER = "poolbudget"
API_VERSION = "apps/v1"
FIELDS = (BUDGET_LABEL, WORKLOAD_LABEL, RESTARTED_ANNOTATION, LABELLED_ANNOTATION)
TRY_LATER = frozenset({404, 429})


class RolloutWriter:
    """Applies templates for one server, and remembers by uid what it did to which controller."""

    def __init__(self, kube: Kube, reporter: str) -> None:
        self._kube, self._reporter = kube, reporter
        self._generations: dict[str, int] = {}
        self._labelled: dict[str, int] = {}
        self._refused: dict[str, tuple[int, str, str]] = {}

    def applied(self, targets: Iterable[Target]) -> Applied:
        """Return what was applied to controllers that still exist. A refusal holds until the object is changed."""
        rollouts = {target.rollout.uid: target.rollout for target in targets if target.rollout is not None}
        self._generations = {uid: value for uid, value in self._generations.items() if uid in rollouts}
        self._labelled = {uid: value for uid, value in self._labelled.items() if uid in rollouts}
        self._refused = {uid: told for uid, told in self._refused.items() if _is_unchanged(rollouts.get(uid), told[0])}
        refused = {uid: (reason, message) for uid, (_, reason, message) in self._refused.items()}
        return Applied(dict(self._generations), dict(self._labelled), refused)

    async def start(self, restart: Restart | None) -> None:
        """Apply a template, if there is one to apply. A failure is remembered, or left to the next round."""
        if restart is None:
            return
        kind, namespace, name = restart.target
        try:
            answer = await self._apply(restart)
        except ApiError as error:
            log.warning("rolling %s %s/%s: %s", kind, namespace, name, error)
            if 400 <= error.status < 500 and error.status not in TRY_LATER:
                self._refused[restart.uid] = (restart.generation, *_explained(error))
            return
        self._generations[restart.uid] = answer["metadata"]["generation"]
        self._labelled[restart.uid] = restart.labelled
        ROLLOUTS.labels(restart.reason).inc()
        regarding = {"apiVersion": API_VERSION, "kind": kind, "namespace": namespace, "name": name, "uid": restart.uid}
        await post_event(
            self._kube,
            regarding,
            reporter=self._reporter,
            type_="Normal",
            reason=restart.reason,
            action="Rolling",
            note=restart.message,
        )

    async def _apply(self, restart: Restart) -> dict[str, Any]:
        kind, namespace, name = restart.target
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/{kind.lower()}s/{name}"
        manifest = _manifest(restart)
        try:
            return await self._kube.patch(path, manifest, APPLY_PATCH, fieldManager=FIELD_MANAGER)
        except ApiError as error:
            if error.status != 409 or any(field in error.message for field in FIELDS):
                raise
        # Whoever applied `annotations: {}` owns the empty map as a whole; a first entry of ours takes nothing from him.
        return await self._kube.patch(path, manifest, APPLY_PATCH, fieldManager=FIELD_MANAGER, force="true")


def _manifest(restart: Restart) -> dict[str, Any]:
    """Return all that is ours of the object: what an apply leaves out, it takes away.

    With a uid, so that an object that was deleted meanwhile is not created.
    """
    kind, namespace, name = restart.target
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "uid": restart.uid}
    if restart.labelled:
        metadata["annotations"] = {LABELLED_ANNOTATION: str(restart.labelled)}
    template = {"metadata": {"labels": labels_of(restart.workload), "annotations": {RESTARTED_ANNOTATION: now}}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": {"template": template}}


def _is_unchanged(rollout: Rollout | None, generation: int) -> bool:
    return rollout is not None and rollout.generation == generation


def _explained(error: ApiError) -> tuple[str, str]:
    remedy = "remove these fields where the template is kept (Git), or set updateMode to Initial"
    if error.status == 409:
        return "ContestedTemplate", f"another tool keeps our fields of its template: {error.message}: {remedy}"
    return "TemplateRefused", f"the API server refused the new template: {error.message}"
