"""Request body → object of a built-in kind, with the type errors a Go server gives.

The shapes come from the typed models that `kubernetes_asyncio` generates from Kubernetes' OpenAPI document: fields
nobody knows are dropped (and reported), nulls are dropped, and a wrong type is a 400, exactly where Go's decoder
would stop.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime, timezone
from functools import cache
from typing import Any, NamedTuple

import orjson
from kubernetes_asyncio.client import models

from .errors import ApiError, bad_request
from .kinds import Kind
from .quantities import parse_quantity
from .wire import MEDIA_TYPE, decode
from .yaml_body import read_yaml

Json = dict[str, Any]

_QUANTITY_MAPS = {"limits", "requests", "capacity", "allocatable", "overhead", "hard", "used", "max", "min"}
_QUANTITY_VALUES = {"sizeLimit", "divisor", "storage"}
_GO_SCALARS = {"str": "string", "int": "int32", "bool": "bool", "float": "float64", "datetime": "Time"}
_MICRO_TIMES = {"eventTime", "renewTime", "acquireTime", "lastObservedTime"}
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


class Shape(NamedTuple):
    """What a value must look like: `form` is a scalar name, `list`, `dict`, `model`, `quantity`, `bytes` or `any`."""

    form: str
    inner: Shape | None = None
    model: str = ""


@cache
def _fields(model: str) -> dict[str, Shape]:
    cls = getattr(models, model)
    return {
        json_name: _shape(cls.openapi_types[name], json_name, model)
        for name, json_name in cls.attribute_map.items()
    }


def _shape(text: str, field: str = "", model: str = "") -> Shape:
    if text.startswith("list["):
        return Shape("list", _shape(text[5:-1]))
    if text.startswith("dict("):
        inner = _shape(text[5:-1].split(", ", 1)[1])
        if field in _QUANTITY_MAPS and inner.form == "str":
            inner = Shape("quantity")
        elif model == "V1Secret" and field == "data":
            inner = Shape("bytes")
        return Shape("dict", inner)
    if text in _GO_SCALARS:
        if text == "str" and field in _QUANTITY_VALUES and model != "V1StorageClass":
            return Shape("quantity")
        return Shape(text)
    if hasattr(models, text) and hasattr(getattr(models, text), "attribute_map"):
        return Shape("model", None, text)
    return Shape("any")


class _WrongType(Exception):
    pass


def _go_name(shape: Shape) -> str:
    if shape.form == "list" and shape.inner:
        return f"[]{_go_name(shape.inner)}"
    if shape.form == "dict" and shape.inner:
        return f"map[string]{_go_name(shape.inner)}"
    if shape.form == "model":
        return re.sub(r"^V(\d+)", r"v\1.", shape.model)
    return _GO_SCALARS.get(shape.form, shape.form)


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names: dict[type, str] = {str: "string", dict: "object", list: "array"}
    return names.get(type(value), "number")


def _mismatch(value: Any, shape: Shape, owner: str, path: str) -> _WrongType:
    where = f" into Go struct field {owner}.{path}" if path else " into Go value"
    return _WrongType(f"json: cannot unmarshal {_json_type(value)}{where} of type {_go_name(shape)}")


_SCALARS: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def _scalar(value: Any, shape: Shape, owner: str, path: str) -> Any:
    form = shape.form
    if form == "any":
        return value
    if form == "quantity":
        try:
            parse_quantity(value)
        except ValueError as error:
            raise _WrongType(str(error)) from None
        return str(value)
    if form in ("datetime", "bytes"):
        if not isinstance(value, str):
            raise _mismatch(value, Shape("str"), owner, path)
        if form == "datetime":
            return _instant(value, micro=path.rpartition(".")[2] in _MICRO_TIMES)
        if form == "bytes":
            try:
                base64.b64decode(value, validate=True)
            except ValueError:
                raise _WrongType("illegal base64 data at input byte 0") from None
        return value
    wanted = _SCALARS[form]
    if not isinstance(value, wanted) or (isinstance(value, bool) and form != "bool"):
        raise _mismatch(value, shape, owner, path)
    return value


def _instant(text: str, micro: bool) -> str:
    """A time as Go writes it again: UTC, whole seconds, or microseconds for a `MicroTime`."""
    try:
        if not _RFC3339.fullmatch(text):
            raise ValueError(text)
        moment = datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", _six_digits, text).replace("Z", "+00:00"))
    except ValueError:
        message = f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}"'
        raise _WrongType(message) from None
    return moment.astimezone(timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ"
    )


def _six_digits(match: re.Match[str]) -> str:
    return match.group(1).ljust(7, "0")


def _conform(value: Any, shape: Shape, owner: str, path: str, unknown: list[str], where: str) -> Any:
    form = shape.form
    if form == "model":
        if not isinstance(value, dict):
            raise _mismatch(value, shape, owner, path)
        return _conform_model(value, shape.model, path, unknown, where)
    if form == "list":
        assert shape.inner is not None
        if not isinstance(value, list):
            raise _mismatch(value, shape, owner, path)
        inner = shape.inner
        return [
            _conform(item, inner, owner, path, unknown, f"{where}[{index}]")
            for index, item in enumerate(value)
        ]
    if form == "dict":
        assert shape.inner is not None
        if not isinstance(value, dict):
            raise _mismatch(value, shape, owner, path)
        inner = shape.inner
        if inner.form == "str":
            for item in value.values():
                if type(item) is not str and item is not None:
                    raise _mismatch(item, inner, owner, path)
            return {key: item or "" for key, item in value.items()}
        return {
            key: _conform(item, inner, owner, path, unknown, f"{where}.{key}") for key, item in value.items()
        }
    return _scalar(value, shape, owner, path)


def _conform_model(value: Json, model: str, path: str, unknown: list[str], where: str) -> Json:
    fields = _fields(model)
    owner = re.sub(r"^V\d+", "", model)
    result = {}
    for name, item in value.items():
        shape = fields.get(name)
        inside = f"{where}.{name}" if where else name
        if shape is None:
            unknown.append(inside)
        elif item is not None:
            result[name] = _conform(item, shape, owner, f"{path}.{name}" if path else name, unknown, inside)
    return result


def parse_body(body: bytes, content_type: str, kind_name: str) -> Json:
    """Parse a JSON, YAML or protobuf body into an object. Raises: ApiError 400 when it is none of them."""
    if content_type == MEDIA_TYPE:
        return decode(body)
    unreadable = (
        f"the object provided is unrecognized (must be of type {kind_name}): couldn't get version/kind; "
    )
    try:
        value = read_yaml(body) if "yaml" in content_type else orjson.loads(body)
    except ValueError as error:
        raise bad_request(f"{unreadable}json parse error: {error} ({body[:16].hex()})") from None
    if not isinstance(value, dict):
        what = f"json: cannot unmarshal {_json_type(value)} into Go value of type struct"
        raise bad_request(f"{unreadable}json parse error: {what} ({body[:16].hex()})")
    return value


def _cannot_handle(kind: Kind, why: str) -> ApiError:
    return bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def conform(obj: Json, kind: Kind, unknown: list[str] | None = None) -> Json:
    """Check an object against its kind's model; unknown fields and nulls are left out of the result.

    Arguments: `unknown` collects the paths of the fields that were left out.
    Raises: ApiError 400 in the words of Go's decoder.
    """
    obj = check_type(obj, kind)
    try:
        if kind.model is None:
            meta = _conform(
                obj.get("metadata") or {}, Shape("model", None, "V1ObjectMeta"), kind.kind, "metadata", [], ""
            )
            result = {**obj, "metadata": meta}
        else:
            result = _conform_model(obj, kind.model, "", unknown if unknown is not None else [], "")
            result.setdefault("metadata", {})
    except _WrongType as error:
        raise _cannot_handle(kind, str(error)) from None
    return result


def check_type(obj: Json, kind: Kind) -> Json:
    """Fill in apiVersion and kind when both are left out. Raises: ApiError 400 when they are another kind's."""
    if not obj.get("apiVersion") and not obj.get("kind") and not kind.custom:
        return {**obj, "kind": kind.kind, "apiVersion": kind.api_version}
    for field in ("apiVersion", "kind"):
        if not isinstance(obj.get(field), str) or not obj[field]:
            raise bad_request(
                f"Object '{'Kind' if field == 'kind' else field}' is missing in '{_short(obj)}'"
            )
    if obj["apiVersion"] != kind.api_version:
        raise bad_request(
            f"the API version in the data ({obj['apiVersion']}) does not match the expected API version "
            f"({kind.api_version})"
        )
    if obj["kind"] != kind.kind:
        raise bad_request(
            f'{obj["kind"]} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"converting (v1.{obj['kind']}) to (v1.{kind.kind}): unknown conversion"
        )
    return obj


def _short(obj: Json) -> str:
    return orjson.dumps(obj).decode()[:256]


class FieldReport:
    """What becomes of unknown fields: refused (`Strict`), warned of (`Warn`) or dropped (`Ignore`)."""

    def __init__(self, mode: str = "Warn") -> None:
        self.mode = mode or "Warn"
        self.warnings: list[str] = []

    def take(self, kind: Kind, unknown: list[str]) -> None:
        """Act on the unknown fields of one object. Raises: ApiError 400 when strict."""
        if not unknown or self.mode == "Ignore":
            return
        listed = [f'unknown field "{path}"' for path in dict.fromkeys(unknown)]
        if self.mode == "Strict":
            raise _cannot_handle(kind, f"strict decoding error: {', '.join(listed)}")
        self.warnings += listed
