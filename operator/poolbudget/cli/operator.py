"""`poolbudget operator`: run the operator. Its Deployment calls it; outside a cluster give it a kubeconfig."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from poolbudget.act.lease import LeaseLostError
from poolbudget.budgets import WatchEndedError
from poolbudget.cli.duration import Duration
from poolbudget.main import Options, run

log = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])


def _timer(name: str, default: str, help_text: str) -> Callable[[Function], Function]:
    return click.option(name, type=Duration(), default=default, show_default=True, help=help_text)


@click.command(short_help="Run the operator.")
@click.option("--namespace", required=True, help="Where the ledgers, the lease and the webhook's certificates live.")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="Default: the pod's service account.")
@click.option("--health-port", default=8080, show_default=True, help="Port of /healthz, /readyz and /metrics.")
@_timer("--lease-duration", "15s", "Of the leader's Lease.")
@_timer("--settle-time", "10s", "How long the database must show no session of a pod that vanished.")
@_timer(
    "--cooldown",
    "60s",
    "Between two rollouts of a server, and how long a pod waits, or has no node, before others make way.",
)
@_timer("--stabilization", "300s", "How long direct pools must fit amply before a workload comes back from a pooler.")
@click.option(
    "--pooler-image",
    default="poolbudget/pgbouncer:1.24",
    show_default=True,
    help="PgBouncer (1.24 or newer) of the poolers that the operator runs, where a budget names none.",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True)
def operator(
    namespace: str,
    kubeconfig: str | None,
    health_port: int,
    lease_duration: float,
    settle_time: float,
    cooldown: float,
    stabilization: float,
    pooler_image: str,
    log_level: str,
) -> None:
    """Divide the connections of Postgres servers among pods, as PoolBudgets say."""
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    if kubeconfig is not None:
        os.environ["KUBECONFIG"] = kubeconfig  # kopf reads no other place
    options = Options(
        namespace, kubeconfig, health_port, lease_duration, settle_time, cooldown, stabilization, pooler_image
    )
    try:
        asyncio.run(run(options))
    except* (LeaseLostError, WatchEndedError) as ended:
        log.error("no longer leading: %s", "; ".join(map(repr, ended.exceptions)))
        sys.exit(1)
