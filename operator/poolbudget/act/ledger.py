"""The ledger's object: a ConfigMap for each server, in the operator's namespace.

Every write carries the resourceVersion that the decision was made on. So of two operators that both believe to lead,
one writes and the other learns that its picture is old; nothing is granted on a ledger that was not written.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from poolbudget.kube import METADATA_ONLY, ApiError, Kube
from poolbudget.ledger.codec import decode, decode_poolers, encode, encode_poolers
from poolbudget.ledger.model import Ledger, Noted
from poolbudget.ledger.packing import pack, unpack
from poolbudget.planning.model import BudgetKey, Observed

CONFIRM_SECONDS = 5.0
LABEL = "poolbudget.dev/ledger"
SERVER_ANNOTATION = "poolbudget.dev/server"
CAPACITY_ANNOTATION = "poolbudget.dev/capacity"
"""What the server was last believed to have: max_connections, and how many of them it keeps for itself."""

ADDRESSES_ANNOTATION = "poolbudget.dev/addresses"
"""There once the server has shown a pod at the pod's own address: then one that shows nothing tells something."""

ADDRESSES_SEEN = "seen"

POOLERS_ANNOTATION = "poolbudget.dev/poolers"
"""What the poolers that the operator runs are charged: all that their pods may open, or may still hold."""


class LedgerConflictError(Exception):
    """Somebody else wrote the ledger, or our write may or may not have arrived: decide anew on what is there."""


async def servers_with_ledger(kube: Kube, namespace: str) -> list[str]:
    """Return the servers for which a ledger exists, whether or not a budget still names them."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    return [
        ledger["metadata"]["annotations"][SERVER_ANNOTATION]
        async for page in kube.pages(path, labelSelector=LABEL)
        for ledger in page["items"]
    ]


class LedgerStore:
    """Reads and writes the ledger of one server; the only writer of this process."""

    def __init__(self, kube: Kube, namespace: str, server: str) -> None:
        self._kube, self._server = kube, server
        self._collection = f"/api/v1/namespaces/{namespace}/configmaps"
        self.name = f"poolbudget-ledger-{hashlib.sha256(server.encode()).hexdigest()[:16]}"
        self._version: str | None = None
        self._known: Ledger | None = None
        self.noted = Noted()
        self.poolers: Mapping[BudgetKey, int] = {}
        self._confirmed_at = 0.0

    def charges(self, budget: BudgetKey) -> bool:
        """Whether the ledger, as far as it is known, holds a pod of the budget."""
        return any(entry.workload.budget_key == budget for entry in (self._known or {}).values())

    async def read(self) -> Ledger:
        """Return the ledger; ask the API server (quorum) after a doubt, and regularly: people edit it, too."""
        if self._known is None or time.monotonic() - self._confirmed_at >= CONFIRM_SECONDS:
            try:
                await self._confirm()
            except ApiError as error:
                if error.status != 404:
                    raise
                # Deleted by a person: what we know goes on to hold, and is written anew.
                self._version, self._known, self._confirmed_at = None, self._known or {}, time.monotonic()
        return self._known or {}

    async def write(
        self,
        ledger: Ledger,
        noted: Noted | None = None,
        poolers: Mapping[BudgetKey, int] | None = None,
    ) -> None:
        """Replace the ledger if it is still what `read` gave; else, or in doubt, raise `LedgerConflictError`.

        What is `noted` goes with it, for the operator to come, and so does what `poolers` are charged; None leaves what
        is there.
        """
        noted = noted or self.noted
        poolers = self.poolers if poolers is None else poolers
        is_noted = (noted, poolers) == (self.noted, self.poolers)
        nothing_new = not ledger and not poolers if self._version is None else is_noted
        if ledger == self._known and nothing_new:
            return
        known, self._known = self._known, None
        try:
            if self._version is None:
                written = await self._kube.post(
                    self._collection, self._object(ledger, noted, poolers), accept=METADATA_ONLY
                )
            else:
                written = await self._kube.put(self._path, self._object(ledger, noted, poolers), accept=METADATA_ONLY)
        except ApiError as error:
            if error.status == 404:  # deleted by a person: what we know goes on to hold, and is written anew
                self._version, self._known = None, known
            if error.status in {404, 409} or error.outcome_is_unknown:
                raise LedgerConflictError(str(error)) from error
            self._known = known
            raise
        self._remember(ledger, written["metadata"])

    async def remove(self) -> None:
        """Delete the object of an empty ledger."""
        if self._version is None:
            return
        try:
            await self._kube.delete(self._path, {"preconditions": {"resourceVersion": self._version}})
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
        self._version, self._known = None, {}

    def _object(self, ledger: Ledger, noted: Noted, poolers: Mapping[BudgetKey, int]) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "name": self.name,
            "labels": {LABEL: "true"},
            "annotations": {SERVER_ANNOTATION: self._server},
        }
        if noted.capacity is not None:
            believed = f"{noted.capacity.max_connections} {noted.capacity.reserved}"
            metadata["annotations"][CAPACITY_ANNOTATION] = believed
        if noted.shows_pods:
            metadata["annotations"][ADDRESSES_ANNOTATION] = ADDRESSES_SEEN
        if poolers:
            metadata["annotations"][POOLERS_ANNOTATION] = encode_poolers(poolers)
        if self._version is not None:
            metadata["resourceVersion"] = self._version
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **pack(encode(ledger))}

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self.name}"

    async def _confirm(self) -> None:
        """Read the object, unless it is still of the version that we know: most of the time it is."""
        if self._known is not None and self._version is not None:
            metadata = await self._kube.metadata(self._path)
            if metadata["resourceVersion"] == self._version:
                self._confirmed_at = time.monotonic()
                return
        stored = await self._kube.get(self._path)
        self._remember(decode(unpack(stored)), stored["metadata"])

    def _remember(self, ledger: Ledger, metadata: Mapping[str, Any]) -> None:
        annotations = metadata.get("annotations", {})
        self.poolers = decode_poolers(annotations.get(POOLERS_ANNOTATION, ""))
        self._known = ledger
        shows_pods = annotations.get(ADDRESSES_ANNOTATION) == ADDRESSES_SEEN
        self.noted = Noted(_noted_capacity(annotations.get(CAPACITY_ANNOTATION, "")), shows_pods)
        self._version = metadata["resourceVersion"]
        self._confirmed_at = time.monotonic()


def _noted_capacity(text: str) -> Observed | None:
    """Read what `write` noted; None where a person made something else of it."""
    words = text.split()
    return Observed(*map(int, words)) if len(words) == 2 and all(map(str.isdecimal, words)) else None
