"""At which addresses no session has been for long enough."""

import pytest

from poolbudget.ledger.books import PoolerPod
from poolbudget.ledger.model import Pod
from poolbudget.ledger.sightings import Sightings
from tests.unit.ledger_builders import running

GONE = "10.0.0.9"
NODE = "192.168.0.1"
OWN = (PoolerPod("10.0.0.1", NODE, 4),)
SETTLE = 10.0


@pytest.mark.parametrize(
    ("backends", "own", "settles"),
    [
        pytest.param({"10.0.0.1": 1}, (running(host=NODE),), True, id="a pod of a workload is seen"),
        pytest.param({"10.0.0.5": 4}, (PoolerPod("10.0.0.5", NODE, 4),), True, id="a pod of the pooler is seen"),
        pytest.param({"10.0.0.7": 4}, OWN, False, id="only a stranger is seen"),
        pytest.param({NODE: 4}, OWN, False, id="addresses are translated to those of nodes"),
        pytest.param({NODE: 4}, (running(address=NODE, host=NODE),), False, id="a pod has its node's address"),
        pytest.param(
            {"": 1}, (running(address="", host=NODE),), False, id="a local session is none of a pod without an address"
        ),
        pytest.param({}, OWN, False, id="nobody is connected"),
    ],
)
def test_an_address_settles_only_where_the_database_shows_addresses_of_pods(
    backends: dict[str, int], own: tuple[Pod | PoolerPod, ...], settles: bool
) -> None:
    sightings = Sightings(SETTLE)
    sightings.enter(backends, own, [GONE], now=100.0)
    assert sightings.enter(backends, own, [GONE], now=100.0 + SETTLE).settled == ({GONE} if settles else set())


def test_what_was_seen_of_pods_once_holds_while_none_is_connected() -> None:
    sightings = Sightings(SETTLE)
    sightings.enter({"10.0.0.1": 1}, OWN, [GONE], now=0.0)
    assert sightings.enter({}, (), [GONE], now=SETTLE).settled == {GONE}


def test_what_an_earlier_operator_saw_of_pods_holds_although_none_is_left() -> None:
    sightings = Sightings(SETTLE)
    sightings.shows_pods = True
    sightings.enter({}, (), [GONE], now=0.0)
    assert sightings.enter({}, (), [GONE], now=SETTLE).settled == {GONE}


@pytest.mark.parametrize(
    ("readings", "settled"),
    [
        pytest.param([(0.0, {}), (9.9, {})], False, id="not yet"),
        pytest.param([(0.0, {}), (10.0, {})], True, id="through the settle time"),
        pytest.param([(0.0, {}), (5.0, {GONE: 1}), (14.9, {})], False, id="seen again meanwhile"),
        pytest.param([(0.0, {}), (5.0, {GONE: 1}), (15.0, {})], True, id="as long since it was seen last"),
        pytest.param([(0.0, {}), (5.0, None), (10.0, {})], False, id="the server could not be read meanwhile"),
        pytest.param([(0.0, {}), (5.0, None), (10.0, {}), (20.0, {})], True, id="as long since it can be read again"),
    ],
)
def test_an_address_settles_when_it_shows_nothing_all_through_the_settle_time(
    readings: list[tuple[float, dict[str, int] | None]], settled: bool
) -> None:
    sightings, sessions = Sightings(SETTLE), None
    for now, backends in readings:
        if backends is None:
            sightings.interrupt()
        else:
            sessions = sightings.enter({"10.0.0.1": 1, **backends}, OWN, [GONE], now)
    assert sessions is not None
    assert (GONE in sessions.settled) is settled
