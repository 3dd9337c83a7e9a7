"""Where the pooler of a budget is, by its spec alone.

`planning.settings` sends pods there, the webhook and a stand-in for the operator know it without a plan, and what the
operator runs (a Service and the pods behind it) has the name that `service_name` gives.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from poolbudget.api.v1alpha1 import PoolBudgetSpec, PoolerMode
from poolbudget.planning.model import BudgetKey

OWN_POOLER_RUNS = False
"""Whether the operator runs a pooler of its own: until then only external poolers count."""

PORT = 6432
SUFFIX = "-pooler"
MOST_CHARACTERS = 52
"""Of the name: a StatefulSet's pods carry it in a label of at most 63, with an 11-character hash behind it."""
HASH_CHARACTERS = 8
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""What the API server takes as the name of a Service (RFC 1035)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where clients connect to. `external`: somebody else runs it."""

    host: str
    port: int
    prepared_statements: bool
    external: bool


def endpoint(budget: BudgetKey, spec: PoolBudgetSpec) -> Endpoint | None:
    """Return where the pooler of a budget is, None where it cannot have one.

    One that the operator runs needs to know the server and how its users log in.
    """
    pooler = spec.pooler
    if pooler.mode is PoolerMode.EXTERNAL and pooler.external is not None:
        there = pooler.external
        return Endpoint(there.host, there.port, there.prepared_statements, external=True)
    runs = OWN_POOLER_RUNS and pooler.mode in {PoolerMode.AUTO, PoolerMode.ALWAYS}
    if not runs or spec.database is None or pooler.auth_secret_ref is None:
        return None
    return Endpoint(
        f"{service_name(budget.name)}.{budget.namespace}.svc", PORT, prepared_statements=True, external=False
    )


def service_name(budget: str) -> str:
    """Return the name of what the operator runs for a budget of this name.

    One that is too long or no name of a Service is told apart by its hash.
    """
    name = f"{budget}{SUFFIX}"
    if SERVICE_NAME.fullmatch(name) and len(name) <= MOST_CHARACTERS:
        return name
    digest = sha256(budget.encode()).hexdigest()[:HASH_CHARACTERS]
    stem = re.sub(r"[^a-z0-9]+", "-", budget).lstrip("-0123456789") or "budget"
    room = MOST_CHARACTERS - len(SUFFIX) - HASH_CHARACTERS - 1
    return f"{stem[:room].rstrip('-')}-{digest}{SUFFIX}"
