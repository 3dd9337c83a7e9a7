"""The webhook's certificates change hands under load, and no admission fails."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from poolbudget.act.authority import CHANGES, Held, Step, Validity
from poolbudget.kube import ApiError, Kube
from tests.functional.cluster import GATE, budget, create, eventually, get, kubectl, pod

pytestmark = pytest.mark.usefixtures("installed")

SECRET = ("secret", "poolbudget-webhook-tls", "-n", "poolbudget-system")
CONFIGURATION = ("mutatingwebhookconfiguration", "poolbudget")
CLIENTS = 4


def held() -> Held:
    data = get(*SECRET)["data"]
    return Held.from_data({key: base64.b64decode(value) for key, value in data.items()})


def published() -> bytes:
    return base64.b64decode(get(*CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"])


def age_the_authority() -> None:
    """Put a CA behind the present one that is due: the operator then rotates as it would after months."""
    old = datetime.now(UTC) - timedelta(days=300)
    aged = CHANGES[Step.ADD_AUTHORITY](held(), (), old, Validity())
    data = {key: base64.b64encode(value).decode() for key, value in aged.to_data().items()}
    kubectl("patch", *SECRET, "-p", json.dumps({"data": data}))


async def test_a_rotation_under_load_fails_no_admission(namespace: str, kube: Kube) -> None:
    create(budget(namespace))
    before = held()
    stop = asyncio.Event()
    clients = [asyncio.create_task(admit(kube, namespace, stop)) for _ in range(CLIENTS)]
    try:
        await asyncio.to_thread(age_the_authority)
        await asyncio.to_thread(eventually, lambda: is_rotated(before), "the rotation is complete", 240.0)
    finally:
        stop.set()
        results = await asyncio.gather(*clients)
    failures = [failure for _, failed in results for failure in failed]
    assert failures == []
    assert sum(count for count, _ in results) > 100
    after = held()
    assert len(after.authorities) == 1
    assert after.newest.subject not in [authority.subject for authority in before.authorities]
    assert after.leaf != before.leaf


def is_rotated(before: Held) -> bool:
    bundle = x509.load_pem_x509_certificates(published())
    return len(bundle) == 1 and bundle[0].subject != before.newest.subject


async def admit(kube: Kube, namespace: str, stop: asyncio.Event) -> tuple[int, list[str]]:
    """Create pods in dry-run, one after another; return how many were gated, and what went wrong with the others."""
    path, body = f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod(namespace)
    admitted, failed = 0, []
    while not stop.is_set():
        try:
            made = await kube.post(path, body)
            assert made["spec"]["schedulingGates"] == [GATE]
            admitted += 1
        except ApiError as error:
            failed.append(str(error))
    return admitted, failed


async def test_a_deleted_certificate_is_made_anew(namespace: str) -> None:
    create(budget(namespace))
    kubectl("delete", *SECRET)
    eventually(lambda: kubectl("get", *SECRET, check=False).returncode == 0, "there is a new Secret")
    eventually(lambda: published() == held().bundle, "the new CA is trusted")
    probe = pod(namespace, "probe")
    arguments = ("create", "-f", "-", "--dry-run=server")
    eventually(lambda: kubectl(*arguments, stdin=probe, check=False).returncode == 0, "pods are admitted again")
