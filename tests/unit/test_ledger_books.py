"""Who holds how much: what the database shows, set against what the ledger allows."""

import pytest

from poolbudget.ledger.books import Excess, PoolerPod, audit
from poolbudget.ledger.release import Sessions
from tests.unit.ledger_builders import API, ledger, pods, pooled, reservation, running, unmanaged

CHARGED = ledger(reservation("api-1", 4))


@pytest.mark.parametrize(
    ("by_address", "of_api", "strangers"),
    [
        pytest.param({}, 0, 0, id="nobody is connected"),
        pytest.param({"10.0.0.1": 3}, 3, 0, id="a charged pod"),
        pytest.param({"10.0.0.9": 3}, 0, 3, id="an unknown address"),
        pytest.param({"": 2}, 0, 2, id="local sessions"),
        pytest.param({"10.0.0.1": 4, "10.0.0.9": 1, "": 1}, 4, 2, id="all of them"),
    ],
)
def test_whose_sessions_they_are(by_address: dict[str, int], of_api: int, strangers: int) -> None:
    books = audit(CHARGED, pods(running()), Sessions(by_address))
    assert (books.by_workload.get(API, 0), books.strangers) == (of_api, strangers)
    assert books.total == of_api + strangers


@pytest.mark.parametrize(("reserve", "elsewhere"), [(0, 5), (3, 2), (5, 0), (9, 0)])
def test_strangers_are_charged_beyond_the_ordinary_reserve(reserve: int, elsewhere: int) -> None:
    assert audit({}, {}, Sessions({"10.0.0.9": 5})).elsewhere(reserve) == elsewhere


@pytest.mark.parametrize(("backends", "beyond"), [(4, 0), (5, 1), (9, 5)])
def test_a_pod_that_holds_more_than_its_grant_is_named_and_the_rest_is_charged(backends: int, beyond: int) -> None:
    books = audit(CHARGED, pods(running()), Sessions({"10.0.0.1": backends}))
    assert books.exceeding == (((CHARGED["api-1"], backends),) if beyond else ())
    assert books.elsewhere(unnamed=10) == beyond


def test_pods_that_share_an_address_may_hold_what_they_have_together() -> None:
    both = ledger(reservation("api-1", 4), reservation("api-2", 4, address="10.0.0.1"))
    assert audit(both, {}, Sessions({"10.0.0.1": 8})).exceeding == ()
    assert len(audit(both, {}, Sessions({"10.0.0.1": 9})).exceeding) == 1


def test_an_address_is_known_before_the_ledger_notes_it() -> None:
    fresh = ledger(reservation("api-1", 4, node="", address=""))
    assert audit(fresh, pods(running()), Sessions({"10.0.0.1": 2})).strangers == 0


def test_a_vanished_pod_still_answers_for_its_address() -> None:
    assert audit(CHARGED, {}, Sessions({"10.0.0.1": 2})).strangers == 0


@pytest.mark.parametrize(
    ("backends", "strangers"),
    [
        pytest.param(4, 0, id="no more than its pods were granted"),
        pytest.param(7, 3, id="beyond that they are strangers"),
    ],
)
def test_sessions_that_show_the_address_of_the_node_are_those_of_its_pods(backends: int, strangers: int) -> None:
    books = audit(CHARGED, pods(running(host="172.18.0.2")), Sessions({"172.18.0.2": backends}))
    assert books.strangers == strangers


