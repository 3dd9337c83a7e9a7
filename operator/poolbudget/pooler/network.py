"""Who may connect to whom, as specs of NetworkPolicies: they have an effect where the cluster's network enforces them.

`pooler.objects` makes them objects. Pure.
"""

from typing import Any

from poolbudget.api.v1alpha1 import LabelSelector
from poolbudget.ledger.model import BUDGET_LABEL, BUDGET_NAMESPACE_LABEL, MODE_LABEL
from poolbudget.planning.model import Budget
from poolbudget.planning.poolers import BEHIND_A_POOLER, PORT


def to_pooler(pods: dict[str, Any], budget: Budget, system: str) -> dict[str, Any]:
    """Return that only pods of the budget, and the operator in the namespace `system`, reach the pooler's pods."""
    namespace, name = budget.key
    own = {"podSelector": {"matchLabels": {BUDGET_LABEL: name}}}
    foreign = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {BUDGET_LABEL: name, BUDGET_NAMESPACE_LABEL: namespace}},
    }
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": system}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "poolbudget-operator"}},
    }
    elsewhere = [foreign] if budget.spec.allowed_namespaces.from_ != "Same" else []
    return {
        "podSelector": pods,
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [own, *elsewhere, operator], "ports": [{"port": PORT, "protocol": "TCP"}]}],
    }


def to_server(pods: LabelSelector) -> dict[str, Any]:
    """Return that pods behind a pooler do not reach the server's pods; a pod that has no mode does."""
    behind = {"key": MODE_LABEL, "operator": "NotIn", "values": sorted(BEHIND_A_POOLER)}
    others = {"namespaceSelector": {}, "podSelector": {"matchExpressions": [behind]}}
    return {
        "podSelector": pods.model_dump(by_alias=True, exclude_none=True),
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [others]}],
    }
