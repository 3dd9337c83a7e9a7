"""The webhook's process: it answers admission reviews from memory and never asks the API server while one waits.

`poolbudget webhook` calls `serve`. Beside the two listeners (TLS for the API server, plain HTTP for probes and metrics)
the process only follows the PoolBudgets and its own certificate; the admission decision is made by `webhook.review`.
"""

import asyncio
import json
import logging
import signal
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from poolbudget.api.parse import SpecError, parse_budget
from poolbudget.api.v1alpha1 import API_VERSION, PLURAL, PoolBudgetSpec
from poolbudget.kube import Kube
from poolbudget.observe.watch import Change, ListWatch
from poolbudget.planning.model import BudgetKey
from poolbudget.webhook.review import MalformedReviewError, answer
from poolbudget.webhook.tls import ServingCertificate

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
"""How long a stopping replica still answers: until every node has taken it out of the Service."""

KEEP_ALIVE_SECONDS = 3600.0
"""Longer than the API server keeps an idle connection (90 s): the webhook never closes one that is about to be used."""

LARGEST_REVIEW_BYTES = 8 * 1024 * 1024

Budgets = ListWatch[BudgetKey, PoolBudgetSpec | None]
"""Every PoolBudget of the cluster; None for one that is not valid."""


class Webhook:
    """The handlers, and what they need to know: the budgets, the certificate, and whether the process is stopping."""

    def __init__(self, budgets: Budgets, certificate: ServingCertificate) -> None:
        self._budgets, self._certificate = budgets, certificate
        self.stopping = asyncio.Event()
        self._registry = CollectorRegistry()
        self._reviews = Counter(
            "poolbudget_webhook_reviews_total", "Admission reviews by result.", ["result"], registry=self._registry
        )
        self._seconds = Histogram(
            "poolbudget_webhook_review_seconds",
            "Time to answer an admission review.",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0),
            registry=self._registry,
        )

    def admission(self) -> web.Application:
        """Return the application that the API server calls."""
        app = web.Application(client_max_size=LARGEST_REVIEW_BYTES)
        app.router.add_post("/mutate", self._mutate)
        return app

    def health(self) -> web.Application:
        """Return the application for probes and metrics."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _mutate(self, request: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            review = answer(json.loads(await request.read()), self._budgets.items)
        except (MalformedReviewError, ValueError) as error:
            self._reviews.labels("malformed").inc()
            return web.Response(status=400, text=str(error))
        response = web.Response(body=json.dumps(review).encode(), content_type="application/json")
        if self.stopping.is_set():
            response.force_close()
        self._reviews.labels("allowed" if review["response"]["allowed"] else "refused").inc()
        self._seconds.observe(time.perf_counter() - started)
        return response

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        missing = {
            "the budgets are not listed yet": not self._budgets.synced.is_set(),
            "no certificate is loaded yet": not self._certificate.loaded.is_set(),
            "stopping": self.stopping.is_set(),
        }
        problems = [problem for problem, holds in missing.items() if holds]
        return web.Response(status=503 if problems else 200, text="; ".join(problems or ["ok"]) + "\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def watch_budgets(kube: Kube) -> Budgets:
    """Return the cache of all PoolBudgets of the cluster; the caller runs it."""
    return ListWatch(kube, f"/apis/{API_VERSION}/{PLURAL}", _parse, _ignore)


async def serve(kube: Kube, namespace: str, port: int, health_port: int, drain_seconds: float = DRAIN_SECONDS) -> None:
    """Serve until SIGTERM or SIGINT, then answer for `drain_seconds` more while readiness fails.

    `namespace` is where the certificate's Secret lies. The TLS port opens once budgets and certificate are there.
    """
    webhook = Webhook(budgets := watch_budgets(kube), certificate := ServingCertificate())
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, webhook.stopping.set)
    async with asyncio.TaskGroup() as tasks, _listen(webhook.health(), health_port):
        followers = [tasks.create_task(budgets.run()), tasks.create_task(certificate.follow(kube, namespace))]
        admitting = tasks.create_task(_admit_when_ready(webhook, budgets, certificate, port))
        await webhook.stopping.wait()
        log.info("stopping: answering for %.0f s more", drain_seconds)
        await asyncio.sleep(drain_seconds)
        for task in (admitting, *followers):
            task.cancel()


async def _admit_when_ready(webhook: Webhook, budgets: Budgets, certificate: ServingCertificate, port: int) -> None:
    await budgets.synced.wait()
    await certificate.loaded.wait()
    async with _listen(webhook.admission(), port, certificate.context):
        log.info("admitting pods on port %d", port)
        await asyncio.Event().wait()


@asynccontextmanager
async def _listen(app: web.Application, port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port, ssl_context=context, shutdown_timeout=2.0, backlog=1024).start()
        yield
    finally:
        await runner.cleanup()


def _parse(manifest: Mapping[str, Any]) -> tuple[BudgetKey, PoolBudgetSpec | None]:
    key = BudgetKey(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
    try:
        return key, parse_budget(manifest)
    except SpecError as error:
        log.warning("PoolBudget %s is not valid, its pods will wait: %s", key, error)
        return key, None


def _ignore(_key: BudgetKey, _change: Change[PoolBudgetSpec | None]) -> None:
    """Reviews read the mapping; nothing follows from a change."""
