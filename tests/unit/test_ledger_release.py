"""What is taken off the ledger: only what is proven to have ended."""

from collections.abc import Mapping

import pytest

from poolbudget.ledger.model import Pod
from poolbudget.ledger.release import Boots, Evidence, Sessions, keep_what_may_live, restored
from tests.unit.ledger_builders import ledger, pods, pooled, reservation, running, waiting

BUSY = Sessions({"10.0.0.1": 3})
IDLE = Sessions({})
SETTLED = Sessions({}, frozenset({"10.0.0.1"}))
Gone = Mapping[str, Pod | None]


@pytest.mark.parametrize(
    ("shown", "gone", "sessions", "left"),
    [
        pytest.param(running(), {}, None, 4, id="a running pod stays charged"),
        pytest.param(running(deleting=True), {}, None, 4, id="a terminating pod still runs"),
        pytest.param(waiting(), {}, SETTLED, 4, id="a pod at the gate may have been started by a patch on its way"),
        pytest.param(running(), {}, SETTLED, 4, id="a running pod without backends may open some"),
        pytest.param(running(ended=True), {}, None, None, id="an ended pod is released"),
        pytest.param(running(ended=True), {}, IDLE, None, id="an ended pod without backends is released"),
        pytest.param(running(ended=True), {}, BUSY, 3, id="backends that outlive their pod stay charged"),
        pytest.param(None, {}, SETTLED, 4, id="a pod that is not seen is not yet confirmed to be gone"),
        pytest.param(None, {"api-1": running(ended=True)}, None, None, id="it vanished after it had ended"),
        pytest.param(None, {"api-1": running(ended=True)}, BUSY, 3, id="it vanished, its backends did not"),
        pytest.param(None, {"api-1": running()}, None, 4, id="it vanished while it ran"),
        pytest.param(None, {"api-1": running()}, IDLE, 4, id="it vanished, and its address has not settled"),
        pytest.param(None, {"api-1": running()}, SETTLED, None, id="it vanished, and its address has settled"),
        pytest.param(None, {"api-1": None}, None, 4, id="it vanished unseen"),
        pytest.param(None, {"api-1": None}, SETTLED, None, id="it vanished unseen, and its address has settled"),
    ],
)
def test_what_stays_charged(shown: Pod | None, gone: Gone, sessions: Sessions | None, left: int | None) -> None:
    kept = keep_what_may_live(ledger(reservation()), Evidence(pods(shown) if shown else {}, gone, {}, sessions))
    assert {entry.connections for entry in kept.values()} == (set() if left is None else {left})


@pytest.mark.parametrize(
    ("shown", "gone", "sessions", "stays"),
    [
        pytest.param(pooled(), {}, IDLE, True, id="a running pod keeps its place"),
        pytest.param(waiting(), {}, IDLE, True, id="a pod at the gate may have been started by a patch on its way"),
        pytest.param(pooled(ended=True), {}, IDLE, False, id="an ended pod is released"),
        pytest.param(pooled(ended=True), {}, BUSY, True, id="an ended pod that left backends answers for them"),
        pytest.param(None, {}, SETTLED, True, id="a pod that is not seen is not yet confirmed to be gone"),
        pytest.param(None, {"api-1": None}, None, False, id="one that vanished needs no proof of its end"),
        pytest.param(None, {"api-1": None}, BUSY, True, id="unless its address shows that it bypassed the pooler"),
    ],
)
def test_a_pod_behind_the_pooler_holds_nothing_at_the_server(
    shown: Pod | None, gone: Gone, sessions: Sessions | None, stays: bool
) -> None:
    known = Evidence(pods(shown) if shown else {}, gone, {}, sessions)
    kept = keep_what_may_live(ledger(reservation(connections=0)), known)
    assert [entry.connections for entry in kept.values()] == ([0] if stays else [])


VANISHED: Gone = {"api-1": None}
FIRST, SECOND = "uid-boot1", "uid-boot2"


