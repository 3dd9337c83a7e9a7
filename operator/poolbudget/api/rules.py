"""Rules that a resource must keep, each stated once for both places that enforce it.

`Rule` pairs a CEL expression, which `api.crd` writes into the CustomResourceDefinition, with the same test in Python,
which pydantic runs offline; both give the same sentence. The models of `api` declare their rules, and `api.parse`
reports the broken ones. Next: the API server refuses, or `parse_budget` raises `SpecError`.
"""

import ast
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

ERROR_TYPE = "rule"
VALIDATIONS = "x-kubernetes-validations"

COMPACT = (",", ":")

T = TypeVar("T")


class Broken(NamedTuple):
    """A rule that does not hold: the field it speaks of, relative to the value that was tested, and what to write."""

    field: str
    message: str


@dataclass(frozen=True)
class Rule:
    """What a value must keep.

    `cel` is the expression over `self`, see https://kubernetes.io/docs/reference/using-api/cel/; `holds` is the same in
    Python. `message` says what to write. `field` names the field of `self` to blame, where that is not the whole value.
    A rule is listed in `Model.rules`, or stands in the `Annotated` of a scalar or list.
    """

    cel: str
    holds: Callable[[Any], bool]
    message: str
    field: str = ""

    def validation(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message}
        return entry | {"fieldPath": f".{self.field}"} if self.field else entry

    def check(self, value: Any) -> Any:
        """Return `value`, or raise an error that carries the broken rule."""
        return keep((self,), value)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shape = handler(schema)
        return shape | {VALIDATIONS: [*shape.get(VALIDATIONS, []), self.validation()]}


class RawRule(Rule):
    """A rule on a value as it is written, tested before its type is."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))


def keep(rules: tuple[Rule, ...], value: T) -> T:
    """Return `value`, or raise one error that carries every rule that it breaks."""
    return refuse([Broken(rule.field, rule.message) for rule in rules if not rule.holds(value)], value)


def refuse(broken: list[Broken], value: T) -> T:
    """Return `value`, or raise one error that carries `broken` in its context, if there are any."""
    if broken:
        summary = "; ".join(item.message for item in broken)
        raise PydanticCustomError(ERROR_TYPE, "{summary}", {"summary": summary, "broken": broken})
    return value


def matches(pattern: str, message: str) -> Rule:
    """Return the rule that a string matches `pattern`, which is anchored and means the same in RE2 and in Python."""
    expression = re.compile(pattern)
    return Rule(f"self.matches('{pattern}')", lambda text: expression.fullmatch(text) is not None, message)


class UniqueItems(NamedTuple):
    """Makes a list a set, or a map by `key`, as server-side apply understands it.

    The API server refuses duplicates by itself, before any rule; offline they are refused here, at the same index.
    """

    key: str = ""

    def check(self, items: list[Any]) -> list[Any]:
        """Return `items`, or raise an error that carries each item that was there before."""
        values = [getattr(item, self.key) if self.key else item for item in items]
        first: dict[object, int] = {}
        broken = [
            Broken(
                f"[{index}]",
                f"Duplicate value: {json.dumps({self.key: value} if self.key else value, separators=COMPACT)}",
            )
            for index, value in enumerate(values)
            if first.setdefault(value, index) != index
        ]
        return refuse(broken, items)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        kind = {"x-kubernetes-list-type": "map" if self.key else "set"}
        return handler(schema) | kind | ({"x-kubernetes-list-map-keys": [self.key]} if self.key else {})


class Model(BaseModel):
    """A part of the resource: camelCase in YAML, unknown fields refused, `rules` kept."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        return keep(self.rules, self)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shape = handler(schema)
        resolved = handler.resolve_ref_schema(shape)
        if cls.rules:
            resolved[VALIDATIONS] = [rule.validation() for rule in cls.rules]
        for field, description in _docstrings(cls).items():
            if info := cls.model_fields.get(field):
                resolved["properties"][info.alias]["description"] = description
        return shape


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the string below each attribute of a class.

    pydantic's `use_attribute_docstrings` finds the same, but reads the sources whenever the program starts.
    """
    (definition,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - for the type checker
    found = {}
    for field, below in pairwise(definition.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                found[name] = inspect.cleandoc(text)
    return found
