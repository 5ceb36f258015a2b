"""Query parameters of the API, checked: lists, watches, writes and deletes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .decoding import conform, parse_body
from .deletion import DeleteOptions
from .errors import ApiError, Cause, bad_request, forbidden_field, invalid, unsupported_value
from .kinds import Kind
from .selectors import Predicate, both, match_fields, match_labels

Json = dict[str, Any]
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("", "0", "f", "F", "false", "FALSE", "False")
_DIGITS = re.compile(r"[+-]?[0-9]+", re.ASCII)
POLICIES = ["Background", "Foreground", "Orphan"]
DELETE_OPTIONS = Kind("", "v1", "DeleteOptions", "", model="V1DeleteOptions")


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter; anything unknown counts as true, as in `conversion.Convert_Slice_string_To_bool`."""
    return query.get(name, "") not in _FALSE


def number(query: Mapping[str, str], name: str) -> int | None:
    """An integer parameter. Raises: ApiError 400."""
    text = query.get(name)
    if text in (None, ""):
        return None
    return _parsed(text or "", "ParseInt", -(2**63), 2**63 - 1)


def _parsed(text: str, function: str, lowest: int, highest: int) -> int:
    """An integer as Go's `strconv` reads it. Raises: ApiError 400."""
    if not _DIGITS.fullmatch(text):
        raise bad_request(f'strconv.{function}: parsing "{text[:64]}": invalid syntax')
    # More digits than any of Go's integers has are not worth reading.
    if len(text) > 32 or not lowest <= int(text) <= highest:
        raise bad_request(f'strconv.{function}: parsing "{text[:64]}": value out of range')
    return int(text)


@dataclass(frozen=True)
class ListQuery:
    """What a list, a watch or a deletecollection asks for."""

    matches: Predicate | None
    selected: bool
    name: str | None
    limit: int
    continue_token: str
    version: int | None
    match: str
    timeout_seconds: int | None
    bookmarks: bool
    initial_events: bool | None


def _version(query: Mapping[str, str]) -> int | None:
    text = query.get("resourceVersion", "")
    if not text:
        return None
    try:
        return _parsed(text, "ParseUint", 0, 2**64 - 1)
    except ApiError as error:
        raise bad_request(f'resourceVersion: Invalid value: "{text[:64]}": {error.message}') from None


def parse_list(kind: Kind, query: Mapping[str, str], watching: bool, name: str = "") -> ListQuery:
    """Read a list's or a watch's parameters; `name` is the object of a watch by path. Raises: ApiError."""
    fields, one = match_fields(query.get("fieldSelector", ""), kind)
    if name:
        fields, one = match_fields(f"metadata.name={name}", kind)
    labels = match_labels(query.get("labelSelector", ""))
    version, match = _version(query), query.get("resourceVersionMatch", "")
    initial = flag(query, "sendInitialEvents") if "sendInitialEvents" in query else None
    causes = _match_causes(match, version, watching, initial)
    if causes:
        raise invalid("ListOptions", "meta.k8s.io", "", causes)
    if query.get("continue") and version:
        raise bad_request("specifying resource version is not allowed when using continue")
    return ListQuery(
        matches=both(labels, fields),
        selected=labels is not None or fields is not None,
        name=one,
        limit=max(number(query, "limit") or 0, 0),
        continue_token=query.get("continue", ""),
        version=version,
        match=match,
        timeout_seconds=number(query, "timeoutSeconds"),
        bookmarks=flag(query, "allowWatchBookmarks"),
        initial_events=initial,
    )


def _match_causes(match: str, version: int | None, watching: bool, initial: bool | None) -> list[Cause]:
    causes = []
    field = "resourceVersionMatch"
    if watching:
        if initial is None and match:
            why = f"{field} is forbidden for watch unless sendInitialEvents is provided"
            causes.append(forbidden_field(field, why))
        if initial is not None and match != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes.append(forbidden_field(field, why))
        return causes
    if initial is not None:
        why = "sendInitialEvents is forbidden for list"
        causes.append(forbidden_field("sendInitialEvents", why))
    if match:
        if version is None:
            why = f"{field} is forbidden unless resourceVersion is provided"
            causes.append(forbidden_field(field, why))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(unsupported_value(field, match, ["Exact", "NotOlderThan", ""]))
        if match == "Exact" and version == 0:
            why = f'{field} "exact" is forbidden for resourceVersion "0"'
            causes.append(forbidden_field(field, why))
    return causes


def dry_run(query: Mapping[str, str]) -> bool:
    """Whether a write is only tried. Raises: ApiError 422 for anything but `All`."""
    value = query.get("dryRun", "")
    if value not in ("", "All"):
        cause = unsupported_value("dryRun", value, ["All"])
        raise invalid("CreateOptions", "meta.k8s.io", "", [cause])
    return value == "All"


def parse_delete(query: Mapping[str, str], body: bytes, content_type: str) -> DeleteOptions:
    """Read a delete's options from its body or, without one, from the query. Raises: ApiError."""
    options: Json = {}
    if body.strip():
        sent = parse_body(body, content_type, "DeleteOptions")
        sent = {**sent, "apiVersion": "v1", "kind": "DeleteOptions"}
        options = conform(sent, DELETE_OPTIONS)
    policy = options.get("propagationPolicy") or query.get("propagationPolicy") or None
    orphan = options.get("orphanDependents")
    if orphan is None and "orphanDependents" in query:
        orphan = flag(query, "orphanDependents")
    if orphan is not None and policy is None:
        policy = "Orphan" if orphan else "Background"
    if policy is not None and policy not in POLICIES:
        cause = unsupported_value("propagationPolicy", policy, POLICIES)
        raise invalid("DeleteOptions", "meta.k8s.io", "", [cause])
    preconditions = options.get("preconditions") or {}
    grace = options.get("gracePeriodSeconds")
    return DeleteOptions(
        grace_seconds=grace if grace is not None else number(query, "gracePeriodSeconds"),
        policy=policy,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run="All" in (options.get("dryRun") or []) or dry_run(query),
    )
