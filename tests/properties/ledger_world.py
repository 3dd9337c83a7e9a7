"""The world of the ledger's model: pods as the API server shows them, the processes behind them, and the kubelet.

`ledger_controllers` creates and deletes pods, `ledger_operator` grants them, `ledger_machine` lets all of them act in
any order. What a pod could open is kept apart from what anybody wrote down about it.

Assumptions: a process that lives shows the database at least one backend; an address is given to another pod only
after the kubelet has reported the end of the pod that had it, and its last backend has ended.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from poolbudget.api.v1alpha1 import PoolBudgetSpec, TargetReference, Workload
from poolbudget.detection.podspec import Container, PodSpec
from poolbudget.ledger.model import GATE, Grant, Pod
from poolbudget.ledger.release import Sessions
from poolbudget.planning.model import Budget, BudgetKey, ServerPlan, Target, TargetKey, WorkloadKey
from poolbudget.planning.plan import plan_server

BUDGET = BudgetKey("shop", "orders")
UNLIMITED = 1_000_000
"""What a process opens whose pool size is 0 or less."""


@cache
def template(processes: int) -> PodSpec:
    """Return a pod spec that detection reads as this many processes."""
    return PodSpec((Container("app", command=("uvicorn", "app:app", "--workers", str(processes))),))


@dataclass
class Controller:
    """A controller's declared state, with maxSurge and maxUnavailable.

    `sizes`: pods wanted of each revision; `history`: processes of each revision.
    """

    name: str
    kind: str
    replicas: int
    surge: int
    unavailable: int
    processes: int
    revision: int = 1
    autoscaler_max: int | None = None
    recreates: bool = False
    sizes: Counter[int] = field(default_factory=Counter)
    history: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history[self.revision] = self.processes

    def roll(self, processes: int) -> None:
        """Change the template."""
        self.revision += 1
        self.processes = self.history[self.revision] = processes

    @property
    def key(self) -> WorkloadKey:
        return WorkloadKey(*BUDGET, self.name)

    @property
    def target(self) -> Target:
        steady = max(self.replicas, self.autoscaler_max or 0)
        target_key = TargetKey(self.kind, BUDGET.namespace, self.name)
        surges = bool(self.surge) and not self.recreates
        return Target(target_key, self.replicas, steady, surges, template(self.processes), revision=f"r{self.revision}")


@dataclass
class Process:
    """What runs on a node. `bound`: the most that it may open, by the settings that it was started with."""

    bound: int
    address: str
    held: int


@dataclass
class World:
    """Everything that is true, whoever has noticed it. `log`: every change of a pod, in order, as a watch tells it."""

    budget: Budget
    controllers: list[Controller]
    pods: dict[str, Pod] = field(default_factory=dict)
    process_counts: dict[str, int] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    lingering: dict[str, tuple[str, int]] = field(default_factory=dict)
    log: list[tuple[str, Pod | None, Pod]] = field(default_factory=list)
    observed: bool = True
    created: int = 0

    @property
    def usable(self) -> int:
        return self.budget.spec.max_connections

    # The API server.

    def set_spec(self, **changes: object) -> None:
        self.budget = replace(self.budget, spec=self.budget.spec.model_copy(update=changes))

    def set_workload(self, name: str, **changes: object) -> None:
        self.set_spec(
            workloads=[w.model_copy(update=changes) if w.name == name else w for w in self.budget.spec.workloads]
        )

    def create(self, controller: Controller, revision: int, processes: int, name: str = "") -> None:
        self.created += 1
        uid = f"u{self.created:04}"
        self.process_counts[uid] = processes
        self._show(
            Pod(
                uid,
                BUDGET.namespace,
                name or f"{controller.name}-{self.created}",
                controller.key,
                f"2024-01-01T00:00:00.{self.created:06}Z",
                gates=(GATE,),
                revision=f"r{revision}",
                owner="StatefulSet" if controller.kind == "StatefulSet" else "ReplicaSet",
                spec=template(processes),
            )
        )

    def delete(self, uid: str) -> None:
        """Delete gracefully: what runs is asked to end, what was never scheduled is gone at once."""
        pod = self.pods[uid]
        if pod.ended or not pod.node:
            self.remove(uid)
        elif not pod.deleting:
            self._show(replace(pod, deleting=True))

    def remove(self, uid: str) -> None:
        """Take the object away, whatever runs."""
        self.log.append((uid, None, self.pods.pop(uid)))

    def patch(self, grant: Grant) -> None:
        """Write a grant to the pod with this uid, if it is there: annotations are replaced, the gate is removed."""
        pod = self.pods.get(grant.pod.uid)
        if pod is None:
            return
        self.shares[pod.uid] = grant.share
        self._show(replace(pod, gates=(), spec=None, connections=grant.connections))

    def _show(self, pod: Pod) -> None:
        if self.pods.get(pod.uid) != pod:
            self.pods[pod.uid] = pod
            self.log.append((pod.uid, pod, pod))

    # The scheduler and the kubelet.

    def schedule(self, uid: str) -> None:
        pod = self.pods[uid]
        if not pod.gates and not pod.node and not pod.deleting:
            self._show(replace(pod, node="node"))

    def start(self, uid: str) -> None:
        """Start the processes; the pod gets its address."""
        pod = self.pods[uid]
        if pod.node and uid not in self.processes and not pod.ended and not pod.deleting:
            self.processes[uid] = Process(self.bound(uid), address := self._free_address(), 1)
            self._show(replace(pod, address=address))

    def restart(self, uid: str) -> None:
        """Restart the container in place: it reads the annotations anew."""
        if uid in self.processes and uid in self.pods:
            self.processes[uid].bound = self.bound(uid)
            self.processes[uid].held = 1

    def end(self, uid: str, outlive: int = 0) -> None:
        """Let a process end; some of its backends may outlive it. The kubelet reports the end, if there is a pod."""
        process = self.processes.pop(uid, None)
        if process and outlive and self.observed:
            self.lingering[uid] = (process.address, min(outlive, process.held))
        if pod := self.pods.get(uid):
            self._show(replace(pod, ended=True))

    def bound(self, uid: str) -> int:
        """Return what the processes of a pod open with the settings that its annotations give now."""
        share = self.shares[uid]
        return self.process_counts[uid] * share if share > 0 else UNLIMITED

    def _free_address(self) -> str:
        held = {p.address for p in self.processes.values()} | {p.address for p in self.pods.values() if not p.ended}
        held |= {address for address, _ in self.lingering.values()}
        held |= {pod.address for _, now, pod in self.log if now is None and not pod.ended}
        return next(a for n in range(1, 10_000) if (a := f"10.0.0.{n}") not in held)

    # The database.

    def sessions(self) -> Sessions | None:
        if not self.observed:
            return None
        backends: Counter[str] = Counter()
        for process in self.processes.values():
            backends[process.address] += process.held
        for address, count in self.lingering.values():
            backends[address] += count
        known = {pod.address for _, _, pod in self.log}
        return Sessions(dict(backends), frozenset(known - backends.keys()))

    # What is true.

    def plan(self) -> ServerPlan:
        return plan_server([self.budget], {c.target.key: c.target for c in self.controllers}, None)

    def could_open(self) -> dict[str, int]:
        """Return what each pod may open from now on without asking anybody."""
        opened = {uid: self.bound(uid) for uid, pod in self.pods.items() if not pod.gates and not pod.ended}
        for uid, process in self.processes.items():
            opened[uid] = max(opened.get(uid, 0), process.bound)
        for uid, (_, count) in self.lingering.items():
            opened[uid] = opened.get(uid, 0) + count
        return opened

    def of(self, controller: Controller) -> Iterator[Pod]:
        return (pod for pod in list(self.pods.values()) if pod.workload == controller.key)

    def is_ready(self, pod: Pod) -> bool:
        return pod.uid in self.processes and not pod.deleting


def build(usable: int, controllers: list[Controller], workloads: list[Workload], *, observed: bool) -> World:
    """Return a world with one budget and no pods yet."""
    spec = PoolBudgetSpec(max_connections=usable, reserved_connections=0, workloads=workloads)
    return World(Budget(BUDGET, spec, created="2024"), controllers, observed=observed)


def workload(controller: Controller, **fields: object) -> Workload:
    """Return the budget's entry for a controller."""
    reference = TargetReference(kind=controller.kind, name=controller.name)
    return Workload(name=controller.name, target_ref=reference).model_copy(update=fields)
