"""Specs that are refused, keyed by what is wrong: the place that is blamed, and the words that must be said there.

What is wrong with a single workload is in `workload_refusals`.

`tests/unit/test_api_parse.py` runs them through the models, `tests/functional/test_crd.py` through the API server.
"""

from typing import Any, NamedTuple

from tests.functional.specs import EXTERNAL, spec, workload


class Refusal(NamedTuple):
    """A spec, the path that is blamed, and a part of the sentence that both sides say.

    `online` replaces the sentence where the schema of Kubernetes words the refusal itself.
    """

    spec: dict[str, Any]
    path: str
    says: str
    online: str = ""


def selecting(requirement: dict[str, Any]) -> dict[str, Any]:
    """Return a spec that selects namespaces by one requirement."""
    return spec(allowedNamespaces={"from": "Selector", "selector": {"matchExpressions": [requirement]}})


def closing(selector: dict[str, Any], **pooler: Any) -> dict[str, Any]:
    """Return a spec that keeps pods behind the pooler away from the server's."""
    users = {"authSecretRef": {"name": "users"}}
    return spec(database={"host": "db"}, pooler={**users, "serverPodSelector": selector, **pooler})


POSTGRES = {"matchLabels": {"app": "orders-db"}}
EVERY_POD = "serverPodSelector selects every pod of the namespace"
NEEDS_OWN_POOLER = "pooler.serverPodSelector needs a pooler that the operator runs"
REQUIREMENT = "spec.allowedNamespaces.selector.matchExpressions[0]"
NOTHING_LEFT = "reservedConnections (10 unless written) and headroom leave nothing of maxConnections"
SAME_TARGET = "two workloads have the same target, but a controller belongs to one"
NEEDS_POOLER = "a workload of mode Pooled or NullPool needs a pooler"
ALWAYS_NEEDS = "pooler.mode Always needs `database` and pooler.authSecretRef"
NEEDS_CA = "VerifyCA and VerifyFull need caSecretRef"
BOOLEAN_OFF = 'write "Off" in quotes'
WHOLE_NUMBER = "must be a whole number"

