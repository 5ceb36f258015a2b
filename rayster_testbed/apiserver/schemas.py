"""Structural schemas of custom resources: pruning, defaults and validation, as apiextensions does them.

The schema is OpenAPI v3 as a CustomResourceDefinition holds it. Rules in CEL (`x-kubernetes-validations`) are not
evaluated.
"""

from __future__ import annotations

import copy
import re
from datetime import datetime
from functools import cache
from typing import Any

from .errors import Cause, duplicate, go_quote, invalid_value, required, unsupported_value
from .quantities import parse_quantity

Json = dict[str, Any]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_EMBEDDED = "x-kubernetes-embedded-resource"
_OBJECT_FIELDS = ("apiVersion", "kind", "metadata")


def admit(schema: Json, obj: Json, unknown: list[str] | None = None) -> Json:
    """Drop from a copy of an object what its schema does not know, and fill in the schema's defaults.

    Arguments: `unknown` collects the paths that were dropped.
    """
    meta = {key: obj[key] for key in _OBJECT_FIELDS if key in obj}
    body = {key: value for key, value in obj.items() if key not in _OBJECT_FIELDS}
    inner = {
        **schema,
        "properties": {k: v for k, v in _properties(schema).items() if k not in _OBJECT_FIELDS},
    }
    kept = prune(body, inner, "", unknown if unknown is not None else [])
    return {**meta, **fill_defaults(kept, inner)}


def _properties(schema: Json) -> Json:
    return schema.get("properties") or {}


