"""`poolbudget plan`: what every workload would get, from manifests alone and before any cluster is touched.

It reads with `cli.manifests`, plans with the operator's own `planning.plan_server`, and prints the operator's own
status, alone or beside that of older manifests. Exit code 0: everything fits; 1: some budget cannot hold its workloads;
2: the input must be corrected first.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from poolbudget.api.v1alpha1 import API_VERSION, KIND
from poolbudget.cli import compare, table
from poolbudget.cli.compare import pair
from poolbudget.cli.documents import Problem, display_name
from poolbudget.cli.github import command, summarize
from poolbudget.cli.manifests import Manifests, load
from poolbudget.planning.model import Budget, BudgetKey, ServerPlan, WorkloadKey
from poolbudget.planning.plan import plan_server, server_key
from poolbudget.planning.sizing import target_key
from poolbudget.planning.status import not_yet_supported, planned_status, workloads_fit

Plans = Mapping[BudgetKey, ServerPlan]

UNPLANNABLE = {
    "TargetNotFound": "targetRef",
    "ProcessesUnknown": "processes",
    "OverrideUnknown": "env",
    "ReplicasUnknown": "maxPods",
    "InvalidProfile": "env.profile",
}
"""Reasons for which there is nothing to plan, with the field of the workload to look at."""

LIVE_ONLY = {"conditions", "waiting", "observed_generation"}


@click.command(short_help="Show what every workload would get, from manifests.")
@click.option("-f", "--filename", "first", multiple=True, help="A file, a directory, or - for stdin; may be repeated.")
@click.argument("more", nargs=-1)
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@click.option("--diff", "old", multiple=True, metavar="OLD", help="Compare with these manifests; may be repeated.")
@click.option("--github", is_flag=True, help="Write annotations and a step summary for GitHub Actions.")
def plan(first: tuple[str, ...], more: tuple[str, ...], output: str, old: tuple[str, ...], github: bool) -> None:
    """Show what every workload of every PoolBudget in the manifests would get.

    Exit code 0: everything fits. 1: a budget cannot hold its workloads even at their floors. 2: the input is not valid.
    """
    paths = (*first, *more)
    if not paths:
        raise click.UsageError("name the manifests to read: -f FILE, -f DIR or -f - for stdin")
    manifests, before = load(paths), load(old)
    plans = {} if manifests.problems else _plans(manifests)
    unusable = [*_without_budgets(manifests, paths), *_unplannable(manifests, plans)]
    if problems := [*before.problems, *manifests.problems, *unusable]:
        for problem in problems:
            _say(problem, "error", github=github)
        sys.exit(2)
    for warning in _warnings(manifests):
        _say(warning, "warning", github=github)
    items = _items(manifests, plans)
    text = _text(pair(_items(before, _plans(before)), items) if old else items, output, compared=bool(old))
    click.echo(text, nl=not text.endswith("\n"))
    misfits = list(_misfits(manifests, plans))
    if github or output != "table":
        for misfit in misfits:
            _say(misfit, "error", github=github)
    if github:
        summarize(text)
    sys.exit(1 if misfits else 0)


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


def _without_budgets(manifests: Manifests, paths: Iterable[str]) -> Iterator[Problem]:
    if not manifests.problems and not manifests.budgets:
        names = ", ".join(display_name(path) for path in paths)
        yield Problem(f"{names}: no {KIND} found: add one of apiVersion {API_VERSION}")


def _warnings(manifests: Manifests) -> Iterator[Problem]:
    for budget in manifests.budgets:
        for index, workload in enumerate(budget.spec.workloads):
            target = manifests.targets.get(target_key(budget, workload))
            if target and workload.max_pods is not None and workload.max_pods < target.desired:
                message = (
                    f"{workload.max_pods} is below the {target.desired} replicas of the target: the rest will wait"
                )
                yield manifests.sources[budget.key].problem(f"spec.workloads[{index}].maxPods", message)


def _misfits(manifests: Manifests, plans: Plans) -> Iterator[Problem]:
    """Yield what does not fit, budget by budget."""
    for budget in manifests.budgets:
        fits, _, message = workloads_fit(budget, plans[budget.key])
        if not fits:
            place = manifests.sources[budget.key].place
            yield Problem(message, place.file, place.line)


def _items(manifests: Manifests, plans: Plans) -> list[dict[str, Any]]:
    return [_item(budget, plans[budget.key]) for budget in manifests.budgets]


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


def _text(items: list[dict[str, Any]], output: str, *, compared: bool) -> str:
    if output == "json":
        return json.dumps({"items": items}, indent=2)
    if output == "yaml":
        import yaml  # noqa: PLC0415 - only this output needs its writer

        return yaml.safe_dump({"items": items}, sort_keys=False)
    return compare.render(items) if compared else table.render(items)


def _say(problem: Problem, level: str, *, github: bool) -> None:
    plain = f"warning: {problem}" if level == "warning" else str(problem)
    click.echo(" ".join((command(level, problem) if github else plain).split()), err=True)
