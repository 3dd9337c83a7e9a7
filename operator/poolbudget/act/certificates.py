"""Keeps the webhook's certificate valid and trusted: the leading operator runs `keep_certificates` as long as it leads.

The CAs and the leaf live in the Secret `poolbudget-webhook-tls`, which the webhook's replicas read (`webhook.tls`); the
trust in them is `caBundle` of the MutatingWebhookConfiguration. Which step comes next is decided by `act.authority`.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from poolbudget.act.authority import CHANGES, Held, Step, Validity, create, next_step
from poolbudget.kube import ApiError, Kube
from poolbudget.webhook.tls import SECRET_NAME

log = logging.getLogger(__name__)

CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/poolbudget"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
VALIDITY = Validity()
PERIOD = timedelta(seconds=10)
CONFLICT = 409


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """One reading. `secret` is None where there is none; `held` also where its content is not usable."""

    secret: Mapping[str, Any] | None
    configuration: Mapping[str, Any]
    held: Held | None
    published: bytes

    @property
    def version(self) -> tuple[str, bytes]:
        """What has to stay the same for a change to count as settled."""
        return (self.secret["metadata"]["resourceVersion"] if self.secret else "", self.published)


async def keep_certificates(
    kube: Kube,
    namespace: str,
    *,
    validity: Validity = VALIDITY,
    period: timedelta = PERIOD,
    now: Callable[[], datetime] = _utc_now,
) -> None:
    """Create, publish and rotate for ever; ends only by cancellation.

    A write that somebody else preceded, and an API server out of reach, are tried again after `period`.
    """
    version, since = None, now()
    while True:
        try:
            seen = await _look(kube, namespace)
            if seen.version != version:
                version, since = seen.version, now()
            step = next_step(seen.held, seen.published, now() - since, now(), validity)
            if step is not Step.REST:
                await _carry_out(kube, namespace, step, seen, now(), validity)
                log.info("webhook certificates: %s", step.name.lower())
                continue
        except ApiError as error:
            log.log(logging.INFO if error.status == CONFLICT else logging.WARNING, "webhook certificates: %s", error)
        await asyncio.sleep(period.total_seconds())


async def _look(kube: Kube, namespace: str) -> Seen:
    configuration = await kube.get(CONFIGURATION)
    published = base64.b64decode(configuration["webhooks"][0]["clientConfig"].get("caBundle") or "")
    try:
        secret = await kube.get(_secret_path(namespace))
    except ApiError as error:
        if error.status != 404:
            raise
        return Seen(None, configuration, None, published)
    return Seen(secret, configuration, _read(secret), published)


def _read(secret: Mapping[str, Any]) -> Held | None:
    try:
        return Held.from_data({key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()})
    except (ValueError, KeyError, binascii.Error) as error:
        log.warning("the content of Secret %s is not usable, it is made anew: %s", SECRET_NAME, error)
        return None


async def _carry_out(kube: Kube, namespace: str, step: Step, seen: Seen, now: datetime, validity: Validity) -> None:
    hosts = (f"poolbudget-webhook.{namespace}.svc",)
    if step is Step.CREATE or seen.held is None:
        await _store(kube, namespace, seen.secret, create(hosts, now, validity))
    elif step is Step.PUBLISH:
        await _publish(kube, seen.configuration, seen.held.bundle)
    else:
        await _store(kube, namespace, seen.secret, CHANGES[step](seen.held, hosts, now, validity))


async def _store(kube: Kube, namespace: str, secret: Mapping[str, Any] | None, held: Held) -> None:
    """Write the Secret, but only over what was read: another operator may be at it, too."""
    data = {key: base64.b64encode(value).decode() for key, value in held.to_data().items()}
    if secret is None:
        metadata = {"name": SECRET_NAME, "labels": {"app.kubernetes.io/part-of": "poolbudget"}}
        body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
        await kube.post(_secret_path(namespace, ""), body)
    else:
        await kube.put(_secret_path(namespace), {**secret, "data": data})


async def _publish(kube: Kube, configuration: Mapping[str, Any], bundle: bytes) -> None:
    webhook = {
        "name": configuration["webhooks"][0]["name"],
        "clientConfig": {"caBundle": base64.b64encode(bundle).decode()},
    }
    metadata = {"resourceVersion": configuration["metadata"]["resourceVersion"]}
    await kube.patch(CONFIGURATION, {"metadata": metadata, "webhooks": [webhook]}, STRATEGIC_MERGE_PATCH)


def _secret_path(namespace: str, name: str = SECRET_NAME) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{name}".rstrip("/")
