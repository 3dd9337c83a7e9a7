"""Ways to break on purpose what is charged for moved pods: `test_ledger_mutations` shows that they are caught."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from poolbudget.ledger import decide, unseen
from poolbudget.ledger.model import Pod, Reservation
from tests.properties import moved_machine
from tests.properties.ledger_mutations import Mutation


def believes_what_it_moved_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moved_machine, "lending", lambda plan, *_: plan)


def takes_moved_pods_for_seen(patch: pytest.MonkeyPatch) -> None:
    def seen(ledger: dict[str, Reservation], pods: Mapping[str, Pod], *_: object) -> None:
        ledger.update(
            {uid: replace(entry, connections=0, unseen=False) for uid, entry in ledger.items() if entry.unseen}
        )

    patch.setattr(decide, "note_seen", seen)


def never_looks_for_moved_pods(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "note_seen", lambda *_: None)


def lends_nothing_to_the_first_moved_pod(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(unseen, "_first_pod", lambda workload: 0)


MOVED_MUTATIONS: list[Mutation] = [
    believes_what_it_moved_at_once,
    takes_moved_pods_for_seen,
    never_looks_for_moved_pods,
    lends_nothing_to_the_first_moved_pod,
]
