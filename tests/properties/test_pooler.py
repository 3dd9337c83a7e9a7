"""No pooler ever holds more than it is charged: whatever crashes, restarts, is replaced or comes late.

The machine is the world around `pooler.layout` and `pooler.charges`: a StatefulSet whose controller learns of templates
late, pods whose processes read their annotation when they start, an operator that looks, writes, tells, applies and
proves one after another and may crash in between, and rounds that raise and lower what is planned.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from poolbudget.planning.model import BudgetKey, PoolerPlan
from poolbudget.pooler.charges import charges
from poolbudget.pooler.config import Limits
from poolbudget.pooler.layout import PoolerPod, Seen, next_layout, proven

KEY = BudgetKey("shop", "orders")
USABLE = 40


@dataclass
class Process:
    """A PgBouncer: `opened` is the most that it may have open; a smaller limit alone closes nothing."""

    name: str
    limit: int
    opened: int

    def tell(self, limit: int, *, shrink: bool) -> None:
        self.limit = limit
        self.opened = limit if shrink else max(self.opened, limit)


@dataclass
class Pod:
    uid: str
    ordinal: int
    written: int
    ending: bool = False
    process: Process | None = None


class Poolers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.charged = 0
        self.plan: PoolerPlan | None = plan_of(4, 2)
        self.templates: list[tuple[int, int]] = []
        """Replicas and limit of each generation of the StatefulSet."""
        self.observed = 0
        self.pods: list[Pod] = []
        self.count = 0
        self.crash()
        self.teardown()

    @rule()
    def crash(self) -> None:
        """Another operator takes over: it knows the ledger alone."""
        self.told: dict[str, Limits] = {}
        self.least: int | None = None
        self.wish: tuple[PoolerPlan | None, int] | None = None
        self.todo: list[Any] = []

    @rule(connections=st.integers(1, 30), replicas=st.integers(1, 3))
    def plan_anew(self, connections: int, replicas: int) -> None:
        self.plan = plan_of(max(connections, replicas), replicas)

    def round(self, others: int) -> None:
        """Charge and wish, as `reconcile` does; `others` is what pods hold."""
        held = {KEY: self.charged} if self.charged else {}
        least = {} if self.least is None else {KEY: self.least}
        room = USABLE - self.charged - min(others, USABLE - self.charged)
        planned = {KEY: self.plan} if self.plan else {}
        self.charged = charges(held, planned, least, room).get(KEY, 0)
        if self.wish != (self.plan, self.charged):
            self.wish, self.least = (self.plan, self.charged), None

    @rule(
        others=st.sampled_from((0, 0, 10, USABLE)),
        times=st.integers(0, 4),
        steps=st.integers(1, 4),
        deaf=st.sampled_from((False, False, False, True)),
        learns=st.booleans(),
    )
    def keep(self, others: int, times: int, steps: int, deaf: bool, learns: bool) -> None:
        """Keep the pooler some times, and then begin once more: the world may move before the rest follows.

        `deaf`: no console answers. `learns`: so does the StatefulSet's controller before.
        """
        if learns and self.templates:
            self.control(learns)
        self.deaf = deaf
        for wanted in (*[4] * times, steps):
            self.round(others)
            if not self.todo:
                self.look()
            for step in self.todo[:wanted]:
                step()
            del self.todo[:wanted]

    def look(self) -> None:
        assert self.wish is not None
        plan, charged = self.wish
        assert plan is not None
        seen = self.seen()
        self.told = {name: limits for name, limits in self.told.items() if name in {p.process for p in seen.pods}}
        layout = next_layout(plan, charged, seen, self.told, in_use=True)
        if layout is not None:
            self.todo = [self.write, self.tell, self.apply, self.prove]
            self.seen_last, self.layout, self.of = seen, layout, self.wish

    def apply(self) -> None:
        wanted = (self.layout.replicas, self.layout.limits.connections)
        if not self.templates or self.templates[-1] != wanted:
            self.templates.append(wanted)

    def write(self) -> None:
        for pod in self.pods:
            if pod.uid in {p.uid for p in self.seen_last.pods}:
                pod.written = self.layout.limits.connections

    def tell(self) -> None:
        limits = self.layout.limits
        shrink = self.of[1] > limits.connections * self.seen_last.spread
        running = {pod.process.name: pod.process for pod in self.pods if pod.process}
        for pod in () if self.deaf else self.seen_last.pods:
            if pod.process in running and self.told.get(pod.process) != limits:
                running[pod.process].tell(limits.connections, shrink=shrink)
                self.told[pod.process] = limits

    def prove(self) -> None:
        assert self.of[0] is not None
        least = proven(self.of[0], self.seen_last, self.layout.limits, self.told, None)
        self.least = least if self.wish == self.of else None

    @precondition(lambda self: self.templates)
    @rule(learns=st.booleans())
    def control(self, learns: bool) -> None:
        """Create what is missing, from the template that the controller knows, and end what is too many."""
        self.observed = len(self.templates) if learns or not self.observed else self.observed
        replicas, limit = self.templates[self.observed - 1]
        for ordinal in range(replicas):
            if ordinal not in {pod.ordinal for pod in self.pods}:
                self.count += 1
                self.pods.append(Pod(f"uid-{self.count}", ordinal, limit))
        for pod in self.pods:
            pod.ending = pod.ending or pod.ordinal >= replicas

    @rule()
    def processes_start(self) -> None:
        """Where none runs, a process starts with what is written on its pod."""
        for pod in self.pods:
            if pod.process is None:
                self.count += 1
                pod.process = Process(f"p{self.count}", pod.written, pod.written)

    @precondition(lambda self: self.pods)
    @rule(chosen=st.integers(0, 3), starts=st.booleans())
    def process_crashes(self, chosen: int, starts: bool) -> None:
        self.pods[chosen % len(self.pods)].process = None
        if starts:
            self.processes_start()

    @precondition(lambda self: self.pods)
    @rule(chosen=st.integers(0, 3), learns=st.booleans())
    def pod_is_replaced(self, chosen: int, learns: bool) -> None:
        del self.pods[chosen % len(self.pods)]
        self.control(learns)
        self.processes_start()

    @invariant()
    def no_more_is_open_than_is_charged(self) -> None:
        opened = sum(pod.process.opened for pod in self.pods if pod.process)
        assert opened <= self.charged, f"{opened} may be open and {self.charged} are charged"

    @invariant()
    def the_ledger_is_within_the_server(self) -> None:
        assert self.charged <= USABLE

    def teardown(self) -> None:
        """LIVENESS: once nothing more happens, exactly what is planned is charged and may be opened."""
        self.crash()
        for _ in range(12):
            self.keep(others=0, times=0, steps=4, deaf=False, learns=True)
            self.pods = [pod for pod in self.pods if not pod.ending]
            self.processes_start()
        assert self.plan is not None
        opened = [pod.process.opened for pod in self.pods if pod.process]
        share = self.plan.connections // self.plan.replicas
        assert opened == [share] * self.plan.replicas
        assert self.charged == self.plan.connections

    def seen(self) -> Seen:
        pods = tuple(seen_pod(pod) for pod in sorted(self.pods, key=lambda pod: pod.ordinal))
        if not self.templates:
            return Seen(None, None, "", observed=True, pods=pods)
        replicas, limit = self.templates[-1]
        return Seen(replicas, limits(limit), "c", observed=self.observed == len(self.templates), pods=pods)


def plan_of(connections: int, replicas: int) -> PoolerPlan:
    return PoolerPlan("p.shop.svc", 6432, connections, 0, replicas, True, external=False)


def limits(connections: int) -> Limits:
    return Limits.of(connections, 0)


def seen_pod(pod: Pod) -> PoolerPod:
    name = pod.process.name if pod.process else ""
    address = f"10.0.0.{pod.ordinal}"
    return PoolerPod(f"p-{pod.ordinal}", pod.uid, name, address, "", limits(pod.written), "c", "", True, pod.ending)


TestPoolers = Poolers.TestCase
TestPoolers.settings = settings(stateful_step_count=40, deadline=None)
