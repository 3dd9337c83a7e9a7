"""A workload that Auto has moved behind a pooler of ours, its pods, and decisions about them."""

from dataclasses import replace
from typing import Any

from poolbudget.api.v1alpha1 import Database, PoolBudgetSpec, Pooler, Route, SecretReference, Workload, WorkloadMode
from poolbudget.ledger.decide import decide
from poolbudget.ledger.model import Decision, Ledger, Pod
from poolbudget.ledger.release import Sessions
from poolbudget.ledger.unseen import Clients, lending
from poolbudget.planning.model import Budget, PoolerPlan, ServerPlan, WorkloadPlan
from poolbudget.planning.settings import setting_names
from poolbudget.pooler.charges import as_charged
from tests.unit.ledger_builders import (
    API,
    BUDGET,
    app,
    ledger,
    pods,
    reservation,
    running,
    snapshot,
    spec,
    target,
    waiting,
)
from tests.unit.ledger_builders import plan as planned

POOLED = WorkloadMode.POOLED
OWN = Pooler(replicas=2, auth_secret_ref=SecretReference(name="users"))
SPEC = spec(
    20,
    database=Database(host="db"),
    pooler=OWN,
    workloads=[Workload(name="api", route=Route.ENV)],
)
PLAN = planned(SPEC, target(steady=6, processes=2))
"""6 pods and one for a rollout would need 28 at the floor of 2: a pod is charged 4, the pooler may take all 20."""
JOBS = API._replace(workload="jobs")
AT = "10.0.0.1"
SEEN: Clients = {BUDGET: frozenset({AT})}
NOBODY: Clients = {}
VARIABLES = tuple(setting_names(SPEC, SPEC.workloads[0]))


def api(server: ServerPlan = PLAN, **fields: Any) -> ServerPlan:
    """Return the plan with `api` changed."""
    changed: WorkloadPlan = replace(server.workloads[API], **fields)
    return replace(server, workloads={**server.workloads, API: changed})


def lent(charged: Ledger, held: int = 0, server: ServerPlan = PLAN, budget: PoolBudgetSpec = SPEC) -> PoolerPlan:
    return lending(server, [Budget(BUDGET, budget)], charged, {BUDGET: held}).poolers[BUDGET]


def decided(charged: Ledger, *shown: Pod, held: int = 0, clients: Clients = NOBODY, at_server: int = 0) -> Decision:
    """Decide with what the pooler lends; `at_server`: the sessions of the pod at AT."""
    plan = as_charged(lending(PLAN, [Budget(BUDGET, SPEC)], charged, {BUDGET: held}), {BUDGET: held})
    sessions = Sessions({AT: at_server} if at_server else {})
    return decide(
        snapshot(SPEC, plan, ledger=charged, pods=pods(*shown), sessions=sessions, clients=clients),
    )


def pod(name: str, processes: int = 2) -> Pod:
    return waiting(name, spec=app(processes, *VARIABLES))


def moved(name: str = "api-1", connections: int = 4, **fields: Any) -> Pod:
    return running(name, connections, mode=POOLED, **fields)


def unseen(name: str = "api-1", connections: int = 4, **fields: Any) -> Ledger:
    return ledger(reservation(name, connections, unseen=True, **fields))
