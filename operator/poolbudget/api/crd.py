"""The CustomResourceDefinition of PoolBudget, generated from the models.

`python -m poolbudget.api.crd` prints it, and `crds/` holds what it printed.
"""

from typing import Any

import yaml

from poolbudget.api.rules import VALIDATIONS
from poolbudget.api.schema import Schema, structural, without_defaults
from poolbudget.api.spec import NAME_RULE, PoolBudgetSpec
from poolbudget.api.status import PoolBudgetStatus
from poolbudget.api.types import GROUP, KIND, PLURAL, VERSION

COLUMNS = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether the budget is in force."),
    ("Usable", "integer", ".status.capacity.usable", "Connections that can be granted."),
    ("Committed", "integer", ".status.capacity.committed", "Connections that are granted or otherwise charged."),
    ("In use", "integer", ".status.capacity.inUse", "Connections open at the server."),
    ("Waiting", "integer", ".status.waiting", "Pods that wait for a grant."),
    ("Age", "date", ".metadata.creationTimestamp", "Time since the budget was made."),
)


def definition() -> Schema:
    """Return the CustomResourceDefinition, ready to be written as YAML."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["pb"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "description": text}
                        for name, kind, path, text in COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": root_schema()},
                }
            ],
        },
    }


def root_schema() -> Schema:
    """Return the schema of a whole PoolBudget object."""
    return {
        "type": "object",
        "description": "Divides the connections of one Postgres server among the workloads that use it.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema of this object."},
            "kind": {"type": "string", "description": "The kind of this object."},
            "metadata": {"type": "object"},
            "spec": structural(PoolBudgetSpec),
            "status": without_defaults(structural(PoolBudgetStatus)),
        },
        VALIDATIONS: [NAME_RULE.validation()],
    }


class _Dumper(yaml.SafeDumper):
    """Writes every string on one line or folded, and equal parts again instead of as aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def as_yaml() -> str:
    """Return the CustomResourceDefinition as YAML, the content of `crds/poolbudget.dev_poolbudgets.yaml`."""
    header = "# Generated from the models in operator/poolbudget/api; do not edit: python -m poolbudget.api.crd\n"
    return header + yaml.dump(definition(), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    print(as_yaml(), end="")