@pytest.mark.parametrize(
    ("address", "host", "by_address", "of_pod", "strangers"),
    [
        pytest.param("10.0.0.8", "", {"10.0.0.8": 5}, 5, 0, id="at its own address"),
        pytest.param("10.0.0.8", "", {"10.0.0.9": 5}, 0, 5, id="at another address they are strangers"),
        pytest.param("", "", {"": 5}, 0, 5, id="local sessions are nobody's, also while it has no address"),
        pytest.param("10.0.0.1", "", {"10.0.0.1": 7}, 3, 0, id="beyond the grant of a pod that shares its address"),
        pytest.param("172.18.0.2", "172.18.0.2", {"172.18.0.2": 7}, 3, 0, id="beyond the grants behind its node"),
    ],
)
def test_the_sessions_of_an_unmanaged_pod(
    address: str, host: str, by_address: dict[str, int], of_pod: int, strangers: int
) -> None:
    pod = unmanaged("api-8", address=address)
    books = audit(CHARGED, pods(running(host=host)), Sessions(by_address), [pod])
    assert (books.by_unmanaged.get(pod.uid, 0), books.strangers) == (of_pod, strangers)
    assert books.exceeding == ()
    assert sum(books.by_workload.values()) >= of_pod


@pytest.mark.parametrize(
    ("shown", "exceeding", "strangers", "beyond"),
    [
        pytest.param({"10.0.0.9": 5}, [], 5, 0, id="it goes through the pooler, whose address nobody knows"),
        pytest.param({"10.0.0.1": 2}, [("api-1", 2)], 0, 2, id="it bypasses the pooler"),
        pytest.param({"172.18.0.2": 2}, [], 2, 0, id="a session at the node's address may be anybody's"),
    ],
)
def test_a_pod_behind_the_pooler_is_charged_what_it_holds_itself(
    shown: dict[str, int], exceeding: list[tuple[str, int]], strangers: int, beyond: int
) -> None:
    books = audit(ledger(reservation(connections=0)), pods(pooled(host="172.18.0.2")), Sessions(shown))
    assert [(entry.pod, held) for entry, held in books.exceeding] == exceeding
    assert (books.strangers, books.beyond) == (strangers, beyond)


def test_the_address_of_its_node_does_not_prove_that_a_pod_bypasses_the_pooler() -> None:
    on_host = pooled(address="172.18.0.2", host="172.18.0.2")
    books = audit(ledger(reservation(connections=0)), pods(on_host), Sessions({"172.18.0.2": 2}))
    assert (books.exceeding, books.strangers) == ((), 2)


@pytest.mark.parametrize(("strangers", "elsewhere"), [(0, 0), (23, 0), (24, 1), (30, 7)])
def test_sessions_of_nobody_are_those_of_a_pooler_that_somebody_else_runs(strangers: int, elsewhere: int) -> None:
    books = audit({}, {}, Sessions({"10.0.0.9": strangers}))
    assert books.elsewhere(unnamed=3 + 20) == elsewhere


@pytest.mark.parametrize(
    ("by_address", "strangers", "beyond"),
    [
        pytest.param({"10.0.0.7": 10}, 0, 0, id="its share"),
        pytest.param({"10.0.0.7": 13}, 0, 3, id="what it holds beyond its share is charged"),
        pytest.param({"172.18.0.3": 10}, 0, 0, id="its share, seen at the address of its node"),
        pytest.param({"172.18.0.3": 13}, 3, 0, id="beyond that they are strangers"),
        pytest.param({"10.0.0.9": 10}, 10, 0, id="another address is nobody's"),
    ],
)
def test_the_sessions_of_a_pooler_of_ours(by_address: dict[str, int], strangers: int, beyond: int) -> None:
    ours = [PoolerPod("10.0.0.7", "172.18.0.3", 10)]
    books = audit(CHARGED, pods(running()), Sessions(by_address), poolers=ours)
    assert (books.strangers, books.beyond, books.exceeding) == (strangers, beyond, ())
    assert books.elsewhere(unnamed=0) == strangers + beyond


def test_an_excess_counts_only_when_it_lasts() -> None:
    over = audit(CHARGED, pods(running()), Sessions({"10.0.0.1": 5}))
    within = audit(CHARGED, pods(running()), Sessions({"10.0.0.1": 4}))
    excess = Excess()
    assert [bool(excess.lasting(b, now)) for b, now in ((over, 0), (over, 0.5), (over, 1), (within, 2), (over, 3))] == [
        False,
        False,
        True,
        False,
        False,
    ]
