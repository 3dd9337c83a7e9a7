"""What is read of the objects that caches list and watch: above all not their `managedFields`.

Those are often the larger half of an object: the decoders skip them, so that they cost neither time nor memory.
`observe.watch` hands these decoders to `kube`.
"""

from typing import Any, TypedDict

from msgspec.json import Decoder


class Metadata(TypedDict, total=False):
    """Who an object is, in which state, and whose."""

    name: str
    namespace: str
    uid: str
    resourceVersion: str
    generation: int
    creationTimestamp: str | None
    deletionTimestamp: str | None
    deletionGracePeriodSeconds: int | None
    labels: dict[str, str] | None
    annotations: dict[str, str] | None
    ownerReferences: list[dict[str, Any]] | None


class Object(TypedDict, total=False):
    """An object of a kind with spec and status; `code`, `reason` and `message` are those of a Status."""

    apiVersion: str
    kind: str
    metadata: Metadata
    spec: Any
    status: Any
    code: int
    reason: str
    message: str


class Page(TypedDict):
    """One page of a list; its metadata has `continue` unless it is the last."""

    metadata: dict[str, Any]
    items: list[Object]


class WatchEvent(TypedDict):
    """One change, or an ERROR with a Status."""

    type: str
    object: Object


PAGE: Decoder[Any] = Decoder(Page)
WATCH_EVENT: Decoder[Any] = Decoder(WatchEvent)
