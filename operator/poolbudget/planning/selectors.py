"""Whether labels satisfy a label selector, as Kubernetes decides it.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors. `ledger.triage` asks for the
labels of namespaces.
"""

from collections.abc import Mapping

from poolbudget.api.v1alpha1 import LabelRequirement, LabelSelector


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Return whether all requirements hold; an empty selector selects everything."""
    wanted = selector.match_labels or {}
    exact = all(labels.get(key) == value for key, value in wanted.items())
    return exact and all(_holds(requirement, labels) for requirement in selector.match_expressions or ())


def _holds(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement.key), requirement.values or []
    match requirement.operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
