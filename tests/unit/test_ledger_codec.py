"""The ledger as it is written down."""

import pytest

from poolbudget.ledger.codec import LedgerCorruptError, decode, decode_poolers, encode, encode_poolers
from poolbudget.planning.model import BudgetKey
from tests.unit.ledger_builders import ledger, reservation

LINE = "4 shop/api-1 shop/orders/api worker 10.0.0.1"


def test_the_boot_of_the_node_is_noted_for_a_pod_that_vanished() -> None:
    assert encode(ledger(reservation(boot="uid-boot"))) == {"api-1": f"{LINE} uid-boot"}


def test_a_reservation_is_one_line_that_people_can_read() -> None:
    assert encode(ledger(reservation())) == {"api-1": LINE}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(reservation(), id="with node and address"),
        pytest.param(reservation(node="", address=""), id="before it is scheduled"),
        pytest.param(reservation(connections=0), id="of nothing"),
        pytest.param(reservation(boot="uid-boot"), id="of a pod that vanished"),
        pytest.param(reservation(address="fd00::7"), id="with an IPv6 address"),
    ],
)
def test_what_is_written_is_read_again(entry: object) -> None:
    written = ledger(entry)  # type: ignore[arg-type]
    assert decode(encode(written)) == written


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("", id="nothing"),
        pytest.param("many shop/api-1 shop/orders/api worker -", id="no number"),
        pytest.param("-1 shop/api-1 shop/orders/api worker -", id="a negative number"),
        pytest.param("4 api-1 shop/orders/api worker -", id="no namespace"),
        pytest.param("4 shop/api-1 orders/api worker -", id="no budget"),
        pytest.param("4 shop/api-1 shop/orders/api worker", id="a field too few"),
        pytest.param(f"{LINE} boot more", id="a field too many"),
    ],
)
def test_a_line_that_cannot_be_read_stops_everything_and_is_named(line: str) -> None:
    with pytest.raises(LedgerCorruptError, match="entry api-2"):
        decode({"api-1": LINE, "api-2": line})


def test_what_poolers_are_charged_is_read_again() -> None:
    charged = {BudgetKey("shop", "orders"): 40, BudgetKey("shop", "stock"): 8}
    assert encode_poolers(charged) == "shop/orders=40 shop/stock=8"
    assert decode_poolers(encode_poolers(charged)) == charged
    assert decode_poolers("") == {}


@pytest.mark.parametrize("text", ["orders=40", "shop/orders", "shop/orders=many", "shop/orders=40 /=1"])
def test_a_charge_that_cannot_be_read_stops_everything_and_is_named(text: str) -> None:
    with pytest.raises(LedgerCorruptError, match="namespace/budget=number"):
        decode_poolers(text)