def prune(value: Any, schema: Json, path: str, unknown: list[str]) -> Any:
    """A copy of a value without the fields that its schema does not know."""
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            return value
        return [prune(item, items, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    properties, more = _properties(schema), schema.get("additionalProperties")
    preserve = schema.get(_PRESERVE, False)
    result = {}
    for key, item in value.items():
        inside = f"{path}.{key}" if path else key
        if key in properties:
            result[key] = prune(item, properties[key], inside, unknown)
        elif isinstance(more, dict):
            result[key] = prune(item, more, inside, unknown)
        elif preserve or more is True or (schema.get(_EMBEDDED) and key in _OBJECT_FIELDS):
            result[key] = item
        else:
            unknown.append(inside)
    return result


def fill_defaults(value: Any, schema: Json) -> Any:
    """A value with its schema's defaults; a null whose schema has a default and is not nullable counts as missing."""
    if isinstance(value, list):
        items = schema.get("items")
        return [fill_defaults(item, items) for item in value] if isinstance(items, dict) else value
    if not isinstance(value, dict):
        return value
    properties, more = _properties(schema), schema.get("additionalProperties")
    result = dict(value)
    for key, inner in properties.items():
        if result.get(key) is None and not (key in result and inner.get("nullable")):
            if "default" in inner:
                result[key] = copy.deepcopy(inner["default"])
            elif key in result:
                del result[key]
    for key, item in result.items():
        if key in properties:
            result[key] = fill_defaults(item, properties[key])
        elif isinstance(more, dict):
            result[key] = fill_defaults(item, more)
    return result


def causes(schema: Json, obj: Json) -> list[Cause]:
    """Everything a schema finds wrong with an object; metadata is looked at elsewhere."""
    body = {key: value for key, value in obj.items() if key != "metadata"}
    inner = {**schema, "properties": {k: v for k, v in _properties(schema).items() if k != "metadata"}}
    return validate(body, inner, "")


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    names: dict[type, str] = {float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def validate(value: Any, schema: Json, path: str) -> list[Cause]:
    """What is wrong with a value at `path`; the words are those of the kube-openapi validator."""
    if value is None and schema.get("nullable"):
        return []
    wanted, found = schema.get("type"), _type_of(value)
    if schema.get(_INT_OR_STRING):
        if found not in ("integer", "string"):
            return [_wrong_type(path, value, "integer,string", found)]
    elif wanted and found != wanted and not (wanted == "number" and found == "integer"):
        return [_wrong_type(path, value, wanted, found)]
    result = _enum_causes(value, schema, path)
    if isinstance(value, str):
        result += _string_causes(value, schema, path)
    elif found in ("integer", "number"):
        result += _number_causes(value, schema, path)
    elif isinstance(value, list):
        result += _list_causes(value, schema, path)
    elif isinstance(value, dict):
        result += _map_causes(value, schema, path)
    return result + _combined_causes(value, schema, path)


def _wrong_type(path: str, value: Any, wanted: str, found: str) -> Cause:
    where = path or "<nil>"
    shown = found if isinstance(value, dict | list) else value
    message = f'Invalid value: {go_quote(shown)}: {where} in body must be of type {wanted}: "{found}"'
    return Cause(where, "FieldValueTypeInvalid", message)


def _enum_causes(value: Any, schema: Json, path: str) -> list[Cause]:
    allowed = schema.get("enum")
    if not allowed or value in allowed:
        return []
    return [unsupported_value(path, value, [str(item) for item in allowed])]


@cache
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error:
        # Go's syntax has a few forms that Python's has not: such a pattern is not enforced.
        return re.compile("")


def _string_causes(value: str, schema: Json, path: str) -> list[Cause]:
    result = []
    lower, upper, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    if lower is not None and len(value) < lower:
        result.append(invalid_value(path, value, f"{path} in body should be at least {lower} chars long"))
    if upper is not None and len(value) > upper:
        why = f"may not be more than {upper} bytes"
        result.append(Cause(path, "FieldValueTooLong", f"Too long: {why}"))
    if pattern and schema.get(_INT_OR_STRING):
        try:
            parse_quantity(value)
        except ValueError:
            if not _pattern(pattern).search(value):
                result.append(invalid_value(path, value, f"{path} in body should match '{pattern}'"))
    elif pattern and not _pattern(pattern).search(value):
        result.append(invalid_value(path, value, f"{path} in body should match '{pattern}'"))
    if schema.get("format") == "date-time":
        try:
            datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            result.append(invalid_value(path, value, f'{path} in body must be of type date-time: "{value}"'))
    return result


def _number_causes(value: float, schema: Json, path: str) -> list[Cause]:
    lower, upper, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    result = []
    if lower is not None and (value < lower or (schema.get("exclusiveMinimum") and value == lower)):
        relation = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        result.append(invalid_value(path, value, f"{path} in body should be {relation} {lower}"))
    if upper is not None and (value > upper or (schema.get("exclusiveMaximum") and value == upper)):
        relation = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        result.append(invalid_value(path, value, f"{path} in body should be {relation} {upper}"))
    if step and value % step:
        result.append(invalid_value(path, value, f"{path} in body should be a multiple of {step}"))
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    if bits and not -(2**bits) <= value < 2**bits:
        why = f'{path} in body must be of type {schema["format"]}: "{value}"'
        result.append(invalid_value(path, value, why))
    return result


def _list_causes(value: list[Any], schema: Json, path: str) -> list[Cause]:
    result = []
    lower, upper = schema.get("minItems"), schema.get("maxItems")
    if lower is not None and len(value) < lower:
        result.append(invalid_value(path, len(value), f"{path} in body should have at least {lower} items"))
    if upper is not None and len(value) > upper:
        message = f"Too many: {len(value)}: must have at most {upper} items"
        result.append(Cause(path, "FieldValueTooMany", message))
    keys = schema.get("x-kubernetes-list-map-keys") or []
    unique = schema.get("uniqueItems") or schema.get("x-kubernetes-list-type") in ("set", "map")
    seen: list[Any] = []
    for index, item in enumerate(value):
        identity = {key: item.get(key) for key in keys} if keys and isinstance(item, dict) else item
        if unique and identity in seen:
            result.append(duplicate(f"{path}[{index}]", identity))
        seen.append(identity)
        if isinstance(schema.get("items"), dict):
            result += validate(item, schema["items"], f"{path}[{index}]")
    return result


def _map_causes(value: Json, schema: Json, path: str) -> list[Cause]:
    result = []
    properties, more = _properties(schema), schema.get("additionalProperties")
    for name in schema.get("required") or []:
        if name not in value:
            result.append(required(f"{path}.{name}" if path else name))
    lower, upper = schema.get("minProperties"), schema.get("maxProperties")
    if lower is not None and len(value) < lower:
        result.append(
            invalid_value(path, len(value), f"{path} in body should have at least {lower} properties")
        )
    if upper is not None and len(value) > upper:
        message = f"Too many: {len(value)}: must have at most {upper} items"
        result.append(Cause(path, "FieldValueTooMany", message))
    for key, item in value.items():
        inside = f"{path}.{key}" if path else key
        if key in properties:
            result += validate(item, properties[key], inside)
        elif isinstance(more, dict):
            result += validate(item, more, inside)
    return result


def _combined_causes(value: Any, schema: Json, path: str) -> list[Cause]:
    """`allOf`, `anyOf`, `oneOf`, `not`."""
    result = []
    for part in schema.get("allOf") or []:
        result += validate(value, part, path)
    any_of = schema.get("anyOf") or []
    # The `anyOf` of an int-or-string only repeats its types.
    if any_of and not schema.get(_INT_OR_STRING) and all(validate(value, part, path) for part in any_of):
        result.append(invalid_value(path, value, f'"{path}" must validate at least one schema (anyOf)'))
    one_of = schema.get("oneOf") or []
    if one_of and sum(not validate(value, part, path) for part in one_of) != 1:
        why = f'"{path}" must validate one and only one schema (oneOf)'
        result.append(invalid_value(path, value, why))
    if "not" in schema and not validate(value, schema["not"], path):
        result.append(invalid_value(path, value, f'"{path}" must not validate the schema (not)'))
    return result
