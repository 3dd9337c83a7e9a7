"""Check the shape of a pod template before `detection.podspec` reads it.

The API server refuses such templates; in a manifest they are still possible. `planning.targets` calls `check_template`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from poolbudget.planning.fields import FieldError, said


def check_template(template: Any, path: str, unnamed: str | None = None) -> None:
    """Raise FieldError for what the API server would refuse in the part of a template that is read.

    `unnamed` is the name of containers without one, where they may do without.
    """
    spec = _object(_object(template, path).get("spec") or {}, f"{path}.spec")
    metadata = _object(template.get("metadata") or {}, f"{path}.metadata")
    _object(metadata.get("labels") or {}, f"{path}.metadata.labels")
    annotations = _object(metadata.get("annotations") or {}, f"{path}.metadata.annotations")
    for name, value in annotations.items():
        _text(value, f"{path}.metadata.annotations[{name}]")
    for group in ("containers", "initContainers"):
        for where, container in _objects(spec.get(group), f"{path}.spec.{group}"):
            _check_container({"name": unnamed, **container}, where)


def _check_container(container: Mapping[str, Any], path: str) -> None:
    _text(container.get("name"), f"{path}.name")
    _text(container.get("image") or "", f"{path}.image")
    for part in ("command", "args"):
        for index, word in enumerate(_list(container.get(part), f"{path}.{part}")):
            _text(word, f"{path}.{part}[{index}]")
    for where, variable in _objects(container.get("env"), f"{path}.env"):
        _text(variable.get("name"), f"{where}.name")
        _text(variable.get("value") or "" if variable.get("value") is None else variable["value"], f"{where}.value")
        source = _object(variable.get("valueFrom") or {}, f"{where}.valueFrom")
        field = _object(source.get("fieldRef") or {}, f"{where}.valueFrom.fieldRef")
        _text(field.get("fieldPath") or "", f"{where}.valueFrom.fieldRef.fieldPath")


def _objects(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, item in enumerate(_list(value, path)):
        yield f"{path}[{index}]", _object(item, f"{path}[{index}]")


def _list(value: Any, path: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise FieldError(path, f"must be a list, not {said(value)}")
    return value or []


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FieldError(path, f"must be an object with named fields, not {said(value)}")
    return value


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise FieldError(path, f"must be a text: write it in quotes, not {said(value)}")
