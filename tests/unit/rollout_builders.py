"""Small values for update mode Recreate: controllers at rest, pods with grants, and what is decided on them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from poolbudget.api.v1alpha1 import PoolBudgetSpec, UpdateMode, Workload
from poolbudget.ledger.decide import decide
from poolbudget.ledger.model import Pod
from poolbudget.ledger.rollouts import Applied, Rollouts, decide_rollouts
from poolbudget.planning.model import Rollout, Target, TargetKey
from tests.unit.ledger_builders import API, ledger, plan, pods, reservation, running, snapshot, spec, target

NOW = datetime(2024, 1, 1, 1, tzinfo=UTC)
COOLDOWN = timedelta(seconds=60)
NOTHING = Applied({}, {}, {})
WORKER = API._replace(workload="worker")


def rolls(name: str = "api", **fields: Any) -> Rollout:
    """Return the state of a labelled controller at rest whose rollout may end one pod first."""
    labels = {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": name}
    rest = Rollout(f"uid-{name}", 1, labels, "", 0, "", outdated=False, desired=3, pods=3, available=3, spare=1)
    return replace(rest, **fields)


def changed(target: Target, **fields: Any) -> Target:
    assert target.rollout is not None
    return replace(target, rollout=replace(target.rollout, **fields))


def controls(name: str = "api", **fields: Any) -> Target:
    return target(name, rollout=rolls(name, **fields))


def held(name: str, connections: int, workload: str = "api", **fields: Any) -> Pod:
    """Return a running pod of a Deployment named like its workload."""
    key = TargetKey("Deployment", "shop", workload)
    return running(name, connections, workload=API._replace(workload=workload), controller=key, **fields)


def budget(usable: int = 16, *names: str, **fields: Any) -> PoolBudgetSpec:
    workloads = [Workload(name=name, max_per_process=100) for name in names or ("api",)]
    return spec(usable, **{"update_mode": UpdateMode.RECREATE, "workloads": workloads, **fields})


def decided(
    targets: tuple[Target, ...],
    *shown: Pod,
    of: PoolBudgetSpec | None = None,
    applied: Applied = NOTHING,
    **fields: Any,
) -> Rollouts:
    """Decide on a server whose ledger holds what the pods were granted."""
    of = of or budget()
    entries = ledger(*(reservation(p.name, p.connections, workload=p.workload) for p in shown if p.connections))
    picture = snapshot(of, plan(of, *targets), ledger=entries, pods=pods(*shown), **fields)
    by_key = {target.key: target for target in targets}
    return decide_rollouts(picture, decide(picture), by_key, applied, NOW, COOLDOWN)


def started(rollouts: Rollouts) -> tuple[str, str] | None:
    return (rollouts.restart.workload.workload, rollouts.restart.reason) if rollouts.restart else None


# The plan gives a pod of `api` 4 of 16 connections: three pods, and one for a rollout.
LARGE = held("api-1", 8)
