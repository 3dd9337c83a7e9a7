"""What happens when: a pure function of the seed, so that a run can be repeated.

Faults are dealt from a shuffled deck, again and again: any stretch of some minutes holds all kinds. `faults` carries
them out.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = (3.0, 7.0)
DECK = {
    "rollout": 4,
    "rollouts": 3,
    "scale": 5,
    "plan_edit": 3,
    "pod_delete": 4,
    "pod_force_delete": 4,
    "container_kill": 3,
    "worker_kill": 3,
    "operator_kill": 2,
    "operator_pause": 2,
    "webhook_kill": 1,
    "webhook_pause": 1,
    "postgres_restart": 1,
    "postgres_crash": 1,
    "apiserver_restart": 1,
}
"""How often each kind comes in one deal."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, `at` seconds after the start. `pick` chooses its victim, `amount` its measure: both from 0 to below 1.

    What there is to choose from is known only when its time has come.
    """

    at: float
    kind: str
    pick: float
    amount: float

    def choose(self, among: Sequence[T]) -> T:
        """Return the victim among at least one."""
        return among[int(self.pick * len(among))]

    def between(self, least: float, most: float) -> float:
        """Return the measure, scaled."""
        return least + self.amount * (most - least)


def schedule(seed: int, seconds: float) -> list[Fault]:
    """Return the faults of a run, in their order."""
    dice = random.Random(seed)
    faults: list[Fault] = []
    deal: list[str] = []
    at = dice.uniform(*PAUSE_SECONDS)
    while at < seconds:
        if not deal:
            deal = [kind for kind, times in DECK.items() for _ in range(times)]
            dice.shuffle(deal)
        faults.append(Fault(round(at, 2), deal.pop(), dice.random(), dice.random()))
        at += dice.uniform(*PAUSE_SECONDS)
    return faults
