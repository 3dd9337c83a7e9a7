"""The API server of the ledger's model: budgets and pods as they are shown, and the log of what a watch tells.

`ledger_world` adds what is true behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from poolbudget.ledger.model import GATE, Grant, Pod
from poolbudget.ledger.unmanaged import DRIVER_DEFAULT
from poolbudget.planning.model import Budget, BudgetKey
from tests.properties.ledger_parts import Controller, template


@dataclass
class ApiServer:
    """`log`: every change of a pod, in order. `granted`: what was written to each pod. `hidden`: those without labels.

    `process_counts` and `extras`: what the processes of each pod are, by its spec. `ungranted`: pods that people
    started, or that were born while nothing was `admitting`.
    """

    budgets: list[Budget]
    controllers: list[Controller]
    pods: dict[str, Pod] = field(default_factory=dict)
    process_counts: dict[str, int] = field(default_factory=dict)
    extras: dict[str, int] = field(default_factory=dict)
    granted: dict[str, Grant] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    log: list[tuple[str, Pod | None, Pod]] = field(default_factory=list)
    ungranted: set[str] = field(default_factory=set)
    admitting: bool = True
    created: int = 0

    def set_spec(self, key: BudgetKey, **changes: object) -> None:
        self.budgets = [replace(b, spec=b.spec.model_copy(update=changes)) if b.key == key else b for b in self.budgets]

    def set_workload(self, controller: Controller, **changes: object) -> None:
        spec = next(budget.spec for budget in self.budgets if budget.key == controller.budget)
        workloads = [w.model_copy(update=changes) if w.name == controller.name else w for w in spec.workloads]
        self.set_spec(controller.budget, workloads=workloads)

    def create(self, controller: Controller, revision: int, processes: int, name: str = "") -> None:
        self.created += 1
        uid = f"u{self.created:04}"
        self.process_counts[uid], self.extras[uid] = processes, controller.extra
        pod = Pod(
            uid,
            controller.budget.namespace,
            name or f"{controller.name}-{self.created}",
            controller.key,
            f"2024-01-01T00:00:00.{self.created:06}Z",
            gates=(GATE,) if self.admitting else (),
            revision=f"r{revision}",
            owner="StatefulSet" if controller.kind == "StatefulSet" else "ReplicaSet",
            controller=controller.target.key,
            spec=template(processes),
        )
        if not self.admitting:
            self.start_ungranted(pod, DRIVER_DEFAULT)
        self.show(pod)

    def delete(self, uid: str) -> None:
        """Delete gracefully: what runs is asked to end, what was never scheduled is gone at once."""
        pod = self.pods[uid]
        if pod.ended or not pod.node:
            self.remove(uid)
        elif not pod.deleting:
            self.show(replace(pod, deleting=True))

    def remove(self, uid: str) -> None:
        """Take the object away, whatever runs."""
        pod = self.pods.pop(uid)
        if uid not in self.hidden:
            self.log.append((uid, None, pod))

    def unlabel(self, uid: str) -> None:
        """Remove the labels of a pod: a watch that selects by them tells that it was deleted."""
        self.hidden.add(uid)
        self.log.append((uid, None, self.pods[uid]))

    @property
    def listed(self) -> dict[str, Pod]:
        """What a list of the labelled pods shows."""
        return {uid: pod for uid, pod in self.pods.items() if uid not in self.hidden}

    def start_ungranted(self, pod: Pod, share: int) -> None:
        """Let a pod start with this share for each of its processes, of which no ledger knows."""
        self.ungranted.add(pod.uid)
        self.granted[pod.uid] = Grant(pod, 0, share)

    def patch(self, grant: Grant) -> None:
        """Write a grant to the pod with this uid, if it is there and still waits."""
        pod = self.pods.get(grant.pod.uid)
        if pod is None or not pod.gates:
            return
        self.granted[pod.uid] = grant
        self.show(replace(pod, gates=(), spec=None, connections=grant.connections, mode=grant.mode))

    def show(self, pod: Pod) -> None:
        if self.pods.get(pod.uid) != pod:
            self.pods[pod.uid] = pod
            if pod.uid not in self.hidden:
                self.log.append((pod.uid, pod, pod))

    def of(self, controller: Controller) -> Iterator[Pod]:
        return (pod for pod in list(self.pods.values()) if pod.workload == controller.key)
