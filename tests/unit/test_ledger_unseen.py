"""What is charged for pods that Auto has moved, until one of their workload is seen behind the pooler."""

from dataclasses import replace

import pytest

from poolbudget.ledger.books import audit
from poolbudget.ledger.decide import decide
from poolbudget.ledger.grant import UNTIL_SEEN
from poolbudget.ledger.model import Pod
from poolbudget.ledger.release import Sessions
from poolbudget.ledger.unseen import Clients, addresses, proven
from tests.unit.ledger_builders import (
    API,
    BUDGET,
    granted,
    ledger,
    pods,
    reservation,
    running,
    snapshot,
    waits,
)
from tests.unit.moved_inputs import AT, OWN, PLAN, POOLED, SEEN, SPEC, decided, lent, moved, pod, unseen


def test_the_first_pods_are_charged_as_direct_ones_and_the_others_wait_until_one_is_seen() -> None:
    names = [f"api-{n}" for n in range(1, 7)]
    decision = decided({}, *(pod(name) for name in names))
    assert granted(decision) == dict.fromkeys(names[:4], 4)
    assert {grant.mode for grant in decision.grants} == {POOLED}
    assert all(entry.unseen and entry.sent_to_pooler and not entry.behind_pooler for entry in decision.ledger.values())
    assert waits(decision) == dict.fromkeys(names[4:], "NotSeenYet")
    told = f"needs 4, free 2, {UNTIL_SEEN}; api-1 holds 4"
    assert {wait.message for wait in decision.waits} == {told}


def test_once_one_was_seen_the_others_are_believed() -> None:
    decision = decided(unseen(), moved(), pod("api-2"), pod("api-3"), held=2, clients=SEEN)
    assert granted(decision) == {"api-2": 0, "api-3": 0}
    assert decision.ledger["api-1"] == reservation(connections=0)


def test_they_are_believed_also_while_some_were_not_seen_yet() -> None:
    charged = {**unseen(), **unseen("api-2"), **unseen("api-3"), **unseen("api-4")}
    shown = [moved(f"api-{n}") for n in (1, 2, 3, 4)]
    decision = decided(charged, *shown, pod("api-5"), held=2, clients=SEEN)
    assert granted(decision) == {"api-5": 0}
    again = decided(decision.ledger, *shown, moved("api-5", 0), pod("api-6"), held=2)
    assert granted(again) == {"api-6": 0}


@pytest.mark.parametrize(
    ("shown", "clients", "at_server"),
    [
        pytest.param(moved(), {}, 0, id="no client of the pooler"),
        pytest.param(moved(), {BUDGET: frozenset({"10.0.0.2"})}, 0, id="another pod is one"),
        pytest.param(moved(), SEEN, 1, id="it also holds a connection at the server"),
    ],
)
def test_it_stays_charged(shown: Pod, clients: Clients, at_server: int) -> None:
    decision = decided(unseen(), shown, clients=clients, at_server=at_server)
    assert decision.ledger == unseen()


def test_where_nobody_reads_the_server_the_pooler_is_believed() -> None:
    blind = snapshot(SPEC, PLAN, ledger=unseen(), pods=pods(moved()), clients=SEEN)
    assert decide(blind).ledger == ledger(reservation(connections=0))


def test_of_a_pod_with_the_address_of_its_node_the_pooler_alone_can_tell() -> None:
    decision = decided(unseen(), moved(host=AT), clients=SEEN, at_server=7)
    assert decision.ledger == ledger(reservation(connections=0))


def test_one_that_vanished_unseen_stays_charged_as_a_direct_one_would() -> None:
    vanished = snapshot(SPEC, PLAN, ledger=unseen(), gone={"api-1": moved()})
    assert decide(vanished).ledger == unseen()


def test_it_is_granted_again_as_it_was() -> None:
    """The patch may have arrived unseen."""
    charged = unseen(node="", address="")
    decision = decided(charged, pod("api-1"))
    assert [(grant.connections, grant.mode) for grant in decision.grants] == [(4, POOLED)]
    assert decision.ledger == charged


def test_a_deleted_ledger_is_restored_with_what_was_charged() -> None:
    assert decided({}, moved()).ledger == unseen()


def test_a_pod_of_other_processes_is_charged_by_its_own_spec() -> None:
    decision = decided({}, pod("api-1", processes=3))
    assert granted(decision) == {"api-1": 6}


def test_a_pooler_that_has_nothing_to_lend_lets_them_start() -> None:
    minimum = SPEC.model_copy(update={"pooler": OWN.model_copy(update={"min_connections": 20})})
    pooler = lent({}, budget=minimum)
    assert (pooler.connections, pooler.lent) == (20, 0)
    plan = replace(PLAN, poolers={BUDGET: pooler})
    assert granted(decide(snapshot(minimum, plan, pods=pods(pod("api-1"))))) == {"api-1": 0}


def test_who_is_believed_proves_nothing_for_others() -> None:
    """Only the one that was seen does."""
    seen = reservation("api-1", 0)
    decision = decided(ledger(seen), moved("api-1", 0), pod("api-2"), held=2)
    assert proven(decision.ledger) == {API}
    assert decision.ledger["api-2"].unseen
    assert decision.ledger["api-2"].connections == 0
    assert proven(ledger(decision.ledger["api-2"])) == set()


def test_one_that_was_seen_and_turns_up_at_the_server_proves_nothing_any_more() -> None:
    charged = ledger(reservation(connections=0))
    decision = decided(charged, moved(connections=0), held=20, at_server=2)
    assert decision.ledger == unseen(connections=0)
    assert decided(decision.ledger, moved(connections=0), held=20, clients=SEEN).ledger == charged


def test_where_others_hold_the_room_it_starts_all_the_same_but_no_more_than_are_lent_for() -> None:
    """Else a rollout from a server that is fully granted could not begin: its old pods end only afterwards."""
    direct = ledger(reservation("api-8", 8), reservation("api-9", 9))
    shown = [running("api-8", 8, revision="old"), running("api-9", 9, revision="old")]
    decision = decided(direct, *shown, *(pod(f"api-{n}") for n in range(1, 5)), held=2)
    assert granted(decision) == {"api-1": 1, "api-2": 0, "api-3": 0, "api-4": 0}


def test_the_pooler_looks_out_for_pods_that_have_an_address() -> None:
    charged = {**unseen(), **unseen("api-2"), **unseen("api-3"), **ledger(reservation("api-4", 0))}
    shown = pods(moved(), moved("api-2", address=""), moved("api-4"))
    assert addresses(charged, shown) == {BUDGET: frozenset({AT})}


@pytest.mark.parametrize("backends", [1, 4, 6])
def test_one_that_is_seen_at_the_server_bypasses_the_pooler_also_within_its_charge(backends: int) -> None:
    books = audit(unseen(), pods(moved()), Sessions({AT: backends}))
    assert books.exceeding == ((reservation(unseen=True), backends),)
    assert books.beyond == max(0, backends - 4)
    assert audit(unseen(), pods(moved(host=AT)), Sessions({AT: backends})).exceeding == ()
