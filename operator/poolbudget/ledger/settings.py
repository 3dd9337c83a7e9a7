"""The annotations that a grant writes: what was granted, and the value of every setting that the pod refers to.

`reconcile` calls `grant_annotations` for what `ledger.decide` has granted; `act.pods` writes the result.
"""

from collections.abc import Mapping

from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.ledger.model import CONNECTIONS_ANNOTATION, MODE_ANNOTATION, Grant
from poolbudget.ledger.triage import setting_annotations
from poolbudget.planning.model import BudgetKey, ServerPlan
from poolbudget.planning.overrides import overrides
from poolbudget.planning.profiles import process_pools
from poolbudget.planning.settings import annotation_key, setting_values


def grant_annotations(grant: Grant, specs: Mapping[BudgetKey, PoolBudgetSpec], plan: ServerPlan) -> dict[str, str]:
    """Return the annotations of a granted pod; its share may be smaller than the planned one."""
    budget, workload = grant.pod.workload.budget_key, plan.workloads[grant.pod.workload].workload
    pools = process_pools(workload, grant.share, overrides(workload, grant.pod.spec).pools, grant.mode)
    values = setting_values(budget, specs[budget], workload, pools, grant.mode)
    wanted = setting_annotations(grant.pod)
    settings = {annotation_key(variable): value for variable, value in values.items()}
    return {
        CONNECTIONS_ANNOTATION: str(grant.connections),
        MODE_ANNOTATION: grant.mode,
        **{key: value for key, value in settings.items() if key in wanted},
    }
