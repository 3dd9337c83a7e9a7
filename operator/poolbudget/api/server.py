"""The parts of a PoolBudget that speak of the server: how to reach it, its pooler, tuning, and who may use the budget.

`api.spec` puts them together; `observe` connects with what `Database` says.
"""

from typing import Annotated, Literal

from pydantic import Field

from poolbudget.api.rules import Model, Rule
from poolbudget.api.types import (
    UNSTORED_DEFAULT,
    Flag,
    LabelKey,
    Labels,
    LabelValue,
    ObjectName,
    Percent,
    PoolerMode,
    PortNumber,
    Positive,
    ShortText,
    Text,
    TlsMode,
    TuningMode,
)

DEFAULT_REPLICAS = 2


class SecretReference(Model):
    """A Secret in the namespace of the budget."""

    name: ObjectName
    """Name of the Secret."""


class SecretKeyReference(Model):
    """One key of a Secret in the namespace of the budget."""

    name: ObjectName
    """Name of the Secret."""
    key: Annotated[Text, UNSTORED_DEFAULT] = "ca.crt"
    """Key in the Secret. Without it: ca.crt."""


class Tls(Model):
    """How the operator's own connection to the database is protected; the modes are libpq's sslmode."""

    mode: TlsMode = TlsMode.PREFER
    """Disable, Prefer, Require, VerifyCA or VerifyFull, as libpq's sslmode."""
    ca_secret_ref: SecretKeyReference | None = None
    """The certificate authority to trust, in PEM; VerifyCA and VerifyFull need it."""

    rules = (
        Rule(
            "has(self.caSecretRef) || !(self.mode in ['VerifyCA', 'VerifyFull'])",
            lambda tls: tls.ca_secret_ref is not None or tls.mode not in {TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL},
            "VerifyCA and VerifyFull need caSecretRef: name the Secret that holds the certificate authority",
        ),
    )


class Database(Model):
    """The server whose connections are divided. Budgets that name the same host and port share one capacity."""

    host: Text
    """Host name or address. An in-cluster Service may be given as name, name.namespace or name.namespace.svc."""
    port: PortNumber = 5432
    """Port of the server."""
    name: Annotated[ShortText, UNSTORED_DEFAULT] = "postgres"
    """Database that the operator connects to. Without it: postgres."""
    credentials_secret_ref: SecretReference | None = None
    """Secret with the keys username and password of a role in pg_monitor. Without it the server is not observed."""
    tls: Tls = Tls()
    """How the operator's own connection is protected."""


class External(Model):
    """A pooler that somebody else runs, and the connections that it may open at the server."""

    host: Text
    """Host name or address of the pooler."""
    port: Annotated[PortNumber, UNSTORED_DEFAULT] = 6432
    """Port of the pooler. Without it: 6432."""
    connections: Positive
    """The most connections that the pooler opens at the server, over all its replicas, databases and users."""
    prepared_statements: Annotated[Flag, UNSTORED_DEFAULT] = True
    """Whether the pooler keeps protocol-level prepared statements across transactions. Without it: true."""


class LabelRequirement(Model):
    """One requirement of a label selector."""

    key: LabelKey
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """In, NotIn, Exists or DoesNotExist."""
    values: Annotated[list[LabelValue], Field(max_length=100)] | None = None
    """The values for In and NotIn."""

    rules = (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            lambda requirement: (requirement.operator in {"In", "NotIn"}) == bool(requirement.values),
            "In and NotIn need values, Exists and DoesNotExist take none: add values, or write another operator",
        ),
    )


class LabelSelector(Model):
    """Which labels an object must have (metav1.LabelSelector); an empty selector selects everything."""

    match_labels: Labels | None = None
    """Labels that the object must have, with these values."""
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=20)] | None = None
    """Requirements that must all hold."""

    @property
    def is_empty(self) -> bool:
        """Whether it selects everything."""
        return not self.match_labels and not self.match_expressions


class PoolerTriggers(Model):
    """Move to the pooler earlier than the floors demand."""

    processes_above: Positive | None = None
    """Move a workload whose pods have more processes than this each."""
    planned_above_percent: Percent | None = None
    """Move, the largest first, while the connections planned for the direct pools of the budget exceed this share of
    what is usable."""


