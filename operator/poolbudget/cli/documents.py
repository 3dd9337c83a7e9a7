"""Read YAML and JSON from files, directories and stdin, as a list of documents that know where they stand.

`cli.manifests` sorts the documents by kind. What is not readable is a `Problem`: one line with the file, the place
and what to do about it.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from poolbudget.cli.nodes import NodeError, check_node, checked_events

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"

# libyaml parses about ten times as fast as Python does; PyYAML has it wherever wheels exist.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands: the file, and which document of it, from 1; `item` counts within a List.

    `line` is where the document begins, from 1.
    """

    file: str
    document: int
    item: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        item = f" item {self.item}" if self.item is not None else ""
        return f"{self.file}: document {self.document}{item}"


@dataclass(frozen=True, slots=True)
class Document:
    """One object of the input."""

    place: Place
    content: Mapping[str, Any]


class Problem(Exception):  # noqa: N818 - one line for the user, collected and printed together
    """Something in the input that the user must change; the text is one line.

    `file` and `line` say where, as far as it is known.
    """

    def __init__(self, text: str, file: str | None = None, line: int | None = None) -> None:
        super().__init__(text)
        self.file = file
        self.line = line


def read(paths: Iterable[str]) -> Iterator[Document | Problem]:
    """Yield every object of the input in order: directories sorted by name, `List` objects taken apart."""
    for path in paths:
        try:
            files = _files(path)
        except Problem as problem:
            yield problem
            continue
        for file in files:
            yield from _read_file(file)


def display_name(path: str) -> str:
    """Return how messages name a path."""
    return "stdin" if path == STDIN else path


def _files(path: str) -> list[str]:
    if path == STDIN or not Path(path).is_dir():
        return [path]
    found = sorted(str(file) for file in Path(path).iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise Problem(f"{path}: holds no {', '.join(SUFFIXES)} file: name a directory with manifests, or files")
    return found


def _read_file(file: str) -> Iterator[Document | Problem]:
    name = display_name(file)
    try:
        text = _text(file, name)
        documents = _json(text, name) if text.lstrip().startswith("{") else _yaml(text, name)
        for index, (line, content) in enumerate(documents, start=1):
            yield from _objects(content, Place(name, index, line=line))
    except Problem as problem:
        yield problem


def _text(file: str, name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise Problem(f"{name}: cannot be read: {error.strerror}", name) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(f"{name}: is not text in UTF-8 (byte {error.start}): write YAML or JSON", name) from error


def _json(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """Yield the one document of a JSON file, with its line; YAML that only begins like JSON is read as YAML."""
    try:
        yield 1, json.loads(text, object_pairs_hook=_unique)
    except NodeError as error:
        raise Problem(f"{name}: document 1: {error}", name) from error
    except RecursionError as error:
        raise Problem(f"{name}: document 1: is nested too deeply", name) from error
    except ValueError:
        yield from _yaml(text, name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise NodeError(f"the field {twice!r} stands twice in one object: remove one")
    return found


def _yaml(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """Yield every document with the line at which it begins."""
    index = 0
    try:
        for event in checked_events(yaml.parse(text, Loader=Loader)):
            index += isinstance(event, yaml.DocumentStartEvent)
        index = 0
        loader = Loader(text)
        try:
            while loader.check_node():
                index += 1
                node: Any = loader.get_node()
                check_node(node)
                yield node.start_mark.line + 1, _value(loader, node)
        finally:
            loader.dispose()
    except NodeError as error:
        raise Problem(f"{name}: document {index}: {error}", name) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1} column {mark.column + 1}:" if mark else ""
        message = f"{name}: document {max(index, 1)}:{where} is not YAML: {_yaml_message(error, text)}"
        raise Problem(message, name, mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise Problem(f"{name}: is not YAML: {' '.join(str(error).split())}", name) from error


def _value(loader: Any, node: yaml.Node) -> Any:
    try:
        return loader.construct_document(node)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # What PyYAML lets pass of the conversions that a tag asks for.
        raise NodeError(f"holds a value that is not of its kind, such as a date or a tagged one: {error}") from error


def _yaml_message(error: yaml.MarkedYAMLError, text: str) -> str:
    message = " ".join(part for part in (error.context, error.problem) if part)
    # Marks of the C parser hold no text of their own.
    at = error.problem_mark.line if error.problem_mark else 0
    tabbed = any(line.startswith("\t") for line in text.split("\n")[at : at + 1])
    return f"{message}; indent with spaces, never with tabs" if tabbed else message


def _objects(content: Any, place: Place) -> Iterator[Document | Problem]:
    """Yield the objects of a document; an empty document has none."""
    if content is None:
        return
    if not isinstance(content, Mapping):
        shape = "a list" if isinstance(content, list) else "a single value"
        message = f"{place}: is {shape}, no Kubernetes object: write apiVersion, kind, metadata and spec"
        yield Problem(message, place.file, place.line)
        return
    kind, items = content.get("kind"), content.get("items")
    if not (isinstance(kind, str) and kind.endswith("List")):
        yield Document(place, content)
    elif isinstance(items, list):
        for index, item in enumerate(items, start=1):
            yield from _objects(item, replace(place, item=index))
    else:
        yield Problem(f"{place}: {kind}: items: must be a list of objects", place.file, place.line)
