"""The values of the ledger: pods as the cluster shows them, reservations as they are written, and decisions.

`observe.pods` makes the pods, `ledger.decide` the decisions, `act` carries these out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.detection.podspec import PodSpec
from poolbudget.planning.model import Observed, TargetKey, WorkloadKey

GATE = "poolbudget.dev/grant"
BUDGET_LABEL = "poolbudget.dev/budget"
WORKLOAD_LABEL = "poolbudget.dev/workload"
BUDGET_NAMESPACE_LABEL = "poolbudget.dev/budget-namespace"
CONNECTIONS_ANNOTATION = "poolbudget.dev/connections"
MODE_ANNOTATION = "poolbudget.dev/mode"
MODE_LABEL = "poolbudget.dev/mode"
"""The same once more: a NetworkPolicy selects by labels alone."""
UNRESOLVED_ANNOTATION = "poolbudget.dev/unresolved"
GRANTED_CONDITION = "poolbudget.dev/Granted"
SETTING_ANNOTATION_PREFIX = "env.poolbudget.dev/"
MOST_ENTRIES = 5_000
"""Pods that one ledger holds: it is one object, which is written as a whole."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A labelled pod, as far as grants depend on it.

    `ended`: the kubelet reported that no container runs any more or ever will. `connections` and `mode` are those of
    its grant, None without one. `spec` is kept only while it has none.
    `host` is the address of its node. `owner` is the kind that made it, `controller` what makes it anew from a new
    template (not its ReplicaSet but the Deployment of that). `notice` is the reason and message that its condition
    shows now. `created` is RFC 3339 and sorts by age; `deleting_since` too, empty where not known. `unschedulable`: the
    scheduler has found no node for it. `annotated`: it has annotations of any kind.
    """

    uid: str
    namespace: str
    name: str
    workload: WorkloadKey
    created: str
    priority: int = 0
    node: str = ""
    address: str = ""
    host: str = ""
    gates: tuple[str, ...] = ()
    deleting: bool = False
    ended: bool = False
    connections: int | None = None
    mode: WorkloadMode | None = None
    revision: str | None = None
    owner: str = ""
    controller: TargetKey | None = None
    unresolved: bool = False
    annotated: bool = False
    deleting_since: str = ""
    unschedulable: bool = False
    spec: PodSpec | None = None
    notice: tuple[str, str] | None = None

    @property
    def waits(self) -> bool:
        """Whether our gate is all that holds the pod back."""
        return not self.deleting and self.gates[-1:] == (GATE,) and len(self.gates) == 1

    @property
    def granted(self) -> bool:
        """Whether it carries a grant: connections of its own, or a place behind the pooler."""
        return bool(self.connections) or (self.connections == 0 and self.mode not in {None, WorkloadMode.DIRECT})

    @property
    def gone_for_good(self) -> bool:
        """Whether a pod that was last seen like this can have no process left once it has vanished."""
        return self.ended or not self.node


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one pod is charged, from before it starts until it is proven to have ended.

    `node` and `address` are noted as soon as they are known: they are the only way to ask about a pod that vanished.
    `boot` is the instance and boot of its node when the pod was first known to have vanished, empty until then.
    `unseen`: it was sent to a pooler and has not been seen behind it yet; what it is charged it was never granted.
    """

    uid: str
    connections: int
    namespace: str
    pod: str
    workload: WorkloadKey
    node: str = ""
    address: str = ""
    boot: str = ""
    unseen: bool = False

    @property
    def behind_pooler(self) -> bool:
        """Whether the pod opens nothing at the server itself: whoever connects directly was granted at least 1."""
        return not self.connections

    @property
    def sent_to_pooler(self) -> bool:
        """Whether the pod was started with the address of a pooler, seen there or not."""
        return self.unseen or self.behind_pooler


Ledger = Mapping[str, Reservation]
"""Reservations by the uid of their pod."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What is noted of a server beside its reservations, for the operator to come.

    `capacity`: what it was last believed to have. `shows_pods`: whether its database ever showed a pod at the address
    that the pod has: if not, addresses may be translated on the way.
    """

    capacity: Observed | None = None
    shows_pods: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """Start this pod in this mode, with at most so many connections at the server; `share` for each of its processes.

    Behind the pooler the share are connections to the pooler, and `connections` what is charged while it is `unseen`.
    """

    pod: Pod
    connections: int
    share: int
    mode: WorkloadMode = WorkloadMode.DIRECT
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Leave this pod at the gate; `reason` (CamelCase) and `message` say why and what would help."""

    pod: Pod
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one snapshot: write `ledger` first (if it changed), and only then carry out the grants.

    `opened`: pods whose gate is removed without a grant (updateMode Off). `recreated`: pods that were born before their
    budget and are deleted, so that their controller makes them anew with settings. `kept`: connections that stay free
    for rollouts.
    """

    ledger: Ledger
    grants: tuple[Grant, ...]
    waits: tuple[Wait, ...]
    opened: tuple[Pod, ...]
    recreated: tuple[Pod, ...]
    kept: int

    @property
    def committed(self) -> int:
        """Connections that admitted pods may open."""
        return sum(r.connections for r in self.ledger.values())
