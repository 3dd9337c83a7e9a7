"""The operators of the ledger's state machine: two of them, whose caches lag and whose writes get lost.

`ledger_machine` adds what else can happen and what must hold.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.ledger.model import Grant, Ledger, Pod
from tests.properties.ledger_controllers import act
from tests.properties.ledger_operator import Operator, Store
from tests.properties.ledger_parts import BUDGETS, Controller, workload
from tests.properties.ledger_settle import settle, slots_missing
from tests.properties.ledger_world import World, build

ANY = st.integers(0, 11)
LEADER = st.integers(0, 1)
OUTCOME = st.sampled_from(["applied", "applied", "applied", "lost", "unanswered"])
KINDS = {
    "surge": ("Deployment", 1, 0, False),
    "wide surge": ("Deployment", 2, 1, False),
    "recreate": ("Deployment", 1, 0, True),
    "stateful": ("StatefulSet", 0, 1, False),
}


@st.composite
def controllers(draw: st.DrawFn, name: str) -> Controller:
    kind, surge, unavailable, recreates = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    replicas, processes = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    made = Controller(name, kind, replicas, surge, unavailable, processes, recreates=recreates)
    return replace(made, budget=draw(st.sampled_from((*BUDGETS[:1], *BUDGETS))), extra=draw(st.sampled_from([0, 0, 1])))


LIMITS: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {
        "weight": st.sampled_from([1, 2, 4]),
        "max_per_process": st.integers(2, 8),
        "min_per_process": st.integers(1, 2),
        "max": st.sampled_from([None, None, 8, 16, 24]),
        "mode": st.sampled_from(
            [WorkloadMode.AUTO, WorkloadMode.AUTO, WorkloadMode.DIRECT, WorkloadMode.POOLED, WorkloadMode.NULL_POOL]
        ),
    }
)


def possible(limits: dict[str, object], pooled: int) -> dict[str, object]:
    """Return what a budget may say of a workload: where there is no pooler, none can be behind one."""
    return limits if pooled else {**limits, "mode": WorkloadMode.AUTO}


class OperatorMachine(RuleBasedStateMachine):
    """Two operators, both always believing to lead; controllers, kubelets and people beside them.

    `poolers`: what the pooler of each budget may take, in some runs; with 0 there is none.
    """

    steps = 0
    poolers: tuple[int, ...] = (0, 0, 0, 3)
    world: World
    store: Store

    @initialize(data=st.data(), usable=st.integers(10, 40), number=st.integers(1, 3), observed=st.booleans())
    def begin(self, data: st.DataObject, usable: int, number: int, observed: bool) -> None:
        made = [data.draw(controllers(name)) for name in "abc"[:number]]
        self.pooled = data.draw(st.sampled_from(self.poolers))
        limits = [possible(data.draw(LIMITS), self.pooled) for _ in made]
        workloads = [workload(c, **fields) for c, fields in zip(made, limits, strict=True)]
        self.world = build(usable, made, workloads, observed=observed, pooled=self.pooled)
        self.store = Store()
        self.operators = [Operator(self.world, self.store), Operator(self.world, self.store)]
        self.late_ledgers: list[tuple[Ledger, int | None]] = []
        self.late_grants: list[Grant] = []
        self.allowed = usable
        self.unlisted: set[str] = set()
        self.squeezed = False
        for controller in made:
            while act(self.world, controller):
                pass

    def calm(self) -> None:
        """Mend what `ledger_outages` broke."""

    def pick(self, index: int, *, running: bool | None = None) -> Pod | None:
        pods = [p for p in self.world.pods.values() if running is None or (p.uid in self.world.processes) == running]
        return pods[index % len(pods)] if pods else None

    @rule(leader=LEADER, events=st.integers(1, 12))
    def watch(self, leader: int, events: int) -> None:
        self.operators[leader].watch(events)

    @rule(leader=LEADER)
    def relist(self, leader: int) -> None:
        self.operators[leader].relist()

    @rule(leader=LEADER, index=ANY)
    def miss(self, leader: int, index: int) -> None:
        """While a watch is broken, a pod is started and force-deleted; its processes run on."""
        granted = [
            uid for uid, p in self.world.pods.items() if not p.gates and not p.deleting and uid not in self.unlisted
        ]
        if granted:
            uid = granted[index % len(granted)]
            with self.outliving():
                self.world.schedule(uid)
                self.world.start(uid)
                self.world.remove(uid)
        self.operators[leader].relist()

    @rule(leader=LEADER)
    def decide(self, leader: int) -> None:
        self.operators[leader].begin()

    @rule(leader=LEADER, outcome=OUTCOME)
    def write_ledger(self, leader: int, outcome: str) -> None:
        self.operators[leader].write_ledger(outcome)

    @rule(leader=LEADER)
    def delay_ledger(self, leader: int) -> None:
        operator = self.operators[leader]
        if operator.round is not None:
            self.late_ledgers.append((operator.round.ledger, operator.version))
            operator.round, operator.known = None, None

    @rule(leader=LEADER, index=ANY, outcome=st.sampled_from(["applied", "applied", "lost", "delayed"]))
    def write_pod(self, leader: int, index: int, outcome: str) -> None:
        if self.operators[leader].grants and (late := self.operators[leader].write_pod(index, outcome)):
            self.late_grants.append(late)

    @rule(index=ANY)
    def arrive_late(self, index: int) -> None:
        if self.late_ledgers:
            self.store.put(*self.late_ledgers.pop(index % len(self.late_ledgers)))
        elif self.late_grants:
            self.world.patch(self.late_grants.pop(index % len(self.late_grants)))

    @rule(leader=LEADER)
    def crash(self, leader: int) -> None:
        self.operators[leader].restart()

    @rule(leader=LEADER, events=st.integers(1, 30))
    def whole_round(self, leader: int, events: int) -> None:
        self.operators[leader].watch(events)
        self.operators[leader].run()

    @rule(leader=LEADER, outcome=OUTCOME, patches=st.integers(0, 2))
    def broken_round(self, leader: int, outcome: str, patches: int) -> None:
        """Run a round that a crash ends after some of its writes."""
        operator = self.operators[leader]
        operator.begin()
        operator.write_ledger(outcome)
        for _ in range(min(patches, len(operator.grants))):
            operator.write_pod(0, "applied")
        operator.restart()

    @rule(leader=LEADER, turns=st.integers(1, 6))
    def peace(self, leader: int, turns: int) -> None:
        with self.outliving():
            settle(self.world, self.operators[leader], turns=turns)

    @rule()
    def rest(self) -> None:
        self.calm()
        settle(self.world, self.operators[0])

    @contextmanager
    def change(self) -> Iterator[None]:
        """Let people or autoscalers change what is planned.

        When that leaves less to pods, or plans for a pooler again that was left out while nothing fitted, what was
        decided before, and not yet written, counts as decided after. When running pods then hold so much that the
        rollout slots are not all there, rollouts may wait.
        """
        poolers, left = self.world.for_poolers(), self.world.usable - self.world.for_poolers()
        yield
        if self.world.for_poolers() > poolers or self.world.usable - self.world.for_poolers() < left:
            self.excuse()
        in_flight = any(operator.round is not None or operator.grants for operator in self.operators)
        unsure = in_flight or bool(self.late_ledgers or self.unlisted)
        self.squeezed |= unsure or slots_missing(self.world, self.store.ledger)

    @contextmanager
    def outliving(self) -> Iterator[None]:
        """Let something happen by which what nobody granted may grow: that counts like a capacity that falls."""
        before = self.world.beyond({})
        yield
        if self.world.beyond({}) > before:
            self.excuse()

    def excuse(self) -> None:
        """Less is left than before: what is there may stay, and nothing may raise it; what is in flight is dropped."""
        self.allowed = max(self.allowed, self.exposure())
        self.late_ledgers.clear()
        for operator in self.operators:
            operator.round = None

    def exposure(self) -> int:
        could = self.world.could_open()
        charged = {uid: entry.connections for uid, entry in self.store.ledger.items()}
        pods = sum(max(could.get(uid, 0), charged.get(uid, 0)) for uid in could.keys() | charged.keys())
        return pods + self.world.beyond(charged) + self.world.for_poolers()
