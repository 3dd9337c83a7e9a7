"""A full ledger fits into one object, whatever its pods are called, and small ones stay readable."""

import base64
from uuid import UUID

import pytest

from poolbudget.ledger.codec import LedgerCorruptError, decode, encode
from poolbudget.ledger.model import MOST_ENTRIES, Reservation
from poolbudget.ledger.packing import PACKED_KEY, pack, unpack
from poolbudget.planning.model import WorkloadKey
from tests.unit.ledger_builders import ledger, reservation

OBJECT_BYTES = 1024 * 1024
"""The most that the API server takes in one ConfigMap."""
LONG = "n" * 63


def digits(number: int) -> str:
    """Return 16 bytes that do not compress, the same at every run."""
    return f"{pow(7, number + 99, 2**128 - 159):032x}"


def longest(number: int) -> Reservation:
    """Return an entry with the longest names that controllers make: generated pod names have at most 63 characters."""
    text = digits(number)
    address = ":".join(text[at : at + 4] for at in range(0, 32, 4))
    pod = f"{'p' * 47}-{text[:9]}-{text[9:14]}"
    workload = WorkloadKey(LONG, LONG, LONG)
    return Reservation(str(UUID(text)), 1_000_000, LONG, pod, workload, f"{text[::-1]}.{'d' * 30}", address)


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
