"""Decodes Kubernetes' protobuf bodies, which newer typed Go clients (kubectl ≥ 1.33 among them) send.

A body is the four bytes `k8s\\0` and a `runtime.Unknown` that names the kind and holds the message. Which field has
which number is in `wire_fields.txt`: a line for each message, `number:jsonName:type`, where `?` marks a field that is
left out when it is zero. Answers are always JSON, which all these clients accept.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from .errors import bad_request

Json = dict[str, Any]
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_GROUPS = {
    "": "core",
    "rbac.authorization.k8s.io": "rbac",
    "authentication.k8s.io": "authentication",
    "authorization.k8s.io": "authorization",
    "networking.k8s.io": "networking",
    "coordination.k8s.io": "coordination",
    "certificates.k8s.io": "certificates",
    "discovery.k8s.io": "discovery",
    "events.k8s.io": "events",
    "scheduling.k8s.io": "scheduling",
    "storage.k8s.io": "storage",
    "node.k8s.io": "node",
}
_META_KINDS = ("DeleteOptions", "ListOptions", "PatchOptions", "CreateOptions", "UpdateOptions", "Status")


class Field(NamedTuple):
    """One field of a message."""

    name: str
    type: str
    drop_zero: bool


@cache
def _messages() -> dict[str, dict[int, Field]]:
    found = {}
    for line in (Path(__file__).parent / "wire_fields.txt").read_text().splitlines():
        message, *fields = line.split()
        table = {}
        for field in fields:
            number, name, kind = field.split(":")
            table[int(number)] = Field(name, kind.rstrip("?"), kind.endswith("?"))
        found[message] = table
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and raw value of each field; integers are signed, the rest are bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value - (1 << 64) if value >> 63 else value
        elif wire == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise IndexError("truncated field")
            yield number, data[at : at + length]
            at += length
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield number, struct.unpack("<d" if wire == 1 else "<f", data[at : at + size])[0]
            at += size
        else:
            raise ValueError(f"unknown wire type {wire}")


def _moment(data: bytes, micro: bool) -> str | None:
    parts = dict(_fields(data))
    if not parts:
        return None
    moment = datetime.fromtimestamp(parts.get(1, 0), timezone.utc)
    if micro:
        moment = moment.replace(microsecond=parts.get(2, 0) // 1000)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _one(value: Any, kind: str) -> Any:
    if kind == "s":
        return value.decode()
    if kind == "i":
        return value
    if kind == "b":
        return bool(value)
    if kind == "y":
        return base64.b64encode(value).decode()
    if kind in ("time", "microtime"):
        return _moment(value, kind == "microtime")
    parts = list(_fields(value))
    if kind == "quantity":
        return dict(parts).get(1, b"").decode() or "0"
    if kind == "json":
        raw = dict(parts).get(1, b"")
        return orjson.loads(raw) if raw else None
    if kind == "items":
        return [item.decode() for _, item in parts]
    if kind == "intorstring":
        chosen = dict(parts)
        return chosen.get(3, b"").decode() if chosen.get(1) else chosen.get(2, 0)
    return _message(value, kind)


def _message(data: bytes, name: str) -> Json:
    fields = _messages().get(name)
    if fields is None:
        raise ValueError(f"unknown message {name}")
    result: Json = {}
    for number, value in _fields(data):
        field = fields.get(number)
        if field is None:
            continue
        kind = field.type
        if kind.startswith("[]"):
            result.setdefault(field.name, []).append(_one(value, kind[2:]))
        elif kind.startswith("{}"):
            entry = dict(_fields(value))
            inner = kind[2:]
            empty: Any = 0 if inner in ("i", "b") else b""
            result.setdefault(field.name, {})[entry.get(1, b"").decode()] = _one(entry.get(2, empty), inner)
        elif field.name == "inline":
            result.update(_message(value, kind))
        else:
            item = _one(value, kind)
            if item is not None and not (field.drop_zero and kind in ("s", "i", "b") and not item):
                result[field.name] = item
    return result


def decode(body: bytes) -> Json:
    """The object of a protobuf body. Raises: ApiError 400 for anything else."""
    try:
        if not body.startswith(_MAGIC):
            raise ValueError("the body does not begin with k8s\\0")
        unknown = dict(_fields(body[len(_MAGIC) :]))
        type_meta = dict(_fields(unknown[1]))
        api_version, kind = type_meta.get(1, b"").decode(), type_meta.get(2, b"").decode()
        group, _, version = api_version.rpartition("/")
        package = "meta" if kind in _META_KINDS else _GROUPS.get(group, group)
        if (package, version) == ("autoscaling", "v2"):
            package = "autoscaling2"
        return {"apiVersion": api_version, "kind": kind, **_message(unknown.get(2, b""), f"{package}.{kind}")}
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise bad_request(f"the object provided is unrecognized (must be protobuf): {error}") from None
