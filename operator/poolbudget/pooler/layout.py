"""How a pooler's connections are spread over its pods, and what is proven of them. Pure.

`act.pooler_keeper` carries `next_layout` out, and `pooler.charges` believes only what is `proven`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from poolbudget.ledger import books
from poolbudget.planning.model import PoolerPlan
from poolbudget.pooler.config import Limits


@dataclass(frozen=True, slots=True)
class PoolerPod:
    """A pod of a pooler; `limits` (which its next process reads), `config` and `secret` are its annotations.

    `process` is the container that runs, empty while none does; `host` the address of its node.
    """

    name: str
    uid: str
    process: str
    address: str
    host: str
    limits: Limits | None
    config: str
    secret: str
    ready: bool
    ending: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A pooler as the API server shows it.

    `replicas`: of the StatefulSet, None without one; `limits` and `config` those of its template. `observed`: its
    controller knows the newest template, so that no pod with an older one can appear.
    """

    replicas: int | None
    limits: Limits | None
    config: str
    observed: bool
    pods: tuple[PoolerPod, ...]

    @property
    def spread(self) -> int:
        """The most pods that exist or may appear at any moment."""
        return max(self.replicas or 0, len(self.pods))


@dataclass(frozen=True, slots=True)
class PoolerState:
    """How a pooler is. `least`: the most that it is proven to hold at the server, None where nothing is proven.

    `pods` is what the ledger's books have to know of its pods. `clients`: those of the addresses to look out for that
    it shows.
    """

    ready: bool | None
    reason: str
    message: str
    least: int | None = None
    pods: tuple[books.PoolerPod, ...] = ()
    clients: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Layout:
    """What to apply: so many replicas, each with these limits."""

    replicas: int
    limits: Limits


def next_layout(
    plan: PoolerPlan, charged: int, seen: Seen, confirmed: Mapping[str, Limits], *, in_use: bool
) -> Layout | None:
    """Return what to apply now, None while nothing can be: there is no room for one connection a replica.

    Pods that are still there share in what may be opened, also those that a smaller number of replicas ends; and a
    further one comes only once the others are `confirmed` (by process) to take no more than their new share. `in_use`:
    pods are behind it, of which more may be left than are planned: it takes in as many clients as it did.
    """
    allowed = min(plan.connections, charged)
    replicas = _replicas(plan)
    if allowed < max(replicas, seen.spread) and seen.replicas is None:
        return None
    limits = Limits.of(allowed // max(replicas, seen.spread), plan.clients)
    if in_use and seen.limits is not None:
        limits = replace(limits, clients=max(limits.clients, seen.limits.clients))
    if seen.replicas is not None and replicas > seen.replicas and not _hold(seen, limits, confirmed):
        replicas = seen.replicas
    return Layout(replicas, limits)


def proven(
    plan: PoolerPlan, seen: Seen, limits: Limits, confirmed: Mapping[str, Limits], backends: Mapping[str, int] | None
) -> int | None:
    """Return the most that the pooler can hold at the server, None while nothing is proven.

    That is only once nothing is left to be done for this plan and charge: whoever relies on it does so later, and must
    not meet a step that raised something meanwhile. `backends`: the sessions that the server shows by address, None
    where it is not read.
    """
    if not seen.replicas == seen.spread == _replicas(plan):
        return None
    if not _hold(seen, limits, confirmed):
        return None
    if any((backends or {}).get(pod.address, 0) > limits.connections for pod in seen.pods):
        return None
    return limits.connections * seen.spread


def _replicas(plan: PoolerPlan) -> int:
    """Return how many replicas there are to be: each has a connection at least."""
    return max(1, min(plan.replicas, plan.connections))


def _hold(seen: Seen, limits: Limits, confirmed: Mapping[str, Limits]) -> bool:
    """Whether no pod, there or to come, takes more than `limits`; `confirmed`: what each process was told."""
    most = limits.connections
    told = (confirmed.get(pod.process) for pod in seen.pods if pod.process)
    written = (pod.limits for pod in seen.pods)
    to_come = () if seen.replicas is None else (seen.limits if seen.observed else None,)
    return all(each is not None and each.connections <= most for each in (*told, *written, *to_come))