class Pooler(Model):
    """PgBouncer in front of the server."""

    mode: PoolerMode = PoolerMode.AUTO
    """Auto: workloads are moved behind a pooler when direct pools no longer fit. Always: all that can be are. Never.
    External: as Auto, behind the pooler that `external` describes."""
    pool_mode: Annotated[Literal["transaction", "session"], UNSTORED_DEFAULT] = "transaction"
    """PgBouncer's pool_mode. Without it: transaction."""
    replicas: Annotated[int, Field(strict=True, ge=1, le=100)] | None = None
    """PgBouncer pods. Without it: 2."""
    min_connections: Positive | None = None
    """Connections that stay set aside for the pooler as long as Auto may need it. Without it: one for each replica."""
    max_connections: Positive | None = None
    """The most connections that all PgBouncer pods together may open at the server. Without it: as many as the
    workloads behind it can use, in competition with direct pools."""
    image: Text | None = None
    """PgBouncer's image."""
    auth_secret_ref: SecretReference | None = None
    """Secret with the credentials that PgBouncer knows its users by."""
    tls: Tls | None = None
    """How PgBouncer's connections to the server are protected. Without it: as the operator's own."""
    server_pod_selector: LabelSelector | None = None
    """Selects the pods of Postgres, in the budget's namespace: a NetworkPolicy then keeps pods behind the pooler from
    connecting to them directly. Without it: none."""
    when: PoolerTriggers | None = None
    """Move to the pooler earlier than the floors demand."""
    external: External | None = None
    """The pooler that somebody else runs; for mode External."""

    rules = (
        Rule(
            "self.mode != 'External' || has(self.external)",
            lambda pooler: pooler.mode != PoolerMode.EXTERNAL or pooler.external is not None,
            "mode External needs external: write the host and connections of the pooler",
        ),
        Rule(
            "!has(self.external) || self.mode == 'External'",
            lambda pooler: pooler.external is None or pooler.mode == PoolerMode.EXTERNAL,
            "external is used only with mode External: write mode: External, or remove external",
            "external",
        ),
        Rule(
            "!has(self.minConnections) || !has(self.maxConnections) || self.minConnections <= self.maxConnections",
            lambda pooler: (pooler.min_connections or 0) <= (pooler.max_connections or pooler.min_connections or 0),
            "minConnections must not be above maxConnections: lower minConnections or raise maxConnections",
            "minConnections",
        ),
        Rule(
            "!has(self.maxConnections) || "
            f"(has(self.replicas) ? self.replicas : {DEFAULT_REPLICAS}) <= self.maxConnections",
            lambda pooler: (
                pooler.max_connections is None or pooler.max_connections >= (pooler.replicas or DEFAULT_REPLICAS)
            ),
            "each replica needs a connection: raise maxConnections to replicas (2 unless written), or lower replicas",
            "maxConnections",
        ),
        Rule(
            "!has(self.serverPodSelector)"
            " || has(self.serverPodSelector.matchLabels) && size(self.serverPodSelector.matchLabels) > 0"
            " || has(self.serverPodSelector.matchExpressions) && size(self.serverPodSelector.matchExpressions) > 0",
            lambda pooler: pooler.server_pod_selector is None or not pooler.server_pod_selector.is_empty,
            "serverPodSelector selects every pod of the namespace: write labels that only the pods of Postgres have",
            "serverPodSelector",
        ),
    )


class Tuning(Model):
    """Whether the operator sizes by what it observes."""

    mode: TuningMode = TuningMode.OFF
    """Off, Recommend or Auto. Write "Off" in quotes: YAML reads a bare Off as false."""


class AllowedNamespaces(Model):
    """From which namespaces pods may use the budget."""

    from_: Annotated[Literal["Same", "All", "Selector"], Field(alias="from")] = "Same"
    """Same: the namespace of the budget. All: every namespace. Selector: those that `selector` selects."""
    selector: LabelSelector | None = None
    """Labels of the namespaces that may use the budget; for from: Selector."""

    rules = (
        Rule(
            "self.from != 'Selector' || has(self.selector)",
            lambda allowed: allowed.from_ != "Selector" or allowed.selector is not None,
            "from: Selector needs selector: write the labels that a namespace must have",
        ),
        Rule(
            "!has(self.selector) || self.from == 'Selector'",
            lambda allowed: allowed.selector is None or allowed.from_ == "Selector",
            "selector is used only with from: Selector: write from: Selector, or remove selector",
            "selector",
        ),
    )
