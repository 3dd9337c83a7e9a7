"""Read fields of an object that others wrote: a wrong type is an error that names the field and says what to write."""

from collections.abc import Mapping
from typing import Any

MOST_COUNT = 2**31 - 1
"""Counts of the API are int32."""


class FieldError(ValueError):
    """A field of a manifest is not what it must be.

    `path` is where, such as spec.replicas; the text says what to write.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path} {message}")
        self.path = path
        self.message = message


def at(manifest: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a dotted path, None where some part of it is not there."""
    value: Any = manifest
    names = path.split(".")
    for depth, name in enumerate(names):
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise FieldError(".".join(names[:depth]), f"must be an object with named fields, not {said(value)}")
        value = value.get(name)
    return value


def mapping(manifest: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return the object at a path, which must be there."""
    value = at(manifest, path)
    if not isinstance(value, Mapping):
        raise FieldError(path, f"must be an object with named fields, not {said(value)}")
    return value


def count(manifest: Mapping[str, Any], path: str, default: int | None) -> int:
    """Return a whole number as the API server takes it, of at least 0; without a default it must be there."""
    value = at(manifest, path)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_COUNT:
        raise FieldError(path, f"must be a whole number from 0 to {MOST_COUNT}, without quotes, not {said(value)}")
    return value


def text(fields: Mapping[str, Any], name: str, default: str, path: str) -> str:
    """Return a string; an empty default means that it must be there."""
    value = fields.get(name)
    if value is None and default:
        return default
    if not isinstance(value, str) or not value:
        raise FieldError(path, f"must be a text, in quotes if it reads as a number, not {said(value)}")
    return value


def said(value: object) -> str:
    """Return how a message shows a value: as YAML would, and short."""
    if value is None:
        return "nothing"
    shown = "a list" if isinstance(value, list) else "an object" if isinstance(value, Mapping) else repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
