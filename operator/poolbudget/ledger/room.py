"""How much of a server one more pod of a workload may take.

`ledger.grant` asks for every waiting pod, one after another. Three rules make rollouts finish and plans settle:

- What the plan gives a workload is there for it, whether it uses it now or not: no pod is given more than the planned
  bound, and no workload more pods than planned (`ledger.grant`), so nobody can take what is meant for another.
- Pods of an older plan may hold more than the plan gives, and keep it until they end. What is free meanwhile goes to
  whoever comes first: if each waited for what others lack, it would stay free.
- Room for one rollout pod of every workload that surges, at least at its floor, is never lent to a scale-up. Neither is
  that for the missing pods of the workload that we roll: its old pods end before the new ones ask for their place.

What unmanaged pods take is not there, and not lent to anybody either. Neither is what poolers may take, whether any pod
is behind them or not: so pods can always be moved there, also while all the rest is granted. Only a replacement may
take what a pooler has yet to grow into, for as long as its old pod needs to end.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from poolbudget.ledger.model import Ledger
from poolbudget.ledger.unmanaged import Charge
from poolbudget.ledger.unseen import Loan, Loans
from poolbudget.planning.model import ServerPlan, WorkloadKey, WorkloadPlan


class Room:
    """The books while grants are being decided: what is free, and what of it is for rollouts.

    `elsewhere`: connections held by nobody's pods beyond the ordinary reserve. `rolled`: the workload whose pods are
    being replaced because we have changed their template.
    """

    def __init__(
        self,
        plan: ServerPlan,
        ledger: Ledger,
        elsewhere: int,
        unmanaged: Collection[Charge] = (),
        rolled: WorkloadKey | None = None,
    ) -> None:
        self.rolled = rolled
        self._plans: Mapping[WorkloadKey, WorkloadPlan] = plan.workloads
        self._pods = Counter(reservation.workload for reservation in ledger.values())
        self._unmanaged: dict[WorkloadKey, list[Charge]] = {}
        for charge in unmanaged:
            self._unmanaged.setdefault(charge.pod.workload, []).append(charge)
        granted = sum(reservation.connections for reservation in ledger.values())
        taken = granted + elsewhere + sum(charge.connections for charge in unmanaged)
        self._free = plan.grantable - plan.for_poolers - taken
        self._ungrown = sum(p.connections - p.held for p in plan.poolers.values() if not p.external)
        self._loans = Loans(plan, ledger)
        self._slots = {key: self._slot_of(key) for key in self._plans}
        self._all_slots = sum(self._slots.values())

    @property
    def kept(self) -> int:
        """What is kept for rollouts."""
        return self._all_slots

    def pods(self, key: WorkloadKey) -> int:
        """Pods of the workload that are charged now."""
        return self._pods[key]

    def unmanaged(self, key: WorkloadKey) -> list[Charge]:
        """Return what is charged for the workload's pods that never passed admission."""
        return self._unmanaged.get(key, [])

    def for_scale_up(self) -> int:
        """Return what another pod may take beside the rollout slots of all workloads.

        Negative while the server is overcommitted.
        """
        return self._free - self._all_slots

    def for_replacement(self, key: WorkloadKey) -> int:
        """Return what a pod of a newer revision may take beside the old ones: its own rollout slot and what is idle.

        A pooler grows into what is left when the old ones have ended: else they might never.
        """
        return self._free + self._ungrown - (self._all_slots - self._slots[key])

    def lent(self, key: WorkloadKey) -> Loan | None:
        """Return what the pooler lends to the pods of a moved workload, none once one was seen; None to others."""
        return self._loans.to(key)

    def slot_is_free(self, key: WorkloadKey) -> bool:
        """Whether no pod of the workload uses its rollout slot now."""
        plan = self._plans[key]
        return plan.peak > plan.steady and self._pods[key] <= min(plan.desired, plan.steady)

    def take(self, key: WorkloadKey, connections: int) -> None:
        """Enter a grant in the books."""
        self._pods[key] += 1
        self._free -= connections
        self._loans.take(key)
        slot = self._slot_of(key)
        self._all_slots += slot - self._slots[key]
        self._slots[key] = slot

    def _slot_of(self, key: WorkloadKey) -> int:
        plan = self._plans[key]
        if not plan.fits or plan.processes is None:
            return 0
        missing = min(plan.desired, plan.steady) - self._pods[key] if key == self.rolled else 0
        return max(missing, int(self.slot_is_free(key))) * plan.bound(plan.processes, plan.floor)
