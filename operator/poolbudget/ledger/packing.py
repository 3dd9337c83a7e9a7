r"""How the lines of a ledger are put into a ConfigMap: as they are, or compressed where they are many.

`act.ledger` and `cli.forget` use it around `ledger.codec`. An object may hold 1 MiB, which 5,000 lines exceed; it is
also written as a whole with every grant, and small objects are written faster. To read a compressed one:

    kubectl -n poolbudget-system get cm NAME -o jsonpath='{.binaryData.ledger\.gz}' | base64 -d | gunzip
"""

import base64
import gzip
import zlib
from collections.abc import Mapping
from typing import Any

from poolbudget.ledger.codec import LedgerCorruptError

MOST_PLAIN_CHARACTERS = 128 * 1024
"""About 500 pods; people read these most."""
PACKED_KEY = "ledger.gz"
FASTEST = 1


def pack(lines: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return `data` and `binaryData` of the ConfigMap, one of them empty."""
    if sum(len(uid) + len(line) for uid, line in lines.items()) <= MOST_PLAIN_CHARACTERS:
        return {"data": dict(lines), "binaryData": {}}
    text = "".join(f"{uid}: {line}\n" for uid, line in lines.items())
    packed = base64.b64encode(gzip.compress(text.encode(), FASTEST, mtime=0)).decode()
    return {"data": {}, "binaryData": {PACKED_KEY: packed}}


def unpack(stored: Mapping[str, Any]) -> dict[str, str]:
    """Return the lines of a ConfigMap; those that a person added in `data` count, too.

    Raises `LedgerCorruptError` for what cannot be read: nothing that it may hold is forgotten.
    """
    packed = (stored.get("binaryData") or {}).get(PACKED_KEY)
    return (_unpacked(packed) if packed else {}) | (stored.get("data") or {})


def _unpacked(packed: str) -> dict[str, str]:
    try:
        text = gzip.decompress(base64.b64decode(packed, validate=True)).decode()
        return dict(line.split(": ", 1) for line in text.splitlines())
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise LedgerCorruptError(f"binaryData {PACKED_KEY}: {error}") from error