@pytest.mark.parametrize(
    ("noted", "shown", "gone", "boots", "left"),
    [
        pytest.param("", None, VANISHED, {"worker": FIRST}, (4, FIRST), id="its boot is noted when it vanished"),
        pytest.param(FIRST, None, VANISHED, {"worker": FIRST}, (4, FIRST), id="its node has not booted since"),
        pytest.param(FIRST, None, VANISHED, {"worker": SECOND}, None, id="its node has booted since"),
        pytest.param(FIRST, None, VANISHED, {"worker": "other-boot1"}, None, id="another node has its node's name"),
        pytest.param("", None, VANISHED, {"worker": None}, None, id="its node is gone"),
        pytest.param(FIRST, None, VANISHED, {"worker": None}, None, id="its node went later"),
        pytest.param(FIRST, None, VANISHED, {}, (4, FIRST), id="its node was not asked for"),
        pytest.param("", None, {}, {"worker": None}, (4, ""), id="it is not confirmed that it vanished"),
        pytest.param("", running(), {}, {"worker": None}, (4, ""), id="a pod that exists may be started again"),
        pytest.param(FIRST, running(), {}, {"worker": SECOND}, (4, FIRST), id="an old cache still shows it"),
    ],
)
def test_a_node_that_booted_or_is_gone_runs_nothing_of_what_had_vanished(
    noted: str, shown: Pod | None, gone: Gone, boots: Boots, left: tuple[int, str] | None
) -> None:
    evidence = Evidence(pods(shown) if shown else {}, gone, boots, None)
    kept = keep_what_may_live(ledger(reservation(boot=noted)), evidence)
    assert [(entry.connections, entry.boot) for entry in kept.values()] == ([] if left is None else [left])


def test_sessions_that_a_lost_node_left_at_the_database_stay_charged() -> None:
    kept = keep_what_may_live(ledger(reservation()), Evidence({}, VANISHED, {"worker": None}, BUSY))
    assert kept["api-1"].connections == 3


def test_a_pod_that_vanished_before_it_had_a_node_never_ran() -> None:
    unscheduled = reservation(node="", address="")
    assert keep_what_may_live(ledger(unscheduled), Evidence({}, {"api-1": waiting()}, {}, None)) == {}


def test_an_unknown_address_never_settles() -> None:
    unknown = ledger(reservation(address=""))
    nowhere = Sessions({}, frozenset({""}))
    assert keep_what_may_live(unknown, Evidence({}, {"api-1": None}, {}, nowhere)) == unknown


def test_backends_of_an_address_are_those_of_the_pod_that_has_it_now() -> None:
    heir = running("api-2", address="10.0.0.1")
    charged = ledger(reservation(), reservation("api-2", address="10.0.0.1"))
    kept = keep_what_may_live(charged, Evidence(pods(running(ended=True), heir), {}, {}, BUSY))
    assert kept.keys() == {"api-2"}


def test_a_vanished_pod_whose_address_another_has_stays_charged() -> None:
    heir = running("api-2", address="10.0.0.1")
    kept = keep_what_may_live(ledger(reservation()), Evidence(pods(heir), {"api-1": None}, {}, SETTLED))
    assert kept.keys() == {"api-1"}


def test_node_and_address_are_noted_as_soon_as_they_are_known_and_never_lost() -> None:
    unscheduled = reservation(node="", address="")
    for entry, shown in ((unscheduled, running()), (reservation(), running(address=""))):
        assert keep_what_may_live(ledger(entry), Evidence(pods(shown), {}, {}, None)) == ledger(reservation())


@pytest.mark.parametrize(
    ("shown", "entered"),
    [
        pytest.param(running(), {"api-1"}, id="a running pod that carries a grant"),
        pytest.param(pooled(), {"api-1"}, id="one that carries a grant behind the pooler"),
        pytest.param(running(deleting=True), {"api-1"}, id="a terminating one"),
        pytest.param(running(ended=True), set(), id="not one that has ended"),
        pytest.param(running(connections=None), set(), id="not one without a grant"),
        pytest.param(waiting(), set(), id="not one at the gate"),
    ],
)
def test_what_is_entered_again_after_the_ledger_was_deleted(shown: Pod, entered: set[str]) -> None:
    assert restored(ledger(), pods(shown)).keys() == entered


def test_an_entry_that_is_there_is_not_replaced() -> None:
    entries = ledger(reservation(connections=9))
    assert restored(entries, pods(running(connections=4))) == entries
