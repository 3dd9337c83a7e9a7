"""The demo's figures are put together right, and its verdict fails when it should."""

from dataclasses import replace
from typing import Any

import pytest

from examples.demo.outcome import Measurement, Sighting, Wait, complaints, measurement, table, waits_of

HELD = Measurement(
    seconds=41.7,
    ok=3000,
    refused=0,
    failures={},
    slowest_p99_ms=812.4,
    refused_logins=0,
    usable=50,
    peak=36,
    charged=35,
    samples=800,
    over=0,
    waits=(Wait("api-b", 2.04, (("NoRoom", "needs 4, free 2; api-a holds 6"),)),),
)
OUTGROWN = replace(
    HELD,
    ok=1000,
    refused=70,
    failures={"too_many_clients": 70, "TimeoutError": 2},
    refused_logins=75,
    peak=60,
    charged=57,
    over=600,
    waits=(),
)


def load(**values: Any) -> dict[str, Any]:
    return {"ok": 0, "too_many_clients": 0, "p99_ms": None, "failures": {}, **values}


def test_the_loads_are_added_up_and_the_slower_one_is_shown() -> None:
    loads = [
        load(ok=10, too_many_clients=2, p99_ms=80.0, failures={"too_many_clients": 2, "TimeoutError": 1}),
        load(ok=5, p99_ms=90.0, failures={"TimeoutError": 1}),
    ]
    sampler = {"usable": 50, "peak": 40, "peak_charged": 38, "samples": 9, "over_usable": 0}
    got = measurement(seconds=3.0, loads=iter(loads), sampler=sampler, refused_logins=4, waits=())
    assert (got.ok, got.refused, got.failed_otherwise, got.slowest_p99_ms, got.refused_logins) == (15, 2, 2, 90.0, 4)
    assert (got.usable, got.peak, got.charged, got.samples, got.over) == (50, 40, 38, 9, 0)


def test_a_load_without_one_answer_has_no_percentile() -> None:
    sampler = {"usable": 50, "peak": 0, "peak_charged": 0, "samples": 1, "over_usable": 0}
    got = measurement(seconds=3.0, loads=[load()], sampler=sampler, refused_logins=0, waits=())
    assert got.slowest_p99_ms is None
    assert "slowest answers, p99 in ms" in table(got, got)


def test_the_table_stands_side_by_side_and_names_who_waited_for_what() -> None:
    lines = table(OUTGROWN, HELD).splitlines()
    rows = {line[:39].strip(): line[39:].split() for line in lines[2:14]}
    assert rows["per second"] == ["24", "72"]
    assert rows["requests failed"] == ["72", "0"]
    assert rows["refused: too many clients"] == ["70", "0"]
    assert rows["for another reason"] == ["2", "0"]
    assert rows["peak backends against usable"] == ["57", "of", "50", "35", "of", "50"]
    assert rows["samples above usable"] == ["600", "of", "800", "0", "of", "800"]
    assert len({len(line) for line in lines[:14]}) == 1, "the columns are not aligned"
    assert "  TimeoutError: 2 and 0" in lines
    assert lines[-2:] == ["  api-b, 2.0 s", "    NoRoom: needs 4, free 2; api-a holds 6"]


def test_only_pods_that_were_told_to_wait_count_and_each_message_once() -> None:
    sightings = [
        Sighting(0.0, "quick", gated=True, reason="", message=""),
        Sighting(0.1, "quick", gated=False, reason="", message=""),
        Sighting(1.0, "slow", gated=True, reason="", message=""),
        Sighting(1.1, "slow", gated=True, reason="NoRoom", message="needs 4"),
        Sighting(2.0, "slow", gated=True, reason="NoRoom", message="needs 4"),
        Sighting(3.5, "slow", gated=False, reason="NoRoom", message="needs 4"),
        Sighting(9.0, "slow", gated=False, reason="Granted", message=""),
        Sighting(4.0, "never", gated=True, reason="NoRoom", message="needs 9"),
        Sighting(7.0, "never", gated=True, reason="NoRoom", message="needs 9"),
    ]
    slow, never = (("NoRoom", "needs 4"),), (("NoRoom", "needs 9"),)
    assert waits_of(sightings) == (Wait("slow", 2.5, slow), Wait("never", 3.0, never))


def test_what_held_has_no_complaint() -> None:
    assert complaints(HELD) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"over": 1, "charged": 51}, "1 of 800 samples were above usable: 51 of 50"),
        ({"refused": 3}, "3 requests were refused a connection"),
        ({"refused_logins": 2}, "Postgres refused 2 logins"),
        ({"samples": 0}, "the sampler saw nothing, so nothing is shown"),
        ({"ok": 0}, "no request was answered, so nothing is shown"),
    ],
    ids=["a sample above usable", "a refused request", "a refused login", "no sample", "no answer"],
)
def test_the_verdict_complains_of(change: dict[str, int], complaint: str) -> None:
    assert complaints(replace(HELD, **change)) == [complaint]  # type: ignore[arg-type]
