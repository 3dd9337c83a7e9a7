"""Structural schemas, as Kubernetes takes them, made of the models.

`api.crd` publishes them, and `api.parse` looks names up in them. pydantic's JSON schema has its references put in
place, loses titles and null branches, and gives an object the defaults of its stored fields. See
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]


def structural(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model."""
    schema = model.model_json_schema(by_alias=True)
    return _convert(schema, schema.get("$defs", {}))


def without_defaults(schema: Schema) -> Schema:
    """Return `schema` without defaults, so that the API server makes nothing up that was not reported."""
    kept = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in kept:
        kept["properties"] = {name: without_defaults(value) for name, value in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = without_defaults(kept["items"])
    return kept


def _convert(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Schema:
    """Return `schema` in structural form. The steps follow the restrictions that Kubernetes puts on JSON Schema."""
    flat = _resolve(schema, defs)
    shape = {key: flat[key] for key in flat if key not in {"title", "$defs", "propertyNames", "additionalProperties"}}
    if "description" in shape:
        shape["description"] = re.sub(r"\s+", " ", shape["description"])
    if "properties" in flat:
        shape["properties"] = {name: _convert(value, defs) for name, value in flat["properties"].items()}
    elif flat.get("additionalProperties"):
        shape["additionalProperties"] = _convert(flat["additionalProperties"], defs)
    if "items" in flat:
        shape["items"] = _convert(flat["items"], defs)
    if shape.get("default", ...) is None:
        del shape["default"]
    if isinstance(shape.get("default"), dict):
        shape["default"] = {
            name: part["default"] for name, part in shape.get("properties", {}).items() if "default" in part
        }
    return shape


def _resolve(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Schema:
    """Return `schema` with its reference, or its branch that is not null, put in place; what stands beside it wins."""
    here = dict(schema)
    if "$ref" in here:
        target = defs[here.pop("$ref").removeprefix("#/$defs/")]
        return _resolve({**target, **here}, defs)
    if "x-kubernetes-int-or-string" in here:
        return {key: value for key, value in here.items() if key not in {"anyOf", "type"}}
    if "anyOf" in here:
        (branch,) = (option for option in here.pop("anyOf") if option.get("type") != "null")
        return _resolve({**branch, **here}, defs)
    return here
