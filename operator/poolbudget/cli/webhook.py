"""`poolbudget webhook`: the admission webhook as a process of its own. Kubernetes starts it (`deploy/webhook.yaml`)."""

import asyncio
import logging

import click

from poolbudget.act.lease import default_identity
from poolbudget.cli.running import run
from poolbudget.kube import Kube
from poolbudget.standin import stand_in
from poolbudget.webhook.server import serve


@click.command(short_help="Run the webhook.")
@click.option("--namespace", required=True, help="Where the operator stores the webhook's certificate.")
@click.option("--port", default=8443, show_default=True, help="TLS port that the API server calls.")
@click.option("--health-port", default=8080, show_default=True, help="Port of /healthz, /readyz and /metrics.")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="To run outside of the cluster.")
def webhook(namespace: str, port: int, health_port: int, kubeconfig: str | None) -> None:
    """Hold new pods of a budget at the gate and let them read their settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run(_run(namespace, port, health_port, kubeconfig))


async def _run(namespace: str, port: int, health_port: int, kubeconfig: str | None) -> None:
    async with Kube.connect(kubeconfig) as kube, asyncio.TaskGroup() as tasks:
        standing_in = tasks.create_task(stand_in(kube, namespace, default_identity()))
        await serve(kube, namespace, port, health_port)
        standing_in.cancel()
