"""Reviews per second and latency of the webhook's process on one core: `python -m tests.bench.bench_webhook [SECONDS]`.

The real handlers behind the real TLS context run in a process of their own, pinned to one core; the load comes over
loopback from another core. Every review carries a pod of 6 KB. Prints one line.
"""

import asyncio
import json
import multiprocessing
import os
import ssl
import sys
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web
from kubernetes.aio import client

from poolbudget.act.authority import Held, Validity, create
from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.kube import Kube
from poolbudget.planning.model import BudgetKey
from poolbudget.webhook.server import Webhook, watch_budgets
from poolbudget.webhook.tls import ServingCertificate

HOST = "poolbudget-webhook.poolbudget-system.svc"
CONNECTIONS = 8
BUDGETS = 200


def review() -> bytes:
    """Return an AdmissionReview whose pod is about as large as those of real charts."""
    variables = [{"name": f"SETTING_{n:02}", "value": f"value-{n:02}-of-the-application"} for n in range(60)]
    container: dict[str, Any] = {"name": "app", "image": "registry.example.com/shop/api:1.2.3", "env": variables}
    probe = {"httpGet": {"path": "/healthz", "port": 8000}, "periodSeconds": 5}
    container |= {"livenessProbe": probe, "readinessProbe": probe, "args": ["uvicorn", "app:app", "--workers", "4"]}
    labels = {"poolbudget.dev/budget": "orders-7", "poolbudget.dev/workload": "api", "app": "api"}
    pod: dict[str, Any] = {"kind": "Pod", "metadata": {"name": "api-1", "labels": labels, "annotations": {}}}
    pod["spec"] = {"containers": [container], "tolerations": [{"key": "node.kubernetes.io/not-ready"}]}
    while len(json.dumps(pod)) < 6 * 1024:
        pod["metadata"]["annotations"][f"example.com/note-{len(pod['metadata']['annotations'])}"] = "x" * 200
    request = {"uid": "0c1d", "namespace": "shop", "operation": "CREATE", "object": pod}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def serve(held: Held, control: Connection) -> None:
    """Run the webhook on one core until told to stop; then tell how much CPU the reviews took."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    asyncio.run(_serve(held, control))


async def _serve(held: Held, control: Connection) -> None:
    certificate = ServingCertificate()
    certificate.load(held.to_data()["tls.crt"], held.to_data()["tls.key"])
    async with client.ApiClient() as unused:
        budgets = watch_budgets(Kube(unused))
        spec = PoolBudgetSpec.model_validate(
            {"maxConnections": 200, "workloads": [{"name": "api"}, {"name": "worker"}]}
        )
        budgets.items.update((BudgetKey("shop", f"orders-{n}"), spec) for n in range(BUDGETS))
        runner = web.AppRunner(Webhook(budgets, certificate).admission(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context)
        await site.start()
        control.send(runner.addresses[0][1])
        started = time.process_time()
        await asyncio.to_thread(control.recv)
        control.send(time.process_time() - started)
        await runner.cleanup()


async def load(port: int, trusted: str, seconds: float) -> list[float]:
    """Return the seconds that each answer took, from all connections, until time is up."""
    context = ssl.create_default_context(cadata=trusted)
    body = review()
    head = ("POST /mutate HTTP/1.1", f"Host: {HOST}", "Content-Type: application/json", f"Content-Length: {len(body)}")
    question = "\r\n".join((*head, "", "")).encode() + body
    until = time.perf_counter() + seconds

    async def one_connection() -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
        taken = []
        while (started := time.perf_counter()) < until:
            writer.write(question)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            taken.append(time.perf_counter() - started)
            if not (answer.startswith(b"HTTP/1.1 200") and b'"patchType": "JSONPatch"' in body):
                raise RuntimeError(f"not a patch: {answer!r} {body!r}")
        writer.close()
        await writer.wait_closed()
        return taken

    return [t for taken in await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS))) for t in taken]


def main() -> None:
    """Run the load and print the line."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    held = create((HOST,), datetime.now(UTC), Validity())
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=serve, args=(held, there))
    process.start()
    port = here.recv()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    taken = sorted(asyncio.run(load(port, held.bundle.decode(), seconds)))
    here.send("stop")
    cpu = here.recv()
    process.join()
    p50, p99 = (1000 * taken[int(len(taken) * q)] for q in (0.50, 0.99))
    print(
        f"webhook: {len(taken) / seconds:.0f} reviews/s at {CONNECTIONS} connections, "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(taken) / cpu:.0f} reviews per second of CPU, "
        f"{len(review()) / 1024:.1f} KB, {BUDGETS} budgets"
    )


if __name__ == "__main__":
    main()
