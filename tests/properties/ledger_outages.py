"""Machines that fail under the ledger's state machine: nodes, containers, the database.

`ledger_people` adds what people do, `ledger_machine` what happens every day, and what must hold.
"""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.properties.ledger_controllers import act
from tests.properties.ledger_faults import ANY, OperatorMachine
from tests.properties.ledger_world import NODES

NODE = st.sampled_from(NODES)
OUTLIVE = st.integers(0, 2)


class OutageMachine(OperatorMachine):
    """What comes back in another state than it went in."""

    @rule(node=NODE)
    def cut_off(self, node: str) -> None:
        if node in self.world.nodes:
            self.world.cut.add(node)

    @rule(node=NODE)
    def reconnect(self, node: str) -> None:
        self.world.reconnect(node)

    @rule(node=NODE, outlive=OUTLIVE)
    def boot(self, node: str, outlive: int) -> None:
        if node in self.world.nodes:
            self.world.boot(node, outlive)

    @rule(node=NODE, collected=st.booleans())
    def delete_node(self, node: str, collected: bool) -> None:
        self.world.delete_node(node)
        if collected:
            self.collect_pods()

    @rule()
    def collect_pods(self) -> None:
        """Delete the objects of pods whose node is gone, as the pod garbage collector does."""
        for uid, pod in list(self.world.pods.items()):
            if pod.node and pod.node not in self.world.nodes and uid not in self.unlisted:
                self.world.remove(uid)

    @rule(index=ANY, away=st.booleans())
    def lose_node_of_vanished(self, index: int, away: bool) -> None:
        """Force-delete a pod on a node that is cut off, and boot the node some time later."""
        pod = self.pick(index, running=True)
        if pod is None or pod.uid in self.unlisted:
            return
        self.world.cut.add(pod.node)
        self.world.remove(pod.uid)
        if away:
            for operator in self.operators:
                operator.watch(100)
                operator.run()
        self.world.boot(pod.node, 1)
        self.world.reconnect(pod.node)

    @rule(index=ANY, outlive=OUTLIVE)
    def restart_in_place(self, index: int, outlive: int) -> None:
        if pod := self.pick(index, running=True):
            with self.outliving():
                self.world.restart(pod.uid, outlive)

    @rule(index=ANY, outlive=st.integers(1, 9), replicas=st.integers(2, 4))
    def run_out_of_memory(self, index: int, outlive: int, replicas: int) -> None:
        """Kill a container that has opened all that it may, and the new one, too, while its workload is scaled up."""
        pod = self.pick(index, running=True)
        if pod is None:
            return
        self.busy(index)
        with self.outliving():
            self.world.restart(pod.uid, outlive)
        self.busy(index)
        controller = next(c for c in self.world.controllers if c.key == pod.workload)
        with self.change():
            controller.replicas, controller.autoscaler_max = replicas, None
        while act(self.world, controller):
            pass
        self.whole_round(0, 100)

    @rule(index=ANY)
    def busy(self, index: int) -> None:
        """Let a process open all that it may."""
        if (pod := self.pick(index, running=True)) and not self.world.away:
            with self.outliving():
                self.world.processes[pod.uid].held = self.world.processes[pod.uid].bound

    @rule(index=ANY)
    def end_leftover(self, index: int) -> None:
        if self.world.leftover:
            del self.world.leftover[sorted(self.world.leftover)[index % len(self.world.leftover)]]

    @rule(away=st.booleans())
    def database(self, away: bool) -> None:
        with self.outliving():
            self.world.go_away() if away else self.world.come_back()

    def calm(self) -> None:
        """Mend everything: nodes and the database answer."""
        for node in NODES:
            self.world.reconnect(node)
        self.world.come_back()
