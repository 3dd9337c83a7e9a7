from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolbudget.api.crd import COLUMNS, as_yaml, root_schema
from poolbudget.api.reference import as_markdown
from poolbudget.api.rules import VALIDATIONS
from poolbudget.api.schema import Schema

CHECKED_IN = Path(__file__).parents[2] / "crds" / "poolbudget.dev_poolbudgets.yaml"
UNSTRUCTURAL = {"$ref", "$defs", "title", "const", "anyOf", "oneOf", "exclusiveMinimum", "propertyNames"}


def parts(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every part of a schema with its path."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from parts(schema[key], f"{path}[]")


def part(path: str) -> Schema:
    return dict(parts(root_schema()))[path]


def test_the_checked_in_definition_is_what_the_models_say() -> None:
    assert CHECKED_IN.read_text() == as_yaml(), "stale: run python -m poolbudget.api.crd > crds/..."


def test_the_schema_holds_nothing_that_a_structural_schema_may_not() -> None:
    assert [path for path, schema in parts(root_schema()) if UNSTRUCTURAL & schema.keys()] == []
    assert [path for path, schema in parts(root_schema()) if "type" not in schema] == [".spec.workloads[].max"]


def test_every_field_is_described() -> None:
    undescribed = [path for path, schema in parts(root_schema()) if "description" not in schema and path[-2:] != "[]"]
    assert undescribed == [".metadata"]


def test_all_that_users_write_is_bounded() -> None:
    """CEL refuses rules whose worst case costs too much, and an object has to fit etcd."""
    bound = {"string": "maxLength", "array": "maxItems", "integer": "maximum"}
    for path, schema in parts(root_schema()["properties"]["spec"]):
        kind = schema.get("type", "")
        assert "enum" in schema or kind not in bound or bound[kind] in schema, path
        assert "additionalProperties" not in schema or "maxProperties" in schema, path


@pytest.mark.parametrize(
    ("path", "kind", "keys"),
    [
        (".spec.workloads", "map", ["name"]),
        (".spec.workloads[].pools", "map", ["name"]),
        (".spec.workloads[].containers", "set", None),
        (".status.conditions", "map", ["type"]),
        (".status.workloads", "map", ["name"]),
    ],
)
def test_lists_merge_by_their_keys(path: str, kind: str, keys: list[str] | None) -> None:
    schema = part(path)
    assert (schema["x-kubernetes-list-type"], schema.get("x-kubernetes-list-map-keys")) == (kind, keys)


@pytest.mark.parametrize(
    ("path", "default"),
    [
        (".spec.reservedConnections", 10),
        (".spec.updateMode", "Initial"),
        (".spec.tuning", {"mode": "Off"}),
        (".spec.database.tls.mode", "Prefer"),
        (".spec.workloads[].maxPerProcess", 20),
        (".spec.workloads[].minPerProcess", None),
        (".spec.workloads[].env", {"profile": "Default"}),
        (".spec.workloads[].demand.headroomPercent", 20),
        (".spec.pooler.poolMode", None),
        (".spec.database.name", None),
        (".status.waiting", None),
    ],
)
def test_defaults_are_those_of_the_contract(path: str, default: Any) -> None:
    assert part(path).get("default") == default


@pytest.mark.parametrize("column", COLUMNS, ids=[name for name, *_ in COLUMNS])
def test_a_column_shows_a_field_that_exists(column: tuple[str, str, str, str]) -> None:
    _, kind, path, _ = column
    if path.startswith(".metadata"):
        return
    if "conditions[?" in path:
        path = ".status.conditions[].status"
    assert part(path)["type"] == kind


def test_every_rule_has_a_sentence_on_one_line() -> None:
    rules = [rule for _, schema in parts(root_schema()) for rule in schema.get(VALIDATIONS, [])]
    assert len(rules) > 20
    assert all(rule["message"] and "\n" not in rule["message"] for rule in rules)


def test_the_field_reference_is_what_the_models_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference.md"
    assert page.read_text() == as_markdown(), "stale: run python -m poolbudget.api.reference > docs/reference.md"
