"""`poolbudget uninstall`: takes PoolBudget out of the way of every pod, in an order that refuses and strands none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import click

from poolbudget.act.breakglass import MissingSettingsError, budget_key, is_gated, release, release_patch
from poolbudget.cli.release import read_budget
from poolbudget.cli.running import run
from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.model import BUDGET_LABEL

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
ADMISSION_OBJECTS = (
    "validatingadmissionpolicybindings/poolbudget",
    "validatingadmissionpolicies/poolbudget",
    "mutatingwebhookconfigurations/poolbudget",
)
"""The guard goes first: it would refuse pods that no webhook has gated."""

QUIET_SECONDS = 3.0
"""Every API server follows the objects above with a delay: only then is no further pod gated, no release refused."""


@click.command(short_help="Remove webhook and guard, and start all waiting pods.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="Default: as kubectl.")
def uninstall(*, yes: bool, kubeconfig: str | None) -> None:
    """Remove the webhook, the guard and the gates of all waiting pods.

    Waiting pods start with the smallest pools of their workloads. May be repeated.
    """
    if not yes:
        click.confirm("Pods will start without a grant, and no budget will hold any more. Go on?", abort=True)
    run(_uninstall(kubeconfig))


async def _uninstall(kubeconfig: str | None) -> None:
    try:
        async with Kube.connect(kubeconfig) as kube:
            for path in ADMISSION_OBJECTS:
                click.echo(f"{path}: {'removed' if await _delete(kube, f'{ADMISSION}/{path}') else 'not there'}")
            await asyncio.sleep(QUIET_SECONDS)
            stuck = await _open_gates(kube)
    except ApiError as error:
        raise click.ClickException(f"{error.message or error}: correct this and run the command again") from error
    if stuck:
        raise click.ClickException("not released:\n" + "\n".join(stuck))
    click.echo("No pod waits any more. Delete the rest, with all budgets: kubectl delete -k deploy")


async def _open_gates(kube: Kube) -> list[str]:
    """Open the gate of every waiting pod; return what could not be opened, and why."""
    stuck = []
    async for pod in _waiting(kube):
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        try:
            if await release(kube, pod, release_patch(pod, await read_budget(kube, budget_key(pod)), {})):
                click.echo(f"pod {name}: starts without a grant")
        except MissingSettingsError as missing:
            stuck.append(f"pod {name}: no budget defines {missing} any more; delete it, or: poolbudget release --set")
    return stuck


async def _waiting(kube: Kube) -> AsyncIterator[dict[str, Any]]:
    async for page in kube.pages("/api/v1/pods", labelSelector=BUDGET_LABEL):
        for pod in page["items"]:
            if is_gated(pod) and "deletionTimestamp" not in pod["metadata"]:
                yield pod


async def _delete(kube: Kube, path: str) -> bool:
    try:
        await kube.delete(path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True
