"""Workloads that Auto moves behind a pooler of the operator's own, and back: `test_moved_pods` runs the machine.

It scales two workloads on one server with a pooler of the operator's own. Some take their host from what is
injected, others do not: each of their pods then opens at the server what it was charged. Rounds lend, decide and charge
as `reconcile` does.
"""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from poolbudget.api.v1alpha1 import (
    PoolBudgetSpec,
    Pooler,
    Route,
    SecretReference,
    TargetReference,
    Workload,
    WorkloadMode,
)
from poolbudget.ledger.decide import Snapshot, decide
from poolbudget.ledger.model import GATE, Grant, Ledger, Pod
from poolbudget.ledger.release import Sessions
from poolbudget.ledger.unseen import lending, proven
from poolbudget.planning.model import Budget, ServerPlan, Target, TargetKey, WorkloadKey, WorkloadPlan
from poolbudget.planning.plan import plan_server
from poolbudget.planning.poolers import BEHIND_A_POOLER
from poolbudget.pooler.charges import as_charged, charges, free
from tests.properties.ledger_parts import BUDGETS, DATABASE, template

BUDGET = BUDGETS[0]
NAMES = ("api", "jobs")
KEYS = {name: WorkloadKey(*BUDGET, name) for name in NAMES}
TARGETS = {name: TargetKey("Deployment", BUDGET.namespace, name) for name in NAMES}
WORKLOADS = [Workload(name=name, route=Route.ENV, target_ref=TargetReference(name=name)) for name in NAMES]
OWN = Pooler(replicas=1, auth_secret_ref=SecretReference(name="users"))
OWN_MINIMUM = 1
FLOOR = 2
MOST_ROUNDS = 8


