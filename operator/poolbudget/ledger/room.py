"""How much of a server one more pod of a workload may take.

`ledger.grant` asks for every waiting pod, one after another. Three rules make rollouts finish and plans settle:

- What the plan gives a workload is kept for it, whether it uses it now or not (its entitlement).
- A workload that holds more than the plan gives it, since the plan has shrunk, keeps what it holds until its pods
  end; what they free goes to whoever the plan gives it to.
- Room for one rollout pod of every workload that surges, at least at its floor, is never lent to a scale-up.
"""

from collections import Counter
from collections.abc import Mapping

from poolbudget.ledger.model import Ledger
from poolbudget.planning.model import ServerPlan, WorkloadKey, WorkloadPlan


class Room:
    """The books while grants are being decided: what is charged to whom, and what must stay free for whom.

    `elsewhere`: connections held by nobody's pods beyond the ordinary reserve.
    """

    def __init__(self, plan: ServerPlan, ledger: Ledger, elsewhere: int) -> None:
        self._plans: Mapping[WorkloadKey, WorkloadPlan] = plan.workloads
        self._charged: Counter[WorkloadKey] = Counter()
        self._pods: Counter[WorkloadKey] = Counter()
        for reservation in ledger.values():
            self._charged[reservation.workload] += reservation.connections
            self._pods[reservation.workload] += 1
        self._free = plan.usable - elsewhere - sum(self._charged.values())
        self._kept = {key: self._kept_for(key) for key in self._plans}
        self._slots = {key: self._slot_of(key) for key in self._plans}
        self._all_kept = sum(self._kept.values())
        self._all_slots = sum(self._slots.values())

    @property
    def free(self) -> int:
        """Connections that nobody holds; negative while the server is overcommitted."""
        return self._free

    def pods(self, key: WorkloadKey) -> int:
        """Pods of the workload that are charged now."""
        return self._pods[key]

    def for_scale_up(self, key: WorkloadKey) -> int:
        """Return what another pod may take although the workload's rollout and all others keep what is theirs."""
        return self._free - self._slots[key] - (self._all_kept - self._kept[key])

    def for_replacement(self, key: WorkloadKey) -> int:
        """Return what a pod of a newer revision may take beside the old ones: its own rollout slot and what is idle."""
        return self._free - (self._all_slots - self._slots[key])

    def slot_is_free(self, key: WorkloadKey) -> bool:
        """Whether no pod of the workload uses its rollout slot now."""
        plan = self._plans[key]
        return plan.peak > plan.steady and self._pods[key] <= min(plan.desired, plan.steady)

    def take(self, key: WorkloadKey, connections: int) -> None:
        """Enter a grant in the books."""
        self._charged[key] += connections
        self._pods[key] += 1
        self._free -= connections
        kept, slot = self._kept_for(key), self._slot_of(key)
        self._all_kept += kept - self._kept[key]
        self._all_slots += slot - self._slots[key]
        self._kept[key], self._slots[key] = kept, slot

    def _kept_for(self, key: WorkloadKey) -> int:
        """Return what others must leave free for the workload: its unused entitlement, at least its slot."""
        return max(self._plans[key].planned - self._charged[key], self._slot_of(key))

    def _slot_of(self, key: WorkloadKey) -> int:
        plan = self._plans[key]
        if not plan.fits or plan.processes is None or not self.slot_is_free(key):
            return 0
        return plan.bound(plan.processes, plan.floor)
