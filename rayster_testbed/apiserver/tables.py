"""Objects as rows: what `kubectl get` prints, and metadata alone for clients that ask only for that."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson

from .conversion import from_stored
from .kinds import Kind
from .lists import Page, list_meta
from .store import Event, Record

Json = dict[str, Any]
META = "meta.k8s.io/v1"
TABLE, METADATA, METADATA_LIST = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"


@dataclass(frozen=True)
class Column:
    """One column: its title, how to find the cell, and whether only `-o wide` shows it."""

    title: str
    cell: Callable[[Json], Any]
    wide: bool = False
    type: str = "string"


def asked_form(accept: str) -> str:
    """What an Accept header prefers among objects (""), `Table` and the two metadata forms."""
    for choice in accept.split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in choice.split(";")[1:])
        form = parameters.get("as", "")
        if form in (TABLE, METADATA, METADATA_LIST) and parameters.get("v") == "v1":
            return form
        if choice.split(";")[0].strip() == "application/json" and not form:
            return ""
    return ""


def age(text: str | None) -> str:
    """The time since a moment, in kubectl's short words (`3m12s`, `5h`, `12d`)."""
    if not text:
        return "<unknown>"
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    seconds = max(int((datetime.now(timezone.utc) - moment).total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def at(obj: Any, path: str, default: Any = None) -> Any:
    """The value at a simple JSON path (`.status.conditions[?(@.type=="Ready")].status`, `.items[0].x`)."""
    value = obj
    for name, test_key, test_value, index in re.findall(
        r"\.?([\w-]+)|\[\?\(@\.(\w+)\s*==\s*[\"']([^\"']*)[\"']\)\]|\[(\d+)\]", path.replace("\\.", "\0")
    ):
        if test_key:
            items = value if isinstance(value, list) else []
            value = next((item for item in items if item.get(test_key) == test_value), None)
        elif index:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return default if value is None else value


def _path(path: str, default: Any = "") -> Callable[[Json], Any]:
    return lambda obj: at(obj, path, default)


def _statuses(pod: Json) -> list[Json]:
    return at(pod, "status.containerStatuses", [])


def _pod_status(pod: Json) -> str:
    """The STATUS of a pod: the reason of what holds it up, else its phase."""
    status = pod.get("status") or {}
    words = status.get("reason") or status.get("phase") or "Unknown"
    for index, item in enumerate(status.get("initContainerStatuses") or []):
        state = item.get("state") or {}
        if at(state, "terminated.exitCode") == 0 and "terminated" in state:
            continue
        reason = at(state, "terminated.reason") or at(state, "waiting.reason", "")
        total = len(at(pod, "spec.initContainers", []))
        words = f"Init:{reason}" if reason and reason != "PodInitializing" else f"Init:{index}/{total}"
        break
    else:
        for item in reversed(_statuses(pod)):
            state = item.get("state") or {}
            reason = at(state, "waiting.reason") or at(state, "terminated.reason")
            if reason:
                words = reason
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return words


def _pod_ready(pod: Json) -> str:
    ready = sum(bool(item.get("ready")) for item in _statuses(pod))
    return f"{ready}/{len(at(pod, 'spec.containers', []))}"


def _node_status(node: Json) -> str:
    ready = at(node, 'status.conditions[?(@.type=="Ready")].status', "Unknown")
    words = {"True": "Ready", "False": "NotReady"}.get(ready, "NotReady")
    return f"{words},SchedulingDisabled" if at(node, "spec.unschedulable") else words


def _roles(node: Json) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(key.removeprefix(prefix) for key in labels if key.startswith(prefix)) or "<none>"


def _ports(service: Json) -> str:
    ports = at(service, "spec.ports", [])
    return ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in ports) or "<none>"


def _address(node: Json) -> str:
    return at(node, 'status.addresses[?(@.type=="InternalIP")].address', "<none>")


_NAME = Column("Name", _path("metadata.name"))
_AGE = Column("Age", lambda obj: age(obj["metadata"].get("creationTimestamp")))

_COLUMNS: dict[str, tuple[Column, ...]] = {
    "pods": (
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", lambda pod: sum(item.get("restartCount", 0) for item in _statuses(pod))),
        _AGE,
        Column("IP", _path("status.podIP", "<none>"), wide=True),
        Column("Node", _path("spec.nodeName", "<none>"), wide=True),
        Column("Nominated Node", _path("status.nominatedNodeName", "<none>"), wide=True),
        Column("Readiness Gates", lambda pod: "<none>", wide=True),
    ),
    "nodes": (
        Column("Status", _node_status),
        Column("Roles", _roles),
        _AGE,
        Column("Version", _path("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", _address, wide=True),
        Column("OS-Image", _path("status.nodeInfo.osImage", "<unknown>"), wide=True),
    ),
    "namespaces": (Column("Status", _path("status.phase")), _AGE),
    "services": (
        Column("Type", _path("spec.type")),
        Column("Cluster-IP", _path("spec.clusterIP", "<none>")),
        Column("External-IP", _path("spec.externalName", "<none>")),
        Column("Port(s)", _ports),
        _AGE,
    ),
    "configmaps": (
        Column("Data", lambda obj: len({**(obj.get("data") or {}), **(obj.get("binaryData") or {})})),
        _AGE,
    ),
    "secrets": (Column("Type", _path("type")), Column("Data", lambda obj: len(obj.get("data") or {})), _AGE),
    "serviceaccounts": (Column("Secrets", lambda obj: len(obj.get("secrets") or [])), _AGE),
    "persistentvolumeclaims": (
        Column("Status", _path("status.phase")),
        Column("Volume", _path("spec.volumeName")),
        Column("Capacity", _path("status.capacity.storage")),
        Column("Access Modes", lambda obj: ",".join(at(obj, "spec.accessModes", []))),
        Column("StorageClass", _path("spec.storageClassName")),
        _AGE,
    ),
    "events": (
        Column("Last Seen", lambda obj: age(obj.get("lastTimestamp") or obj.get("eventTime"))),
        Column("Type", _path("type")),
        Column("Reason", _path("reason")),
        Column(
            "Object",
            lambda obj: f"{at(obj, 'involvedObject.kind', '').lower()}/{at(obj, 'involvedObject.name', '')}",
        ),
        Column("Message", _path("message")),
    ),
    "deployments.apps": (
        Column("Ready", lambda obj: f"{at(obj, 'status.readyReplicas', 0)}/{at(obj, 'spec.replicas', 0)}"),
        Column("Up-to-date", _path("status.updatedReplicas", 0)),
        Column("Available", _path("status.availableReplicas", 0)),
        _AGE,
    ),
    "jobs.batch": (
        Column("Status", lambda obj: (at(obj, "status.conditions", []) or [{}])[0].get("type", "Running")),
        Column(
            "Completions", lambda obj: f"{at(obj, 'status.succeeded', 0)}/{at(obj, 'spec.completions', 1)}"
        ),
        _AGE,
    ),
    "leases.coordination.k8s.io": (Column("Holder", _path("spec.holderIdentity")), _AGE),
    "customresourcedefinitions.apiextensions.k8s.io": (
        Column("Created At", _path("metadata.creationTimestamp")),
    ),
}


def _custom_cell(column: Json) -> Callable[[Json], Any]:
    path, date = column["jsonPath"], column.get("type") == "date"
    return lambda obj: age(at(obj, path)) if date else at(obj, path)


def columns_of(kind: Kind) -> list[Column]:
    """The columns that a kind is printed with."""
    if kind.storage == "events":
        return list(_COLUMNS["events"])
    if kind.custom and kind.columns:
        return [
            _NAME,
            *(
                Column(item["name"], _custom_cell(item), item.get("priority", 0) > 0, item["type"])
                for item in kind.columns
            ),
        ]
    return [_NAME, *_COLUMNS.get(kind.storage, (_AGE,))]


def _row(columns: list[Column], kind: Kind, record: Record) -> Json:
    partial = {"kind": METADATA, "apiVersion": META, "metadata": record.obj["metadata"]}
    return {"cells": [column.cell(record.obj) for column in columns], "object": partial}


def table(kind: Kind, records: list[Record], meta: Json, titles: bool = True) -> Json:
    """Records as a `Table`; without `titles` only the rows, as later events of a watch."""
    columns = columns_of(kind)
    definitions = [
        {
            "name": column.title,
            "type": column.type,
            "format": "name" if column is _NAME else "",
            "description": "",
            "priority": int(column.wide),
        }
        for column in columns
    ]
    return {
        "kind": TABLE,
        "apiVersion": META,
        "metadata": meta,
        "columnDefinitions": definitions if titles else None,
        "rows": [_row(columns, kind, record) for record in records],
    }


def _metadata(record: Record) -> Json:
    return {"kind": METADATA, "apiVersion": META, "metadata": record.obj["metadata"]}


def show(kind: Kind, record: Record, form: str) -> Json:
    """One record in the asked-for form."""
    if form == TABLE:
        return table(kind, [record], {"resourceVersion": record.obj["metadata"]["resourceVersion"]})
    if form == METADATA:
        return _metadata(record)
    return from_stored(kind, record.obj)


def show_list(kind: Kind, page: Page, form: str) -> Json:
    """A page in the asked-for form (`Table` or metadata)."""
    if form == TABLE:
        return table(kind, page.records, dict(list_meta(page)))
    items = [_metadata(record) for record in page.records]
    return {"kind": METADATA_LIST, "apiVersion": META, "metadata": list_meta(page), "items": items}


def line_maker(form: str) -> Callable[[Kind, Event, str], bytes]:
    """Makes the lines of one watch in the asked-for form; a table has its titles in the first line only."""
    first = True

    def line(kind: Kind, event: Event, event_type: str) -> bytes:
        nonlocal first
        record = event.record
        if form == TABLE:
            meta = {"resourceVersion": str(event.rv)}
            shown = table(kind, [record], meta, titles=first)
            first = False
        else:
            shown = _metadata(record)
        return b'{"type":"%s","object":%s}\n' % (event_type.encode(), orjson.dumps(shown))

    return line