def of_each(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(dict.fromkeys(NAMES, values))


@dataclass
class Running:
    """A pod as it is. `grant` is None at the gate; `connected`: it has asked for its first connection."""

    pod: Pod
    grant: Grant | None = None
    connected: bool = False


def is_as_planned(grant: Grant, plan: WorkloadPlan) -> bool:
    return grant.mode is plan.mode and (grant.mode in BEHIND_A_POOLER or grant.connections <= plan.per_pod)


class MovedPods(RuleBasedStateMachine):
    """`held`: what the pooler is charged and may open; `honest`: the workloads that take the host that they are given.

    `replicas` and `processes` are those of each workload.
    """

    @initialize(
        usable=st.integers(12, 40),
        replicas=of_each(st.integers(1, 2)),
        processes=of_each(st.integers(1, 3)),
        honest=of_each(st.booleans()),
    )
    def begin(self, usable: int, replicas: dict[str, int], processes: dict[str, int], honest: dict[str, bool]) -> None:
        spec = PoolBudgetSpec(max_connections=usable, reserved_connections=0, database=DATABASE, workloads=WORKLOADS)
        self.budget = Budget(BUDGET, spec.model_copy(update={"pooler": OWN}))
        self.replicas, self.processes, self.honest = replicas, processes, honest
        self.pods: dict[str, Running] = {}
        self.revisions = dict.fromkeys(NAMES, "r1")
        self.ended: dict[str, Pod] = {}
        self.ledger: Ledger = {}
        self.held = self.count = 0
        self.control()

    @rule(name=st.sampled_from(NAMES), replicas=st.integers(0, 6), rounds=st.integers(0, 3))
    def scale(self, name: str, replicas: int, rounds: int) -> None:
        self.replicas[name] = replicas
        self.control()
        for _ in range(rounds):
            self.round()

    @rule(index=st.integers(0, 11))
    def connect(self, index: int) -> None:
        if started := [running for running in self.pods.values() if running.grant]:
            started[index % len(started)].connected = True

    @rule(index=st.integers(0, 11))
    def end(self, index: int) -> None:
        """A pod ends, and its controller makes another."""
        if self.pods:
            self.remove(sorted(self.pods)[index % len(self.pods)])
            self.control()

    @rule()
    def round(self) -> None:
        """Nothing is late here, and a pooler does at once what it is told: `test_pooler` has the rest of that."""
        held = {BUDGET: self.held} if self.held else {}
        wanted = lending(self.plan(), [self.budget], self.ledger, held)
        snapshot = Snapshot(
            specs={BUDGET: self.budget.spec},
            plan=as_charged(wanted, held),
            ledger=self.ledger,
            pods={uid: running.pod for uid, running in self.pods.items()},
            gone={uid: pod for uid, pod in self.ended.items() if uid in self.ledger},
            sessions=Sessions({}),
            elsewhere=0,
            clients={BUDGET: frozenset(r.pod.address for r in self.pods.values() if self.is_client(r))},
        )
        clients = {r.pod.workload for r in self.pods.values() if self.is_client(r)}
        known = proven(self.ledger) | clients
        decision = decide(snapshot)
        least = {BUDGET: min(self.held, wanted.poolers[BUDGET].connections)}
        room = free(snapshot.plan, held, decision.committed + decision.kept)
        self.held = charges(held, wanted.poolers, least, room).get(BUDGET, 0)
        self.ledger = decision.ledger
        left = snapshot.plan.grantable - snapshot.plan.for_poolers - decision.committed - decision.kept
        for grant in decision.grants:
            self.start(grant)
            if grant.pod.workload not in known:
                self.check_charge(grant, left)

    def check_charge(self, grant: Grant, left: int) -> None:
        """Nobody has seen yet where the workload goes: it is charged as a direct one, but for what is not `left`."""
        lent = self.plan().poolers[BUDGET].connections - OWN_MINIMUM
        needed = min(lent, FLOOR * self.processes[grant.pod.workload.workload])
        assert grant.connections >= needed or left <= 0, f"{grant.pod.name} was charged {grant.connections} of {needed}"

    @invariant()
    def stays_within_usable(self) -> None:
        if hasattr(self, "budget"):
            could = sum(map(self.could_open, self.pods.values())) + self.held
            assert could <= self.plan().usable, f"pods and pooler could open {could} of {self.plan().usable}"

    def teardown(self) -> None:
        """Replace what is not as planned, one new pod beside the old ones; then all that are planned have started.

        Every pod asks for a connection. The pooler has its share, but for what is kept for a workload without a pod.
        """
        if not hasattr(self, "budget") or not all(self.honest.values()):
            return
        self.rest()
        for name in NAMES:
            for uid in sorted(uid for uid, running in self.pods.items() if self.is_outdated(running, name)):
                self.roll(uid, name)
        plan = self.plan()
        mine = [running for running in self.pods.values() if plan.workloads[running.pod.workload].fits]
        waiting = [running.pod.name for running in mine if running.grant is None]
        assert not waiting, f"{waiting} wait for nobody"
        if {running.pod.workload for running in mine} == set(KEYS.values()):
            assert self.held == plan.poolers[BUDGET].connections

    def roll(self, uid: str, name: str) -> None:
        """Make a pod of the newest template beside the others, and end an old one.

        A direct one may find that pods of an older plan hold its slot, too: then the old one has to end first.
        """
        self.revisions[name] = "r2"
        new = self.create(name)
        self.rest()
        plan = self.plan().workloads[KEYS[name]]
        assert self.pods[new].grant or plan.mode is WorkloadMode.DIRECT, f"{name} cannot be rolled"
        self.remove(uid)
        self.rest()

    def rest(self) -> None:
        for _ in range(MOST_ROUNDS):
            self.round()
            for running in self.pods.values():
                running.connected = running.grant is not None

    def is_outdated(self, running: Running, name: str) -> bool:
        plan = self.plan().workloads[KEYS[name]]
        if running.grant is None or running.pod.workload != plan.key or not plan.fits:
            return False
        return not is_as_planned(running.grant, plan)

    def plan(self) -> ServerPlan:
        made = {name: (TARGETS[name], wanted, max(1, wanted), True) for name, wanted in self.replicas.items()}
        targets = {
            TARGETS[name]: Target(*seen, template(self.processes[name]), revision=self.revisions[name])
            for name, seen in made.items()
        }
        return plan_server([self.budget], targets, None)

    def control(self) -> None:
        """Make the pods that are missing, end those that are too many: the newest."""
        for name, wanted in self.replicas.items():
            mine = sorted(uid for uid, running in self.pods.items() if running.pod.workload == KEYS[name])
            for uid in mine[wanted:]:
                self.remove(uid)
            for _ in range(wanted - len(mine)):
                self.create(name)

    def remove(self, uid: str) -> None:
        self.ended[uid] = replace(self.pods.pop(uid).pod, ended=True)

    def create(self, name: str) -> str:
        self.count += 1
        uid = f"u{self.count:04}"
        pod = Pod(uid, BUDGET.namespace, f"{name}-{self.count}", KEYS[name], created=uid, gates=(GATE,))
        spec = template(self.processes[name])
        made = replace(pod, owner="ReplicaSet", revision=self.revisions[name], spec=spec)
        self.pods[uid] = Running(made)
        return uid

    def start(self, grant: Grant) -> None:
        running = self.pods[grant.pod.uid]
        given = replace(running.pod, gates=(), spec=None, connections=grant.connections, mode=grant.mode)
        running.grant, running.pod = grant, replace(given, node="node", address=f"address of {grant.pod.uid}")

    def is_client(self, running: Running) -> bool:
        at_pooler = running.grant is not None and running.grant.mode in BEHIND_A_POOLER
        return at_pooler and running.connected and self.honest[running.pod.workload.workload]

    def could_open(self, running: Running) -> int:
        goes_there = running.pod.mode in BEHIND_A_POOLER and self.honest[running.pod.workload.workload]
        return 0 if goes_there or running.grant is None else running.grant.connections
