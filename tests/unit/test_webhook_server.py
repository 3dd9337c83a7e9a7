"""The webhook's HTTP side, asked over real sockets: readiness, answers, refusals, and how it stops."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from kubernetes.aio import client

from poolbudget.act.authority import Validity, create
from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.kube import Kube
from poolbudget.planning.model import BudgetKey
from poolbudget.webhook.server import Budgets, Webhook, watch_budgets
from poolbudget.webhook.tls import ServingCertificate

Asked = TestClient[Request, Application]

LABELS = {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"}
POD = {"kind": "Pod", "metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "app"}]}}
REVIEW = {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u-1", "namespace": "shop", "object": POD}}


@pytest.fixture
async def budgets() -> AsyncIterator[Budgets]:
    async with client.ApiClient() as never_asked:
        known = watch_budgets(Kube(never_asked))
        spec = PoolBudgetSpec.model_validate({"maxConnections": 100, "workloads": [{"name": "api"}]})
        known.items[BudgetKey("shop", "orders")] = spec
        yield known


@pytest.fixture
def certificate() -> ServingCertificate:
    return ServingCertificate()


@pytest.fixture
def webhook(budgets: Budgets, certificate: ServingCertificate) -> Webhook:
    return Webhook(budgets, certificate)


@pytest.fixture
async def health(webhook: Webhook) -> AsyncIterator[Asked]:
    async with TestClient(TestServer(webhook.health())) as asked:
        yield asked


@pytest.fixture
async def admission(webhook: Webhook) -> AsyncIterator[Asked]:
    async with TestClient(TestServer(webhook.admission())) as asked:
        yield asked


async def test_it_is_ready_once_it_knows_the_budgets_and_has_a_certificate_and_until_it_stops(
    webhook: Webhook, budgets: Budgets, certificate: ServingCertificate, health: Asked
) -> None:
    async def ready() -> tuple[int, str]:
        response = await health.get("/readyz")
        return response.status, await response.text()

    assert await ready() == (503, "the budgets are not listed yet; no certificate is loaded yet\n")
    budgets.synced.set()
    data = create(("localhost",), datetime.now(UTC), Validity()).to_data()
    certificate.load(data["tls.crt"], data["tls.key"])
    assert await ready() == (200, "ok\n")
    webhook.stopping.set()
    assert await ready() == (503, "stopping\n")
    assert (await health.get("/healthz")).status == 200


async def test_a_review_is_answered_and_counted(admission: Asked, health: Asked) -> None:
    response = await admission.post("/mutate", json=REVIEW)
    assert (await response.json())["response"]["patchType"] == "JSONPatch"
    assert "Connection" not in response.headers
    metrics = await (await health.get("/metrics")).text()
    assert 'poolbudget_webhook_reviews_total{result="allowed"} 1.0' in metrics
    assert "poolbudget_webhook_review_seconds_count 1.0" in metrics


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"apiVersion": "admission.k8s.io/v1"}'])
async def test_what_is_no_review_is_a_bad_request(admission: Asked, body: bytes) -> None:
    assert (await admission.post("/mutate", data=body)).status == 400


async def test_while_it_stops_it_answers_and_closes_each_connection_that_is_used(
    webhook: Webhook, admission: Asked
) -> None:
    webhook.stopping.set()
    response = await admission.post("/mutate", json=REVIEW)
    assert (response.status, response.headers["Connection"]) == (200, "close")
