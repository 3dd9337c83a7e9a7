"""What the operator tells Prometheus; `main` serves it at /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

USABLE = Gauge("poolbudget_usable_connections", "Connections that can be granted", ["server"], registry=REGISTRY)
COMMITTED = Gauge("poolbudget_committed_connections", "Connections granted", ["server"], registry=REGISTRY)
WAITING = Gauge("poolbudget_waiting_pods", "Pods that wait for a grant", ["server"], registry=REGISTRY)
GRANTS = Counter("poolbudget_grants", "Pods started with a grant", ["server"], registry=REGISTRY)
GRANT_LATENCY = Histogram(
    "poolbudget_grant_latency_seconds",
    "From the creation of a pod to the opening of its gate",
    registry=REGISTRY,
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
ROUND_SECONDS = Histogram("poolbudget_round_seconds", "Duration of one round for one server", registry=REGISTRY)
ROUND_FAILURES = Counter("poolbudget_round_failures", "Rounds that failed", ["server", "error"], registry=REGISTRY)
ROLLOUTS = Counter("poolbudget_rollouts", "Workloads rolled by update mode Recreate", ["reason"], registry=REGISTRY)
LEADING = Gauge("poolbudget_leading", "1 while this process leads", registry=REGISTRY)


def record_round(server: str, usable: int, committed: int, waiting: int, ages: list[float]) -> None:
    """Note the outcome of one round; `ages` are those of the pods that it started, in seconds."""
    USABLE.labels(server).set(usable)
    COMMITTED.labels(server).set(committed)
    WAITING.labels(server).set(waiting)
    GRANTS.labels(server).inc(len(ages))
    for age in ages:
        GRANT_LATENCY.observe(age)
