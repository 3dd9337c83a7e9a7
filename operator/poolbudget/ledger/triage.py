"""What happens to a pod at the gate before any room is counted: some are opened, some born anew, some refused.

`ledger.decide` asks for every waiting pod; those that pass are sized by `ledger.grant`.
"""

from collections.abc import Mapping
from enum import Enum

from poolbudget.api.v1alpha1 import PoolBudgetSpec, UpdateMode, Workload
from poolbudget.ledger.model import SETTING_ANNOTATION_PREFIX, Pod, Wait
from poolbudget.planning.model import BudgetKey
from poolbudget.planning.settings import annotation_key, setting_names


class Verdict(Enum):
    """What to do with a pod that need not be sized, or that has to be."""

    OPEN = "open the gate without a grant"
    RECREATE = "delete it, so that its controller makes one with settings"
    SIZE = "find room for it"


def triage(pod: Pod, specs: Mapping[BudgetKey, PoolBudgetSpec]) -> Verdict | Wait:
    """Judge one waiting pod by the budget that it names."""
    spec = specs[pod.workload.budget_key]
    workload = next((w for w in spec.workloads if w.name == pod.workload.workload), None)
    if workload is None:
        names = ", ".join(w.name for w in spec.workloads[:10])
        return Wait(
            pod, "WorkloadNotFound", f"{pod.workload.budget_key} has no workload {pod.workload.workload}: {names}"
        )
    if not _is_allowed(pod, spec):
        return Wait(pod, "NamespaceNotAllowed", f"{pod.workload.budget_key} does not allow pods of {pod.namespace}")
    if (workload.update_mode or spec.update_mode) is UpdateMode.OFF:
        return Verdict.OPEN
    if not pod.unresolved and not (lacking := _settings_lacking(pod, spec, workload)):
        return Verdict.SIZE
    if pod.owner not in {"", "Job"}:
        return Verdict.RECREATE
    if pod.unresolved:
        return Wait(
            pod,
            "BornUnresolved",
            "the pod was born before its budget and has no settings: delete it and create it anew",
        )
    return Wait(pod, "SettingsChanged", f"the workload no longer sets {lacking}: delete the pod and create it anew")


def _is_allowed(pod: Pod, spec: PoolBudgetSpec) -> bool:
    return pod.namespace == pod.workload.namespace or spec.allowed_namespaces.from_ == "All"


def _settings_lacking(pod: Pod, spec: PoolBudgetSpec, workload: Workload) -> str:
    """Name the variables that the pod was born with and would find empty: an empty number kills most applications."""
    known = {annotation_key(variable) for variable in setting_names(spec, workload)}
    return ", ".join(sorted(setting_annotations(pod) - known))


def setting_annotations(pod: Pod) -> frozenset[str]:
    """Return the annotations that the pod's environment refers to."""
    if pod.spec is None:
        return frozenset()
    containers = (*pod.spec.containers, *pod.spec.sidecars, *pod.spec.init_containers)
    named = (variable.annotation for container in containers for variable in container.env)
    return frozenset(key for key in named if key and key.startswith(SETTING_ANNOTATION_PREFIX))
