"""Ways to break on purpose what is charged for moved pods: `test_ledger_mutations` shows that they are caught."""

from dataclasses import replace

import pytest

from poolbudget.ledger import decide
from poolbudget.ledger.model import Reservation
from tests.properties import moved_machine
from tests.properties.ledger_mutations import Mutation


def believes_what_it_moved_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moved_machine, "lending", lambda plan, *_: plan)


def takes_moved_pods_for_seen(patch: pytest.MonkeyPatch) -> None:
    def seen(ledger: dict[str, Reservation], *_: object) -> None:
        ledger.update(
            {uid: replace(entry, connections=0, unseen=False) for uid, entry in ledger.items() if entry.unseen}
        )

    patch.setattr(decide, "note_seen", seen)


def never_looks_for_moved_pods(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "note_seen", lambda *_: None)


MOVED_MUTATIONS: list[Mutation] = [
    believes_what_it_moved_at_once,
    takes_moved_pods_for_seen,
    never_looks_for_moved_pods,
]
