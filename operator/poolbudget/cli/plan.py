"""`poolbudget plan`: what every workload would get, from manifests alone and before any cluster is touched.

It reads with `cli.manifests`, plans with the operator's own `planning.plan_server`, and prints the operator's own
status. Exit code 0: everything fits; 1: some budget cannot hold its workloads; 2: the input must be corrected first.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from poolbudget.cli.documents import Problem
from poolbudget.cli.manifests import Manifests, load
from poolbudget.cli.table import render
from poolbudget.planning.model import Budget, BudgetKey, ServerPlan, WorkloadKey
from poolbudget.planning.plan import plan_server, server_key
from poolbudget.planning.sizing import target_key
from poolbudget.planning.status import not_yet_supported, planned_status, workloads_fit

Plans = Mapping[BudgetKey, ServerPlan]

UNPLANNABLE = {"TargetNotFound": "targetRef", "ProcessesUnknown": "processes", "ReplicasUnknown": "maxPods"}
"""Reasons for which there is nothing to plan, with the field of the workload to look at."""

LIVE_ONLY = {"conditions", "waiting", "observed_generation"}


@click.command(short_help="Show what every workload would get, from manifests.")
@click.option("-f", "--filename", "first", multiple=True, help="A file, a directory, or - for stdin; may be repeated.")
@click.argument("more", nargs=-1)
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def plan(first: tuple[str, ...], more: tuple[str, ...], output: str) -> None:
    """Show what every workload of every PoolBudget in the manifests would get.

    Exit code 0: everything fits. 1: a budget cannot hold its workloads even at their floors. 2: the input is not valid.
    """
    paths = (*first, *more)
    if not paths:
        raise click.UsageError("name the manifests to read: -f FILE, -f DIR or -f - for stdin")
    manifests = load(paths)
    plans = {} if manifests.problems else _plans(manifests)
    if problems := [*manifests.problems, *_unplannable(manifests, plans)]:
        for problem in problems:
            click.echo(_one_line(problem), err=True)
        sys.exit(2)
    for warning in _warnings(manifests):
        click.echo(f"warning: {warning}", err=True)
    _print([_item(budget, plans[budget.key]) for budget in manifests.budgets], output)
    verdicts = [workloads_fit(budget, plans[budget.key]) for budget in manifests.budgets]
    if output != "table":
        for fits, _, message in verdicts:
            if not fits:
                click.echo(message, err=True)
    sys.exit(0 if all(fits for fits, _, _ in verdicts) else 1)


def _plans(manifests: Manifests) -> Plans:
    """Plan server by server; return for each budget the plan of its server."""
    servers: dict[str, list[Budget]] = {}
    for budget in manifests.budgets:
        servers.setdefault(server_key(budget), []).append(budget)
    plans = {}
    for budgets in servers.values():
        of_server = plan_server(budgets, manifests.targets, None)
        plans.update({budget.key: of_server for budget in budgets})
    return plans


def _unplannable(manifests: Manifests, plans: Plans) -> Iterator[Problem]:
    for budget in manifests.budgets if plans else ():
        for index, workload in enumerate(budget.spec.workloads):
            result = plans[budget.key].workloads[WorkloadKey(*budget.key, workload.name)]
            if field := UNPLANNABLE.get(result.reason):
                path = f"spec.workloads[{index}].{field}"
                yield manifests.sources[budget.key].problem(path, f"{workload.name}: {result.message}")


def _warnings(manifests: Manifests) -> Iterator[str]:
    for budget in manifests.budgets:
        for index, workload in enumerate(budget.spec.workloads):
            target = manifests.targets.get(target_key(budget, workload))
            if target and workload.max_pods is not None and workload.max_pods < target.desired:
                message = (
                    f"{workload.max_pods} is below the {target.desired} replicas of the target: the rest will wait"
                )
                yield str(manifests.sources[budget.key].problem(f"spec.workloads[{index}].maxPods", message))


def _item(budget: Budget, plan: ServerPlan) -> dict[str, Any]:
    """Return one budget as it is printed: as the API server stores it, without what only a cluster can tell."""
    status = planned_status(budget, plan).model_dump(mode="json", by_alias=True, exclude_none=True, exclude=LIVE_ONLY)
    fits, reason, message = workloads_fit(budget, plan)
    conditions = [{"type": "WorkloadsFit", "status": str(fits), "reason": reason, "message": message}]
    if unsupported := not_yet_supported(budget):
        reason, message = "NotYetSupported", "; ".join(unsupported)
        conditions.append({"type": "NotYetSupported", "status": "True", "reason": reason, "message": message})
    metadata = {"name": budget.key.name, "namespace": budget.key.namespace}
    return {"metadata": metadata, "status": {"conditions": conditions, **status}}


def _print(items: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        click.echo(json.dumps({"items": items}, indent=2))
    elif output == "yaml":
        import yaml  # noqa: PLC0415 - only this output needs its writer

        click.echo(yaml.safe_dump({"items": items}, sort_keys=False), nl=False)
    else:
        click.echo(render(items))


def _one_line(problem: Problem) -> str:
    return " ".join(str(problem).split())
