"""The field reference in docs/reference.md, generated from the schema of the CustomResourceDefinition.

`python -m poolbudget.api.reference` prints it.
"""

import json
from collections.abc import Iterator

from poolbudget.api.crd import root_schema
from poolbudget.api.rules import VALIDATIONS
from poolbudget.api.schema import Schema
from poolbudget.api.types import API_VERSION, KIND

_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxLength": "at most {} characters",
    "maxProperties": "at most {} entries",
}
_HEAD = f"""\
# Reference: {KIND}, {API_VERSION}

Generated from the schema; do not edit: `python -m poolbudget.api.reference > docs/reference.md`.
`kubectl explain pb.spec` shows the same. A field without a default may be left out unless it is marked as required.
Fields that are unknown are refused, here and by `poolbudget plan`. A value of `Off` is written in quotes, `"Off"`: YAML
reads a bare Off as false, and the API server then says that the field must be of type string.
The definition needs Kubernetes 1.33 or later (two-variable CEL comprehensions).
"""


def as_markdown() -> str:
    """Return the whole page."""
    properties = root_schema()["properties"]
    return "\n".join([_HEAD, *_section("spec", properties["spec"]), *_section("status", properties["status"])]) + "\n"


def _section(path: str, schema: Schema) -> Iterator[str]:
    """Yield the lines for an object: a table of its fields, what must hold, then its parts."""
    yield f"## {path}\n\n{schema['description']}\n"
    yield "| field | type | default | |\n|---|---|---|---|"
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        yield f"| `{name}` | {_type(field)} | {_default(name in required, field)} | {_explain(field)} |"
    yield ""
    rules = [rule["message"] for rule in schema.get(VALIDATIONS, [])]
    yield from [*(f"- {rule}" for rule in rules), *([""] if rules else [])]
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _section(f"{path}.{name}{'[]' if 'items' in field else ''}", inner)


def _type(field: Schema) -> str:
    if "enum" in field:
        return " \\| ".join(field["enum"])
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    return str(field.get("type", "integer or string"))


def _default(required: bool, field: Schema) -> str:
    if required:
        return "required"
    return f"`{json.dumps(field['default'])}`" if "default" in field else ""


def _explain(field: Schema) -> str:
    limits = [words.format(field[key]) for key, words in _LIMITS.items() if key in field]
    rules = [rule["message"] for rule in field.get(VALIDATIONS, []) if "properties" not in field]
    text = [field["description"], f"({', '.join(limits)})" if limits else "", *(f"*{rule}*." for rule in rules)]
    return " ".join(part for part in text if part)


if __name__ == "__main__":
    print(as_markdown(), end="")
