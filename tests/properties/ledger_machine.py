"""The state machine of the ledger's model: everything that can happen to a server, in any order.

After every step the pods together could open no more than is usable; at the end of every run, once everybody has had
his turn, rollouts have finished and nobody waits for room that is his. `test_ledger_model` runs it on the code as it
is, `test_ledger_mutations` on code that was broken on purpose.
"""

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.properties.ledger_controllers import act
from tests.properties.ledger_faults import ANY, LIMITS, possible
from tests.properties.ledger_people import PeopleMachine
from tests.properties.ledger_settle import check_settled


class LedgerMachine(PeopleMachine):
    """Controllers, kubelets and people beside the operators."""

    @rule(index=ANY, actions=st.integers(1, 4))
    def control(self, index: int, actions: int) -> None:
        controller = self.world.controllers[index % len(self.world.controllers)]
        for _ in range(actions):
            act(self.world, controller)

    @rule(index=ANY, starts=st.booleans())
    def schedule(self, index: int, starts: bool) -> None:
        pods = [pod for pod in self.world.pods.values() if not pod.gates and pod.uid not in self.world.processes]
        if pods:
            uid = pods[index % len(pods)].uid
            self.world.schedule(uid)
            if starts:
                with self.outliving():
                    self.world.start(uid)

    @rule()
    def start_all(self) -> None:
        with self.outliving():
            for uid in list(self.world.pods):
                self.world.schedule(uid)
                self.world.start(uid)

    @rule(index=ANY, outlive=st.integers(0, 2))
    def end_deleted(self, index: int, outlive: int) -> None:
        pods = [pod for pod in self.world.pods.values() if pod.deleting]
        if pods:
            pod = pods[index % len(pods)]
            self.world.remove(pod.uid) if pod.ended else self.world.end(pod.uid, outlive)

    @rule(index=ANY, outlive=st.integers(0, 2))
    def evict(self, index: int, outlive: int) -> None:
        if pod := self.pick(index, running=True):
            self.world.end(pod.uid, outlive)

    @rule(index=ANY)
    def delete(self, index: int) -> None:
        if pod := self.pick(index):
            self.world.delete(pod.uid)

    @rule(index=ANY)
    def force_delete(self, index: int) -> None:
        if (pod := self.pick(index)) and pod.uid not in self.unlisted:
            self.world.remove(pod.uid)

    @rule(index=ANY)
    def end_unseen(self, index: int) -> None:
        unseen = [uid for uid in self.world.processes if uid not in self.world.pods]
        if unseen:
            self.world.end(unseen[index % len(unseen)])

    @rule(index=ANY)
    def end_lingering(self, index: int) -> None:
        if self.world.lingering:
            del self.world.lingering[sorted(self.world.lingering)[index % len(self.world.lingering)]]

    @rule(index=ANY, processes=st.sampled_from([1, 1, 2, 3]), rest=st.booleans())
    def roll(self, index: int, processes: int, rest: bool) -> None:
        with self.change():
            self.world.controllers[index % len(self.world.controllers)].roll(processes)
        if rest:
            self.rest()

    @rule(index=ANY, replicas=st.integers(0, 4), maximum=st.one_of(st.none(), st.integers(1, 4)), rest=st.booleans())
    def scale(self, index: int, replicas: int, maximum: int | None, rest: bool) -> None:
        controller = self.world.controllers[index % len(self.world.controllers)]
        with self.change():
            controller.autoscaler_max = maximum
            controller.replicas = replicas if maximum is None else min(replicas, maximum)
        if rest:
            self.rest()

    @rule(index=ANY, limits=LIMITS, rest=st.booleans())
    def edit_workload(self, index: int, limits: dict[str, object], rest: bool) -> None:
        with self.change():
            controller = self.world.controllers[index % len(self.world.controllers)]
            self.world.set_workload(controller, **possible(limits, self.pooled))
        if rest:
            self.rest()

    @rule(held=st.integers(0, 8))
    def pool(self, held: int) -> None:
        """Let the poolers open what they may."""
        self.world.pooled = min(held, self.world.for_poolers())

    @rule(index=ANY, usable=st.integers(8, 40))
    def edit_usable(self, index: int, usable: int) -> None:
        with self.change():
            self.world.set_spec(self.world.budgets[index % len(self.world.budgets)].key, max_connections=usable)

    @precondition(lambda self: self.world.live() <= self.world.listed.keys())
    @rule()
    def delete_ledger(self) -> None:
        """A person deletes the ledger; nothing is on its way, and all that runs can be seen until it is restored."""
        self.unlisted |= self.store.ledger.keys()
        self.store.data = None
        self.late_ledgers.clear()
        self.late_grants.clear()
        for operator in self.operators:
            operator.round, operator.grants, operator.known = None, [], None

    # What must hold.

    @invariant()
    def stays_within_usable(self) -> None:
        type(self).steps += 1
        could = sum(self.world.could_open().values()) + self.world.beyond({}) + self.world.for_poolers()
        exposure = self.exposure()
        self.allowed = max(self.world.usable, min(self.allowed, exposure))
        assert could <= self.allowed, f"pods could open {could} of {self.allowed}"
        charged = self.store.ledger
        self.unlisted -= charged.keys()
        for uid, most in self.world.could_open().items():
            held = charged[uid].connections if uid in charged else 0
            assert most <= held or uid in self.unlisted, f"{uid} could open {most}, charged are {held}"

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for operator in self.operators:
            operator.restart()
        for ledger, version in self.late_ledgers:
            self.store.put(ledger, version)
        for grant in self.late_grants:
            self.world.patch(grant)
        self.calm()
        check_settled(self.world, self.store, self.operators[0], self.stays_within_usable, squeezed=self.squeezed)
