"""What happens to a pod at the gate before any room is counted: some are opened, some born anew, some refused.

`ledger.decide` asks for every waiting pod; those that pass are sized by `ledger.grant`.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

from poolbudget.api.v1alpha1 import PoolBudgetSpec, UpdateMode, Workload
from poolbudget.ledger.model import SETTING_ANNOTATION_PREFIX, Pod, Wait
from poolbudget.planning.model import BudgetKey
from poolbudget.planning.selectors import selects
from poolbudget.planning.settings import annotation_key, setting_names

NamespaceLabels = Mapping[str, Mapping[str, str]]
"""The labels of those namespaces that a selector has to be asked about, by name."""


class Verdict(Enum):
    """What to do with a pod that need not be sized, or that has to be."""

    OPEN = "open the gate without a grant"
    RECREATE = "delete it, so that its controller makes one with settings"
    SIZE = "find room for it"


def triage(pod: Pod, specs: Mapping[BudgetKey, PoolBudgetSpec], namespaces: NamespaceLabels) -> Verdict | Wait:
    """Judge one waiting pod by the budget that it names."""
    spec = specs[pod.workload.budget_key]
    workload = next((w for w in spec.workloads if w.name == pod.workload.workload), None)
    if workload is None:
        names = ", ".join(w.name for w in spec.workloads[:10])
        return Wait(
            pod, "WorkloadNotFound", f"{pod.workload.budget_key} has no workload {pod.workload.workload}: {names}"
        )
    if not _is_allowed(pod, spec, namespaces):
        return Wait(pod, "NamespaceNotAllowed", _not_allowed(pod, spec))
    if (workload.update_mode or spec.update_mode) is UpdateMode.OFF:
        return Verdict.OPEN
    known = {annotation_key(variable): variable for variable in setting_names(spec, workload)}
    obsolete = {key: variable for key, variable in _references(pod).items() if key not in known}
    added = _not_defined(pod, workload, known.values())
    if not (pod.unresolved or obsolete or added):
        return Verdict.SIZE
    if foreign := [
        f"{variable} refers to {key}" for key, variable in obsolete.items() if key != annotation_key(variable)
    ]:
        message = f"{'; '.join(foreign)}: the workload sets {', '.join(sorted(known))}: correct the pod template"
        return Wait(pod, "SettingUnknown", message)
    if pod.owner not in {"", "Job"}:
        return Verdict.RECREATE
    if pod.unresolved:
        return Wait(
            pod,
            "BornUnresolved",
            "the pod was born before its budget and has no settings: delete it and create it anew",
        )
    changes = {"no longer sets": obsolete.values(), "now sets": added}
    said = " and ".join(f"{change} {', '.join(names)}" for change, names in changes.items() if names)
    return Wait(pod, "SettingsChanged", f"the workload {said}: delete the pod and create it anew")


def _is_allowed(pod: Pod, spec: PoolBudgetSpec, namespaces: NamespaceLabels) -> bool:
    if pod.namespace == pod.workload.namespace or spec.allowed_namespaces.from_ == "All":
        return True
    selector = spec.allowed_namespaces.selector
    return selector is not None and pod.namespace in namespaces and selects(selector, namespaces[pod.namespace])


def _not_allowed(pod: Pod, spec: PoolBudgetSpec) -> str:
    if spec.allowed_namespaces.selector is not None:
        remedy = f"give the namespace {pod.namespace} the labels that allowedNamespaces.selector asks for"
    else:
        remedy = "set allowedNamespaces of the budget to All or Selector"
    return f"{pod.workload.budget_key} does not allow pods of {pod.namespace}: {remedy}"


def setting_annotations(pod: Pod) -> frozenset[str]:
    """Return the annotations that the pod's environment refers to."""
    return frozenset(_references(pod))


def _not_defined(pod: Pod, workload: Workload, variables: Iterable[str]) -> list[str]:
    """Return the variables that a target container does not have: it would run with the defaults of its driver."""
    targets = pod.spec.targets(workload.containers) if pod.spec else ()
    defined = [{variable.name for variable in container.env} for container in targets]
    return [name for name in variables if not all(name in names for names in defined)]


def _references(pod: Pod) -> dict[str, str]:
    """Return the variable that refers to each annotation of ours: one of a name that is not there would be empty."""
    if pod.spec is None:
        return {}
    containers = (*pod.spec.containers, *pod.spec.sidecars, *pod.spec.init_containers)
    variables = (variable for container in containers for variable in container.env)
    return {
        v.annotation: v.name for v in variables if v.annotation and v.annotation.startswith(SETTING_ANNOTATION_PREFIX)
    }
