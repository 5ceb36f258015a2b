"""Lists of objects: consistent pages, versions, and the answers when a version is too old or too new."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from .errors import bad_request, expired, version_too_large
from .kinds import Kind
from .queries import ListQuery
from .store import Compacted, Record, Store

TOO_OLD_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "  # noqa: S105
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
    "the results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)
INCONSISTENT = -1


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    records: list[Record]
    version: int
    continue_token: str = ""
    remaining: int | None = None


def _token(version: int, start: tuple[str, str]) -> str:
    value = {"v": "meta.k8s.io/v1", "rv": version, "start": "/".join(start) + "\u0000"}
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        value = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = value["start"].rstrip("\u0000").partition("/")
        return int(value["rv"]), (namespace, name)
    except (binascii.Error, ValueError, TypeError, KeyError, AttributeError):
        raise bad_request("continue key is not valid: illegal base64 data at input byte 0") from None


def list_page(store: Store, kind: Kind, namespace: str | None, query: ListQuery) -> Page:
    """One page of the objects that a list asks for. Raises: ApiError 400, 410, 504."""
    version, start = store.version, ("", "")
    if query.continue_token:
        version, start = _read_token(query.continue_token)
        if version == INCONSISTENT:
            version = store.version
    elif query.version:
        if query.version > store.version:
            raise version_too_large(query.version, store.version)
        if query.match == "Exact" or (query.limit and not query.match):
            version = query.version
    try:
        found = store.records_at(version, kind.storage, namespace)
    except Compacted as error:
        if query.continue_token:
            raise expired(TOO_OLD_TOKEN, _token(INCONSISTENT, start)) from None
        raise expired(f"The resourceVersion for the provided list is too old. {error}") from None
    return _cut(found, version, start, query)


def _cut(
    found: Iterable[tuple[str, str, Record]], version: int, start: tuple[str, str], query: ListQuery
) -> Page:
    records: list[Record] = []
    last, remaining = start, 0
    for namespace, name, record in found:
        if (namespace, name) <= start and query.continue_token:
            continue
        if query.matches is not None and not query.matches(record.obj):
            continue
        if query.limit and len(records) == query.limit:
            remaining += 1
            continue
        records.append(record)
        last = (namespace, name)
    if not remaining:
        return Page(records, version)
    return Page(records, version, _token(version, last), None if query.selected else remaining)


def list_meta(page: Page) -> dict[str, object]:
    """The `metadata` of a list."""
    meta: dict[str, object] = {"resourceVersion": str(page.version)}
    if page.continue_token:
        meta["continue"] = page.continue_token
        if page.remaining is not None:
            meta["remainingItemCount"] = page.remaining
    return meta


def render(kind: Kind, page: Page, items: Iterable[bytes]) -> bytes:
    """A list object as JSON."""
    head = {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": list_meta(page)}
    return orjson.dumps(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"