REFUSALS: dict[str, Refusal] = {
    "nothing is left beside the reserve": Refusal(
        spec(maxConnections=40, reservedConnections=40), "spec", NOTHING_LEFT
    ),
    "nothing is left beside the reserve that nobody wrote": Refusal(spec(maxConnections=10), "spec", NOTHING_LEFT),
    "nothing is left beside reserve and headroom": Refusal(spec(headroom=90), "spec", NOTHING_LEFT),
    "no maxConnections": Refusal({"workloads": [{"name": "api"}]}, "spec.maxConnections", "Required value"),
    "no workloads at all": Refusal({"maxConnections": 100}, "spec.workloads", "Required value"),
    "an empty list of workloads": Refusal(spec(workloads=[]), "spec.workloads", "should have at least 1 items"),
    "a workload without a name": Refusal(spec(workloads=[{}]), "spec.workloads[0].name", "Required value"),
    "a workload twice": Refusal(
        spec(workloads=[{"name": "api"}, {"name": "b"}, {"name": "api"}]),
        "spec.workloads[2]",
        'Duplicate value: {"name":"api"}',
    ),
    "one target twice": Refusal(
        spec(workloads=[{"name": "a", "targetRef": {"name": "x"}}, {"name": "b", "targetRef": {"name": "x"}}]),
        "spec.workloads",
        SAME_TARGET,
    ),
    "a target that is the default of another workload": Refusal(
        spec(workloads=[{"name": "api"}, {"name": "b", "targetRef": {"name": "api"}}]), "spec.workloads", SAME_TARGET
    ),
    "an unknown admission": Refusal(spec(admission="Lax"), "spec.admission", 'supported values: "Strict", "Available"'),
    "an unknown update mode": Refusal(
        spec(updateMode="Auto"), "spec.updateMode", 'supported values: "Off", "Initial", "Recreate", "Live"'
    ),
    "an update mode Off that YAML read as a boolean": Refusal(
        spec(updateMode=False), "spec.updateMode", BOOLEAN_OFF, online='supported values: "Off", "Initial"'
    ),
    "tuning Off that YAML read as a boolean": Refusal(
        spec(tuning={"mode": False}), "spec.tuning.mode", BOOLEAN_OFF, online='must be of type string: "boolean"'
    ),
    "negative maxConnections": Refusal(
        spec(maxConnections=-1), "spec.maxConnections", "should be greater than or equal to 1"
    ),
    "negative reservedConnections": Refusal(
        spec(reservedConnections=-1), "spec.reservedConnections", "should be greater than or equal to 0"
    ),
    "negative headroom": Refusal(spec(headroom=-1), "spec.headroom", "should be greater than or equal to 0"),
    "a port that does not exist": Refusal(
        spec(database={"host": "db", "port": 65536}), "spec.database.port", "less than or equal to 65535"
    ),
    "a number in quotes": Refusal(
        spec(maxConnections="100"),
        "spec.maxConnections",
        "must be a whole number; write 100, without quotes",
        online='must be of type integer: "string"',
    ),
    "a fraction": Refusal(
        spec(headroom=1.5), "spec.headroom", WHOLE_NUMBER, online='must be of type integer: "number"'
    ),
    "a boolean for a number": Refusal(
        spec(headroom=True), "spec.headroom", WHOLE_NUMBER, online='must be of type integer: "boolean"'
    ),
    "a mapping for a list": Refusal(
        spec(workloads={"api": {}}), "spec.workloads", "must be a list", online='unknown field "spec.workloads.api"'
    ),
    "a database without a host": Refusal(spec(database={"name": "x"}), "spec.database.host", "Required value"),
    "a certificate authority is needed and not named": Refusal(
        spec(database={"host": "db", "tls": {"mode": "VerifyFull"}}), "spec.database.tls", NEEDS_CA
    ),
    "a certificate authority is needed and not named, for VerifyCA": Refusal(
        spec(database={"host": "db", "tls": {"mode": "VerifyCA"}}), "spec.database.tls", NEEDS_CA
    ),
    "the name of a Secret with a capital": Refusal(
        spec(database={"host": "db", "credentialsSecretRef": {"name": "Monitor"}}),
        "spec.database.credentialsSecretRef.name",
        "must be lower-case letters, digits, '-' and '.'",
    ),
    "an external pooler that is not described": Refusal(
        spec(pooler={"mode": "External"}), "spec.pooler", "mode External needs external"
    ),
    "an external pooler that is not used": Refusal(
        spec(pooler={"external": {"host": "pgb", "connections": 20}}),
        "spec.pooler.external",
        "external is used only with mode External",
    ),
    "a pooler's minimum above its maximum": Refusal(
        spec(pooler={"minConnections": 20, "maxConnections": 10}),
        "spec.pooler.minConnections",
        "minConnections must not be above maxConnections",
    ),
    "NullPool without a pooler": Refusal(
        workload(mode="NullPool") | {"pooler": {"mode": "Never"}}, "spec", NEEDS_POOLER
    ),
    "Pooled without a pooler": Refusal(workload(mode="Pooled") | {"pooler": {"mode": "Never"}}, "spec", NEEDS_POOLER),
    "Pooled where the operator's pooler would know no users": Refusal(
        workload(mode="Pooled") | {"database": {"host": "db"}}, "spec", NEEDS_POOLER
    ),
    "NullPool without a server to go back to": Refusal(
        workload(mode="NullPool") | {"pooler": EXTERNAL}, "spec", NEEDS_POOLER
    ),
    "a pooler for all that would know no users": Refusal(
        spec(database={"host": "db"}, pooler={"mode": "Always"}), "spec.pooler", ALWAYS_NEEDS
    ),
    "a pooler for all in front of no server": Refusal(
        spec(pooler={"mode": "Always", "authSecretRef": {"name": "users"}}), "spec.pooler", ALWAYS_NEEDS
    ),
    "a pooler that cannot give each replica a connection": Refusal(
        spec(pooler={"maxConnections": 1}), "spec.pooler.maxConnections", "each replica needs a connection"
    ),
    "a pooler that cannot give each of many replicas a connection": Refusal(
        spec(pooler={"maxConnections": 4, "replicas": 5}),
        "spec.pooler.maxConnections",
        "each replica needs a connection",
    ),
    "the pods of Postgres by a selector that is empty": Refusal(
        closing({}), "spec.pooler.serverPodSelector", EVERY_POD
    ),
    "the pods of Postgres by a selector of empty parts": Refusal(
        closing({"matchLabels": {}, "matchExpressions": []}), "spec.pooler.serverPodSelector", EVERY_POD
    ),
    "the pods of Postgres by what is no key of a label": Refusal(
        closing({"matchLabels": {"app name": "db"}}),
        "spec.pooler.serverPodSelector.matchLabels",
        "must be labels, such as app: orders-db",
    ),
    "the pods of Postgres by what is no value of a label": Refusal(
        closing({"matchLabels": {"app": "the db"}}),
        "spec.pooler.serverPodSelector.matchLabels",
        "must be labels, such as app: orders-db",
    ),
    "the pods of Postgres by an expression with what is no key of a label": Refusal(
        closing({"matchExpressions": [{"key": "/app", "operator": "Exists"}]}),
        "spec.pooler.serverPodSelector.matchExpressions[0].key",
        "must be the key of a label, such as app",
    ),
    "the pods of Postgres by an expression with what is no value of a label": Refusal(
        closing({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db/1"]}]}),
        "spec.pooler.serverPodSelector.matchExpressions[0].values[0]",
        "must be the value of a label",
    ),
    "the pods of Postgres where there is never a pooler": Refusal(
        closing(POSTGRES, mode="Never"), "spec.pooler.serverPodSelector", NEEDS_OWN_POOLER
    ),
    "the pods of Postgres where somebody else runs the pooler": Refusal(
        closing(POSTGRES, **EXTERNAL), "spec.pooler.serverPodSelector", NEEDS_OWN_POOLER
    ),
    "the pods of Postgres where the operator's pooler would know no users": Refusal(
        spec(database={"host": "db"}, pooler={"serverPodSelector": POSTGRES}),
        "spec.pooler.serverPodSelector",
        NEEDS_OWN_POOLER,
    ),
    "the pods of Postgres without a server": Refusal(
        spec(pooler={"authSecretRef": {"name": "users"}, "serverPodSelector": POSTGRES}),
        "spec.pooler.serverPodSelector",
        NEEDS_OWN_POOLER,
    ),
    "namespaces by a selector that is missing": Refusal(
        spec(allowedNamespaces={"from": "Selector"}), "spec.allowedNamespaces", "from: Selector needs selector"
    ),
    "a requirement In without values": Refusal(
        selecting({"key": "team", "operator": "In"}), REQUIREMENT, "In and NotIn need values"
    ),
    "a requirement NotIn with an empty list": Refusal(
        selecting({"key": "team", "operator": "NotIn", "values": []}), REQUIREMENT, "In and NotIn need values"
    ),
    "a requirement Exists with values": Refusal(
        selecting({"key": "team", "operator": "Exists", "values": ["a"]}), REQUIREMENT, "In and NotIn need values"
    ),
    "a selector that is not used": Refusal(
        spec(allowedNamespaces={"selector": {"matchLabels": {"a": "b"}}}),
        "spec.allowedNamespaces.selector",
        "selector is used only with from: Selector",
    ),
    "an unknown field": Refusal(
        spec(maxConnection=5),
        "spec.maxConnection",
        "unknown field; did you mean maxConnections?",
        online='unknown field "spec.maxConnection"',
    ),
}
