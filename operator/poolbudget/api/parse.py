"""Reads a PoolBudget manifest, and says in one line per problem what to write instead.

The operator, the webhook and `poolbudget plan` call `parse_budget`; next they plan by the spec. Problems have the words
that the API server uses when it refuses the same manifest, so that offline and online read alike.
"""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from poolbudget.api.rules import ERROR_TYPE, Broken
from poolbudget.api.schema import Schema, structural
from poolbudget.api.spec import NAME_RULE, PoolBudgetSpec


class Problem(NamedTuple):
    """What is wrong at one place of a manifest; `path` is written like `spec.workloads[1].demand`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SpecError(ValueError):
    """A manifest that is no valid PoolBudget."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def parse_budget(manifest: Mapping[str, Any]) -> PoolBudgetSpec:
    """Return the spec of a PoolBudget manifest, as YAML or the API server gives it.

    Raises `SpecError` with every problem that was found. As at the API server, a field that is null counts as absent.
    """
    problems = list(_name_problems(manifest.get("metadata")))
    spec = manifest.get("spec")
    if spec is None:
        raise SpecError([*problems, Problem("spec", "Required value")])
    try:
        parsed = PoolBudgetSpec.model_validate(_without_nulls(spec), by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise SpecError([*problems, *(problem for detail in details for problem in _problems(detail))]) from None
    if problems:
        raise SpecError(problems)
    return parsed


def _name_problems(metadata: object) -> Iterator[Problem]:
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if isinstance(name, str) and not NAME_RULE.holds(name):
        yield Problem("metadata.name", NAME_RULE.message)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value


def _problems(detail: ErrorDetails) -> Iterator[Problem]:
    """Yield what one error of pydantic says, in the words of the API server."""
    path = _path(detail["loc"])
    if detail["type"] == ERROR_TYPE:
        broken: list[Broken] = detail["ctx"]["broken"]
        for field, message in broken:
            yield Problem(_join(path, field), message)
        return
    phrase = _PHRASES.get(detail["type"])
    yield Problem(path, phrase(detail) if phrase else detail["msg"])


def _path(loc: Sequence[int | str]) -> str:
    path = "spec"
    for step in loc:
        path = _join(path, f"[{step}]" if isinstance(step, int) else _short(step))
    return path


def _join(path: str, step: str) -> str:
    return path + step if step.startswith("[") or not step else f"{path}.{step}"


@cache
def _schema() -> Schema:
    return structural(PoolBudgetSpec)


def _schema_at(loc: Sequence[int | str]) -> Schema:
    schema = _schema()
    for step in loc:
        parts = schema.get("properties", {})
        schema = schema["items"] if isinstance(step, int) else parts.get(step) or schema.get("additionalProperties", {})
    return schema


def _unknown_field(detail: ErrorDetails) -> str:
    *parent, field = detail["loc"]
    known = list(_schema_at(parent).get("properties", {}))
    return "unknown field" + (_did_you_mean(str(field), known) or f"; known are {', '.join(known)}")


def _unsupported(detail: ErrorDetails) -> str:
    allowed: list[str] = _schema_at(detail["loc"])["enum"]
    value = detail["input"]
    if value is False and "Off" in allowed:
        return 'must be text: write "Off" in quotes, since YAML reads a bare Off as false'
    supported = ", ".join(json.dumps(choice) for choice in allowed)
    return f"Unsupported value: {_show(value)}: supported values: {supported}{_did_you_mean(str(value), allowed)}"


def _did_you_mean(word: str, choices: Sequence[str]) -> str:
    by_lower = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(word.lower().replace("_", ""), by_lower, n=1)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def _whole_number(detail: ErrorDetails) -> str:
    value = detail["input"]
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        return f"must be a whole number; write {value.strip()}, without quotes"
    return f"must be a whole number, such as 20, not {_show(value)}"


def _text(detail: ErrorDetails) -> str:
    value = detail["input"]
    return "must be text" + ("" if isinstance(value, list | Mapping) else f"; write {_show(str(value))}, in quotes")


def _show(value: object) -> str:
    return _short(json.dumps(value, default=str))


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def _limit(words: str) -> Callable[[ErrorDetails], str]:
    """Return the phrase that fills `words` with the limits of the error."""
    return lambda detail: f"Invalid value: {_show(detail['input'])}: should {words.format_map(detail['ctx'])}"


def _size(words: str) -> Callable[[ErrorDetails], str]:
    return lambda detail: f"should {words.format_map(detail['ctx'])}"


_PHRASES: Mapping[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda _: "Required value",
    "extra_forbidden": _unknown_field,
    "enum": _unsupported,
    "literal_error": _unsupported,
    "int_type": _whole_number,
    "int_from_float": _whole_number,
    "string_type": _text,
    "bool_type": lambda detail: f"must be true or false, without quotes, not {_show(detail['input'])}",
    "list_type": lambda detail: f"must be a list, not {_show(detail['input'])}",
    "dict_type": lambda detail: f"must be a mapping of fields, not {_show(detail['input'])}",
    "model_type": lambda detail: f"must be a mapping of fields, not {_show(detail['input'])}",
    "greater_than_equal": _limit("be greater than or equal to {ge}"),
    "less_than_equal": _limit("be less than or equal to {le}"),
    "string_too_short": _size("be at least {min_length} chars long"),
    "string_too_long": _size("be at most {max_length} chars long"),
    "too_short": _size("have at least {min_length} items"),
    "too_long": _size("have at most {max_length} items"),
}
