"""Which names lead to one and the same server."""

from poolbudget.namesakes import APART_SECONDS, Namesakes

NOON, LATER = "2026-01-01 12:00:00.000001+00", "2026-01-01 12:00:00.000002+00"


def test_names_of_servers_that_started_at_the_same_instant_are_of_one() -> None:
    started = {"db": NOON, "db-rw": NOON, "db-ro": LATER}
    assert Namesakes().of("db", started, 0.0) == {"db-rw"}
    assert Namesakes().of("db-ro", started, 0.0) == set()


def test_a_server_that_nobody_could_ask_is_one_of_its_own() -> None:
    assert Namesakes().of("db", {"db-rw": NOON, "db-ro": NOON}, 0.0) == set()


def test_they_stay_one_while_only_one_of_them_was_read_since_a_restart() -> None:
    names = Namesakes()
    names.of("db", {"db": NOON, "db-rw": NOON}, 0.0)
    apart = {"db": LATER, "db-rw": NOON}
    assert names.of("db-rw", apart, APART_SECONDS - 1) == {"db"}
    assert names.of("db-rw", apart, APART_SECONDS) == set()
