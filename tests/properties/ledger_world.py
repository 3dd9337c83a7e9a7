"""The world of the ledger's model: the processes behind the pods that the API server shows, nodes, the database.

`ledger_controllers` creates and deletes pods, `ledger_operator` grants them, `ledger_machine` lets all of them act in
any order. What a pod could open is kept apart from what anybody wrote down about it.

Assumptions: a process that lives shows a database that answers at least one backend; an address is given to another
pod only after the kubelet has reported the end of the pod that had it, and its last backend has ended; a pod keeps its
address; a Node that is deleted runs nothing any more; a kubelet that comes back reports its boot before it starts
anything; labels are removed from pods that have a node.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from poolbudget.api.v1alpha1 import PoolBudgetSpec, Workload, WorkloadMode
from poolbudget.ledger.model import Pod
from poolbudget.ledger.release import Sessions
from poolbudget.planning.model import Budget, ServerPlan
from poolbudget.planning.plan import plan_server
from tests.properties.ledger_api import ApiServer
from tests.properties.ledger_parts import BUDGETS, DATABASE, UNLIMITED, Controller, Process, pooler

POOLER = "192.0.2.1"
NODES = ("node-0", "node-1")


@dataclass
class World(ApiServer):
    """Everything that is true, whoever has noticed it.

    `boots`: how often each machine was installed and booted; `nodes`: what of that the API server knows; `cut`: the
    nodes that cannot reach it. `lingering`: backends of processes that have ended, with their address; `leftover`:
    backends of an earlier container, at the address of a pod. `pooled`: backends of the poolers, which others run.
    """

    processes: dict[str, Process] = field(default_factory=dict)
    lingering: dict[str, tuple[str, int]] = field(default_factory=dict)
    leftover: Counter[str] = field(default_factory=Counter)
    pooled: int = 0
    boots: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NODES, 0))
    nodes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NODES, "boot-0"))
    cut: set[str] = field(default_factory=set)
    observed: bool = True
    away: bool = False
    _planned: tuple[object, ServerPlan] | None = None

    @property
    def usable(self) -> int:
        return self.plan().usable

    def release(self, uid: str) -> None:
        """Start a waiting pod without a grant, at its workload's floor."""
        pod = self.pods[uid]
        self.start_ungranted(pod, max(1, self.plan().workloads[pod.workload].floor))
        self.show(replace(pod, gates=()))

    # The scheduler and the kubelet.

    def schedule(self, uid: str) -> None:
        pod = self.pods[uid]
        open_nodes = [node for node in NODES if node in self.nodes and node not in self.cut]
        if open_nodes and not pod.gates and not pod.node and not pod.deleting:
            self.show(replace(pod, node=open_nodes[int(uid[1:]) % len(open_nodes)]))

    def start(self, uid: str) -> None:
        """Start the processes; the pod gets its address."""
        pod = self.pods[uid]
        reachable = pod.node in self.nodes and pod.node not in self.cut
        if reachable and uid not in self.processes and not pod.ended and not pod.deleting:
            address = pod.address or self._free_address()
            self.processes[uid] = Process(self.bound(uid), address, pod.node, 0 if self.away else self._least(uid))
            self.show(replace(pod, address=address))

    def restart(self, uid: str, outlive: int = 0) -> None:
        """Restart the container in place: it reads the annotations anew; some old backends may run on."""
        if uid in self.processes and uid in self.pods:
            process = self.processes[uid]
            if outlive and self.observed and not self.away:
                self.leftover[process.address] += min(outlive, process.held)
            process.bound = self.bound(uid)
            process.held = 0 if self.away else self._least(uid)

    def end(self, uid: str, outlive: int = 0) -> None:
        """Let a process end; some of its backends may outlive it. The kubelet reports the end, if there is a pod."""
        process, pod = self.processes.pop(uid, None), self.pods.get(uid)
        unseen = pod is not None and pod.node in self.cut
        if process and outlive and self.observed and not self.away and not unseen:
            self.lingering[uid] = (process.address, min(outlive, process.held))
        if pod is not None and not unseen:
            self.show(replace(pod, ended=True))

    def bound(self, uid: str) -> int:
        """Return what the processes of a pod open at the server with the settings that its annotations give now."""
        grant = self.granted[uid]
        if grant.mode is not WorkloadMode.DIRECT:
            return 0
        return self.process_counts[uid] * grant.share + self.extras[uid] if grant.share > 0 else UNLIMITED

    def _least(self, uid: str) -> int:
        """Return what the processes of a pod hold at the server whatever they do."""
        return min(1, self.bound(uid))

    def _free_address(self) -> str:
        held = {p.address for p in self.processes.values()} | {p.address for p in self.pods.values() if not p.ended}
        held |= {address for address, _ in self.lingering.values()} | self.leftover.keys()
        held |= {pod.address for _, now, pod in self.log if now is None and not pod.ended}
        return next(a for n in range(1, 10_000) if (a := f"10.0.0.{n}") not in held)

    # Nodes.

    def boot(self, node: str, outlive: int) -> None:
        """Boot a machine, or another of its name: what ran there has ended; of pods that vanished sessions may stay."""
        for uid in [uid for uid, process in self.processes.items() if process.node == node]:
            process = self.processes.pop(uid)
            if outlive and self.observed and not self.away and uid not in self.pods:
                self.lingering[uid] = (process.address, min(outlive, process.held))
        self.boots[node] += 1
        if node not in self.cut:
            self.nodes[node] = f"boot-{self.boots[node]}"

    def delete_node(self, node: str) -> None:
        """Delete a Node whose machine is gone for good; its pods' objects stay for the garbage collector."""
        self.boot(node, 0)
        self.cut.discard(node)
        self.nodes.pop(node, None)

    def reconnect(self, node: str) -> None:
        """Let the kubelet of a node report again."""
        self.cut.discard(node)
        self.nodes[node] = f"boot-{self.boots[node]}"

    # The database.

    def sessions(self) -> Sessions | None:
        if not self.observed or self.away:
            return None
        backends = self.leftover.copy()
        for process in self.processes.values():
            backends[process.address] += process.held
        for address, count in self.lingering.values():
            backends[address] += count
        backends[POOLER] = self.pooled
        seen = +backends
        known = {pod.address for _, _, pod in self.log}
        return Sessions(dict(seen), frozenset(known - seen.keys()))

    def go_away(self) -> None:
        """Stop the server: whatever was connected is not any more."""
        self.away = True
        self.forget_backends()
        for process in self.processes.values():
            process.held = 0

    def come_back(self) -> None:
        self.away = False
        for uid, process in self.processes.items():
            process.held = max(self._least(uid), process.held)

    def forget_backends(self) -> None:
        """Let all backends end that nobody listens to."""
        self.lingering.clear()
        self.leftover.clear()

    # What is true.

    def plan(self) -> ServerPlan:
        """Return the plan of what is declared now. It is asked for several times a step, and seldom another."""
        declared = (self.budgets, {target.key: target for target in (c.target for c in self.controllers)})
        if self._planned is None or self._planned[0] != declared:
            self._planned = declared, plan_server(*declared, None)
        return self._planned[1]

    def for_poolers(self) -> int:
        """Return what poolers may open: those that are planned with, and those that pods are still behind."""
        planned = self.plan().poolers
        behind = {self.granted[uid].pod.workload.budget_key for uid in self.live() if not self.bound(uid)}
        shares = {b.key: b.spec.pooler.external.connections for b in self.budgets if b.spec.pooler.external}
        return sum(share for key, share in shares.items() if key in planned or key in behind)

    def live(self) -> set[str]:
        """Return the pods that were granted and may run."""
        return {uid for uid, p in self.pods.items() if not p.gates and not p.ended} | self.processes.keys()

    def could_open(self) -> dict[str, int]:
        """Return what each pod may open from now on without asking anybody."""
        opened = {uid: self.bound(uid) for uid, pod in self.pods.items() if not pod.gates and not pod.ended}
        for uid, process in self.processes.items():
            opened[uid] = max(opened.get(uid, 0), process.bound)
        for uid, (_, count) in self.lingering.items():
            opened[uid] = opened.get(uid, 0) + count
        return {uid: most for uid, most in opened.items() if uid not in self.ungranted}

    def beyond(self, charged: Mapping[str, int]) -> int:
        """Return what is held beside what pods with a grant may open, or are charged, as far as the database shows it.

        Earlier containers hold it, and pods without a grant: those may open more, which nobody has promised to prevent.
        A pod whose machine has just booted, too, holds its own earlier backends within what it may open.
        """
        could, within = self.could_open(), {}
        for uid in self.live():
            process = self.processes.get(uid)
            address, held = (process.address, process.held) if process else (self.pods[uid].address, 0)
            within[address] = max(could.get(uid, 0), charged.get(uid, 0)) - held
        earlier = sum(max(0, count - max(0, within.get(address, 0))) for address, count in self.leftover.items())
        return earlier + (self._held_without_grant(charged) if self.observed else 0)

    def _held_without_grant(self, charged: Mapping[str, int]) -> int:
        held = Counter({uid: p.held for uid, p in self.processes.items() if uid in self.ungranted})
        held.update({uid: count for uid, (_, count) in self.lingering.items() if uid in self.ungranted})
        return sum(max(0, count - charged.get(uid, 0)) for uid, count in held.items())

    def is_ready(self, pod: Pod) -> bool:
        return pod.uid in self.processes and not pod.deleting and pod.node not in self.cut


def build(
    usable: int, controllers: list[Controller], workloads: list[Workload], *, observed: bool, pooled: int = 0
) -> World:
    """Return a world with the budgets of the controllers and no pods yet."""
    budgets = []
    for age, key in enumerate(BUDGETS):
        mine = [w for c, w in zip(controllers, workloads, strict=True) if c.budget == key]
        if mine:
            of_server = {"max_connections": usable, "reserved_connections": 0, "database": DATABASE}
            spec = PoolBudgetSpec(**of_server, pooler=pooler(pooled), workloads=mine)
            budgets.append(Budget(key, spec, created=str(age)))
    return World(budgets, controllers, observed=observed)
