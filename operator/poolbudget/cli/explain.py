"""`poolbudget explain BUDGET|POD`: who holds what, who waits for what, and since when.

It reads as whoever runs it (`explanation.picture`), and writes nothing. Exit code 2: there is nothing to explain.
"""

import json
from datetime import UTC, datetime

import click

from poolbudget.api.parse import SpecError
from poolbudget.cli.explanation import document, text
from poolbudget.cli.explanation.picture import Subject, find_budget, find_pod, read_picture
from poolbudget.cli.running import InputError, run
from poolbudget.kube import Kube
from poolbudget.ledger.codec import LedgerCorruptError
from poolbudget.planning.model import BudgetKey

BUDGET_TYPES = frozenset({"pb", "poolbudget", "poolbudgets"})
POD_TYPES = frozenset({"po", "pod", "pods"})


@click.command(short_help="Show who holds what, who waits for what, and since when.")
@click.argument("name", metavar="BUDGET|POD")
@click.option("-n", "--namespace", default="default", show_default=True, help="Where the budget or the pod is.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--operator-namespace", default="poolbudget-system", show_default=True, help="Where the ledgers are.")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="Default: as kubectl.")
def explain(name: str, namespace: str, output: str, operator_namespace: str, kubeconfig: str | None) -> None:
    """Show who holds what of a PoolBudget, or what one pod holds or waits for.

    Where both are called the same, write pb/NAME or pod/NAME.
    """
    run(_explain(name, namespace, output, operator_namespace, kubeconfig), InputError)


async def _explain(name: str, namespace: str, output: str, operator_namespace: str, kubeconfig: str | None) -> None:
    async with Kube.connect(kubeconfig) as kube:
        try:
            subject = await _find(kube, name, namespace, operator_namespace)
            picture = await read_picture(kube, subject, operator_namespace)
        except (SpecError, LedgerCorruptError) as error:
            raise InputError(str(error)) from error
    now = datetime.now(UTC)
    if subject.uid:
        found = document.of_pod(picture, subject.uid, now)
        lines = text.pod_text(found, now)
    else:
        found = document.of_budget(picture, now)
        lines = text.budget_text(found, now)
    click.echo(json.dumps(found, indent=2) if output == "json" else lines)


async def _find(kube: Kube, given: str, namespace: str, operator_namespace: str) -> Subject:
    """Return what the given name stands for; raise `InputError` if for nothing, or for a budget and a pod alike."""
    type_, _, name = given.rpartition("/")
    if type_ not in BUDGET_TYPES | POD_TYPES | {""}:
        raise InputError(f"{type_} cannot be explained: write pb/NAME or pod/NAME")
    budget = None if type_ in POD_TYPES else await find_budget(kube, BudgetKey(namespace, name))
    pod = None if type_ in BUDGET_TYPES else await find_pod(kube, namespace, name, operator_namespace)
    if budget and pod:
        raise InputError(f"a PoolBudget and a pod are called {name}: write pb/{name} or pod/{name}")
    if found := budget or pod:
        return found
    what = "PoolBudget" if type_ in BUDGET_TYPES else "pod" if type_ in POD_TYPES else "PoolBudget and no pod"
    raise InputError(f"there is no {what} {name} in namespace {namespace}")
