"""People under the ledger's state machine, who take pods out of the operator's hands.

`ledger_machine` adds what happens every day, and what must hold.
"""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.properties.ledger_controllers import act
from tests.properties.ledger_faults import ANY
from tests.properties.ledger_outages import OutageMachine


class PeopleMachine(OutageMachine):
    """Labels are removed; pods start without a grant; everything is uninstalled, and installed again."""

    @rule(index=ANY)
    def remove_labels(self, index: int) -> None:
        pod = self.pick(index, running=True)
        if pod and pod.uid not in self.unlisted | self.world.hidden | self.world.ungranted:
            self.world.unlabel(pod.uid)

    @rule(index=ANY)
    def release(self, index: int) -> None:
        """Release a pod, which soon opens all that it may."""
        waiting = [pod.uid for pod in self.world.pods.values() if pod.gates]
        if not waiting:
            return
        uid = waiting[index % len(waiting)]
        self.world.release(uid)
        with self.outliving():
            self.world.schedule(uid)
            self.world.start(uid)
            if uid in self.world.processes and not self.world.away:
                self.world.processes[uid].held = self.world.processes[uid].bound
        for leader in range(len(self.operators)):
            self.whole_round(leader, 100)

    @rule(index=ANY, actions=st.integers(0, 3))
    def uninstall(self, index: int, actions: int) -> None:
        """Remove webhook and guard, then all gates, while the operators run; some time later install both again."""
        self.world.admitting = False
        for uid in [uid for uid, pod in self.world.pods.items() if pod.gates]:
            self.world.release(uid)
        for _ in range(actions):
            act(self.world, self.world.controllers[index % len(self.world.controllers)])
        self.world.admitting = True

    def calm(self) -> None:
        """Delete the pods that nobody has in hand."""
        super().calm()
        for uid in (self.world.hidden | self.world.ungranted) & self.world.pods.keys():
            self.world.delete(uid)
