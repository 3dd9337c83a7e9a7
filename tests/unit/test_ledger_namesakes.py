"""Which names lead to one and the same server."""

from poolbudget.ledger.namesakes import APART_SECONDS, Namesakes, Start

NOON, LATER = "2026-01-01T12:00:00.000001+00:00", "2026-01-01T12:00:00.000002+00:00"


def test_names_of_servers_that_started_at_the_same_instant_are_of_one() -> None:
    starts = {"db": Start(NOON, 0), "db-rw": Start(NOON, 1), "db-ro": Start(LATER, 1)}
    assert Namesakes().of("db", starts) == {"db-rw"}
    assert Namesakes().of("db-ro", starts) == set()


def test_a_server_that_nobody_could_ask_is_one_of_its_own() -> None:
    assert Namesakes().of("db", {"db-rw": Start(NOON, 0), "db-ro": Start(NOON, 0)}) == set()


def test_they_stay_one_until_both_were_read_for_a_while_after_they_last_met() -> None:
    names = Namesakes()
    assert names.of("db-rw", {"db": Start(NOON, 0), "db-rw": Start(NOON, 5)}) == {"db"}
    assert names.of("db-rw", {"db": Start(NOON, 0), "db-rw": Start(LATER, 100)}) == {"db"}, "db was not read since"
    late = APART_SECONDS - 1
    assert names.of("db-rw", {"db": Start(NOON, late), "db-rw": Start(LATER, 100)}) == {"db"}
    assert names.of("db-rw", {"db": Start(NOON, late + 1), "db-rw": Start(LATER, 100)}) == set()
