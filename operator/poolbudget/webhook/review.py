"""AdmissionReview `admission.k8s.io/v1`: from the API server's question to its answer. Pure.

`webhook.server` calls `answer` with the decoded body and sends what it returns.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from poolbudget.webhook.mutate import Budgets, RefusedError, mutate


class MalformedReviewError(Exception):
    """The body is no AdmissionReview v1 with a pod."""


def answer(review: Any, budgets: Budgets) -> dict[str, Any]:
    """Return the AdmissionReview that answers `review`: allowed with a patch, or refused with a sentence.

    Raises MalformedReviewError.
    """
    uid, pod = _question(review)
    try:
        operations = mutate(pod, budgets)
    except RefusedError as refusal:
        return _review(uid, {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": str(refusal)}})
    if not operations:
        return _review(uid, {"allowed": True})
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return _review(uid, {"allowed": True, "patchType": "JSONPatch", "patch": patch})


def _question(review: Any) -> tuple[str, dict[str, Any]]:
    try:
        if review["apiVersion"] != "admission.k8s.io/v1":
            raise MalformedReviewError(f"apiVersion {review['apiVersion']!r} is not admission.k8s.io/v1")
        request = review["request"]
        pod = request["object"]
        if pod["kind"] != "Pod":
            raise MalformedReviewError(f"kind {pod['kind']!r} is not Pod")
        metadata = {**pod["metadata"], "namespace": request["namespace"]}
        return request["uid"], {"spec": pod["spec"], "metadata": metadata}
    except (KeyError, TypeError) as missing:
        raise MalformedReviewError(f"not an AdmissionReview of a pod: {missing}") from missing


def _review(uid: str, response: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": uid, **response}}
