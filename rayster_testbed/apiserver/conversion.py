"""Objects between the version they are stored in and the version a client asked for."""

from __future__ import annotations

from typing import Any

import orjson

from .kinds import Kind
from .store import Event, Record

Json = dict[str, Any]

_EVENT_FIELDS = {  # events.k8s.io/v1 → v1
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_EVENT_FIELDS_BACK = {core: new for new, core in _EVENT_FIELDS.items()}


def to_stored(kind: Kind, obj: Json) -> Json:
    """An object of a client → the stored version."""
    if kind.api_version == kind.stored:
        return obj
    if kind.storage == "events":
        obj = {_EVENT_FIELDS.get(key, key): value for key, value in obj.items()}
    return {**obj, "apiVersion": kind.stored}


def from_stored(kind: Kind, obj: Json) -> Json:
    """A stored object → the version that `kind` serves."""
    if obj["apiVersion"] == kind.api_version:
        return obj
    if kind.storage == "events":
        obj = {_EVENT_FIELDS_BACK.get(key, key): value for key, value in obj.items()}
    return {**obj, "apiVersion": kind.api_version}


def present(kind: Kind, record: Record) -> bytes:
    """A record as JSON in the version that `kind` serves."""
    # A custom resource may have been stored before its definition named another version as the stored one.
    if kind.api_version == (record.obj["apiVersion"] if kind.custom else kind.stored):
        return record.raw
    return orjson.dumps(from_stored(kind, record.obj))


def watch_line(kind: Kind, event: Event, event_type: str) -> bytes:
    """One line of a watch; made once for all watchers of that version."""
    key = (event_type, kind.api_version)
    line = event.lines.get(key)
    if line is None:
        record = event.record
        if event_type == "DELETED" and event.type != "DELETED" and event.previous is not None:
            record = Record(_with_version(event.previous, event.rv))
        line = b'{"type":"%s","object":%s}\n' % (event_type.encode(), present(kind, record))
        event.lines[key] = line
    return line


def _with_version(record: Record, version: int) -> bytes:
    obj = record.copy()
    obj["metadata"]["resourceVersion"] = str(version)
    return orjson.dumps(obj)
