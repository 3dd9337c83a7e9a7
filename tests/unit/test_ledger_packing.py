"""A full ledger fits into one object, whatever its pods are called, and small ones stay readable."""

import base64

import pytest

from poolbudget.ledger.codec import LedgerCorruptError, decode, encode
from poolbudget.ledger.model import MOST_ENTRIES
from poolbudget.ledger.packing import PACKED_KEY, pack, unpack
from tests.unit.ledger_builders import ledger, longest, reservation

OBJECT_BYTES = 1024 * 1024
"""The most that the API server takes in one ConfigMap."""
FULL = ledger(*map(longest, range(MOST_ENTRIES)))


def test_a_full_ledger_of_the_longest_names_fits_into_one_object() -> None:
    packed = pack(encode(FULL))
    assert len(base64.b64decode(packed["binaryData"][PACKED_KEY])) < OBJECT_BYTES
    assert packed["data"] == {}
    assert decode(unpack(packed)) == FULL


def test_a_small_ledger_is_written_as_people_can_read_it() -> None:
    lines = encode(ledger(reservation()))
    assert pack(lines) == {"data": lines, "binaryData": {}}


def test_equal_ledgers_are_written_equally() -> None:
    assert pack(encode(FULL)) == pack(encode(dict(reversed(FULL.items()))))


def test_a_line_that_a_person_added_counts_beside_the_packed_ones() -> None:
    by_hand = ledger(reservation())
    stored = pack(encode(FULL)) | {"data": encode(by_hand)}
    assert decode(unpack(stored)) == FULL | by_hand


@pytest.mark.parametrize("stored", [{}, {"data": None}, {"data": {}, "binaryData": {}}], ids=str)
def test_an_object_without_lines_is_an_empty_ledger(stored: dict[str, dict[str, str]]) -> None:
    assert unpack(stored) == {}


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param("%", id="no base64"),
        pytest.param(base64.b64encode(b"plain").decode(), id="not compressed"),
        pytest.param(pack(encode(FULL))["binaryData"][PACKED_KEY][:4000], id="cut off"),
    ],
)
def test_what_cannot_be_read_stops_everything_and_is_named(packed: str) -> None:
    with pytest.raises(LedgerCorruptError, match=r"ledger\.gz"):
        unpack({"binaryData": {PACKED_KEY: packed}})
