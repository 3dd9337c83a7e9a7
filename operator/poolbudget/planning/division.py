"""What is usable of a server, divided among direct pools and poolers for any choice of what is behind these.

`planning.plan` tries choices with it and takes the shares of the one that stands.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from poolbudget.planning.admission import Admission
from poolbudget.planning.divide import divide
from poolbudget.planning.model import BudgetKey, PoolerPlan, WorkloadKey
from poolbudget.planning.poolers import BEHIND_A_POOLER, Client
from poolbudget.planning.sizing import Sized

Clients = dict[BudgetKey, list[Client]]


class Division:
    """Divides what is usable among direct workloads and poolers, for any choice of what is behind these."""

    def __init__(self, admission: Admission, claimants: Iterable[Sized]) -> None:
        self._usable = admission.usable
        self._poolers = {key: need.pooler for key, need in admission.taken.items() if need.pooler}
        self._workloads = [sized for sized in claimants if sized.budget in admission.taken]

    def shares(self, moved: Collection[WorkloadKey]) -> dict[WorkloadKey, int]:
        """Return the share of each process that is direct, and of each replica of a pooler."""
        return self._divide(*self._parted(moved))

    def direct(self, moved: Collection[WorkloadKey]) -> Counter[BudgetKey]:
        """Return what the direct workloads of each budget are planned with."""
        direct, clients = self._parted(moved)
        shares, found = self._divide(direct, clients), Counter[BudgetKey]()
        for sized in direct:
            found[sized.budget] += sized.claim.fixed + sized.claim.step * shares[sized.key]
        return found

    def poolers(self, moved: Collection[WorkloadKey], shares: Mapping[WorkloadKey, int]) -> dict[BudgetKey, PoolerPlan]:
        """Return the plans of the poolers with these shares."""
        _, clients = self._parted(moved)
        return {key: pooler.plan(shares[pooler.key], clients[key]) for key, pooler in self._poolers.items()}

    def _parted(self, moved: Collection[WorkloadKey]) -> tuple[list[Sized], Clients]:
        """Return what is direct, and what is behind the pooler of each budget."""
        direct: list[Sized] = []
        clients: Clients = {key: [] for key in self._poolers}
        for sized in self._workloads:
            if is_behind(sized, moved):
                clients[sized.budget].append(sized.client)
            else:
                direct.append(sized)
        return direct, clients

    def _divide(self, direct: Iterable[Sized], clients: Clients) -> dict[WorkloadKey, int]:
        poolers = (pooler.claim(clients[key]) for key, pooler in self._poolers.items())
        return divide([*(sized.claim for sized in direct), *poolers], self._usable)


def is_behind(sized: Sized, moved: Collection[WorkloadKey]) -> bool:
    """Whether a workload is behind a pooler when these are moved there."""
    return sized.stance.mode in BEHIND_A_POOLER or sized.key in moved
