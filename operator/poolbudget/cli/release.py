"""`poolbudget release POD`: break glass, when a pod must start although the operator cannot grant it anything."""

import json
import shlex
from typing import Any

import click

from poolbudget.act.breakglass import MissingSettingsError, budget_key, is_gated, release_patch
from poolbudget.act.breakglass import release as send
from poolbudget.api.parse import SpecError, parse_budget
from poolbudget.api.v1alpha1 import API_VERSION, PLURAL, PoolBudgetSpec
from poolbudget.cli.running import run
from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.model import SETTING_ANNOTATION_PREFIX
from poolbudget.planning.model import BudgetKey
from poolbudget.webhook.mutate import Operation

BREAK_GLASS_GROUP = "poolbudget:break-glass"


@click.command(short_help="Start a waiting pod without a grant.")
@click.argument("pod")
@click.option("-n", "--namespace", default="default", show_default=True, help="Where the pod is.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting's value, instead of the floor's.")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="Default: as kubectl.")
def release(pod: str, namespace: str, given: tuple[str, ...], kubeconfig: str | None) -> None:
    """Start POD without a grant, with the smallest pools of its workload.

    No ledger counts such a pod: together with the others it may exceed the budget. You must be in the group
    poolbudget:break-glass or system:masters.
    """
    values = dict(_pair(text) for text in given)
    run(_release(namespace, pod, values, kubeconfig))


async def _release(namespace: str, name: str, given: dict[str, str], kubeconfig: str | None) -> None:
    async with Kube.connect(kubeconfig) as kube:
        pod = await _waiting_pod(kube, namespace, name)
        try:
            patch = release_patch(pod, await read_budget(kube, budget_key(pod)), given)
        except MissingSettingsError as missing:
            names = [key.removeprefix(SETTING_ANNOTATION_PREFIX) for key in missing.names]
            options = " ".join(f"--set {variable}=..." for variable in names)
            raise click.ClickException(
                f"the pod reads settings that no budget defines any more: add {options}"
            ) from missing
        try:
            opened = await send(kube, pod, patch)
        except ApiError as error:
            raise click.ClickException(_explain(error, namespace, name, patch)) from error
    if not opened:
        raise click.ClickException(f"pod {namespace}/{name} is gone or was granted in the meantime")
    click.echo(f"pod {namespace}/{name} starts with the smallest pools of its workload; no ledger counts it")


async def read_budget(kube: Kube, key: BudgetKey) -> PoolBudgetSpec | None:
    """Return the budget's spec; None if it does not exist or is not valid."""
    try:
        return parse_budget(await kube.get(f"/apis/{API_VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"))
    except SpecError:
        return None
    except ApiError as error:
        if error.status == 404:
            return None
        raise click.ClickException(f"reading PoolBudget {key}: {error.message}") from error


async def _waiting_pod(kube: Kube, namespace: str, name: str) -> dict[str, Any]:
    try:
        pod = await kube.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    except ApiError as error:
        raise click.ClickException(error.message) from error
    if not is_gated(pod):
        raise click.ClickException(f"pod {namespace}/{name} does not wait for a grant: there is nothing to release")
    return pod


def _explain(error: ApiError, namespace: str, name: str, patch: list[Operation]) -> str:
    if error.status != 403:
        return error.message
    command = ["kubectl", "patch", "pod", name, "-n", namespace, "--type=json", "-p", json.dumps(patch)]
    impersonated = shlex.join([*command, "--as=break-glass", f"--as-group={BREAK_GLASS_GROUP}"])
    return (
        f"{error.message}\nThis takes a member of the group {BREAK_GLASS_GROUP} or system:masters. "
        f"Who may impersonate groups can run instead:\n{impersonated}"
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r}: write NAME=VALUE", param_hint="--set")
    return name, value
