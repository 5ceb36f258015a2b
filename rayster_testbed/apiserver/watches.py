"""Watches: every write is put into one line once, and handed to all who watch for it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable

import orjson
from aiohttp import web

from .conversion import watch_line
from .errors import expired
from .kinds import Kind
from .queries import ListQuery
from .store import ADDED, DELETED, MODIFIED, Compacted, Event, Record, Store

QUEUE_LIMIT = 2000
BOOKMARK_SECONDS = 60
DEFAULT_TIMEOUT_SECONDS = (1800, 3600)
LineMaker = Callable[[Kind, Event, str], bytes]


class Watcher:
    """One open watch: the lines that wait to be written, bounded."""

    def __init__(self, kind: Kind, namespace: str | None, query: ListQuery, line: LineMaker) -> None:
        self.kind = kind
        self._namespace = namespace
        self._name = query.name
        self._matches = query.matches
        self.line = line
        self._after = query.version or 0
        self.lines: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.overflowed = False
        self.closed = False

    def offer(self, event: Event) -> None:
        """Take an event if it is one that this watch is for."""
        if (
            self.overflowed
            or event.rv <= self._after
            or (self._namespace is not None and event.namespace != self._namespace)
        ):
            return
        if self._name is not None and event.name != self._name:
            return
        seen_as = self._type(event)
        if seen_as is None:
            return
        if len(self.lines) >= QUEUE_LIMIT:
            self.overflowed = True
        else:
            self.lines.append(self.line(self.kind, event, seen_as))
        self.wake.set()

    def _type(self, event: Event) -> str | None:
        """What the event is to somebody who sees only what the selector lets through."""
        if self._matches is None:
            return event.type
        before = event.previous is not None and self._matches(event.previous.obj)
        if event.type == DELETED:
            return DELETED if before else None
        after = self._matches(event.record.obj)
        if after:
            return MODIFIED if before else ADDED
        return DELETED if before else None


class Watches:
    """All open watches, by what they watch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[str, set[Watcher]] = {}
        store.listen(self._tell)

    def _tell(self, event: Event) -> None:
        for watcher in self._open.get(event.storage, ()):
            watcher.offer(event)

    def close(self) -> None:
        """End every watch, as a server that shuts down."""
        for watchers in self._open.values():
            for watcher in watchers:
                watcher.closed = True
                watcher.wake.set()

    def close_storage(self, storage: str) -> None:
        """End the watches of a resource that is served no more."""
        for watcher in self._open.get(storage, ()):
            watcher.closed = True
            watcher.wake.set()

    async def serve(
        self,
        request: web.BaseRequest,
        kind: Kind,
        namespace: str | None,
        query: ListQuery,
        line: LineMaker = watch_line,
    ) -> web.StreamResponse:
        """Answer a watch request until its time is up, its reader is gone or too slow, or the server ends."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        watcher = Watcher(kind, namespace, query, line)
        # From here to the registration nothing is awaited, so no write falls between.
        first = self._first_lines(watcher, namespace, query)
        if first is None:
            error = expired(f"too old resource version: {query.version} ({self._store.compacted})")
            await response.prepare(request)
            await response.write(b'{"type":"ERROR","object":%s}\n' % orjson.dumps(error.body()))
            return response
        watchers = self._open.setdefault(kind.storage, set())
        watchers.add(watcher)
        try:
            await response.prepare(request)
            for at in range(0, len(first), 500):
                await response.write(b"".join(first[at : at + 500]))
            await self._stream(response, watcher, query)
        finally:
            watchers.discard(watcher)
        return response

    def _first_lines(self, watcher: Watcher, namespace: str | None, query: ListQuery) -> list[bytes] | None:
        """What a new watch begins with: the present state, or the events since a version (None: forgotten)."""
        store, kind = self._store, watcher.kind
        lines: list[bytes] = []
        if query.initial_events or (not query.version and query.initial_events is None):
            for space, name, record in store.records(kind.storage, namespace):
                if query.matches is None or query.matches(record.obj):
                    event = Event(record.version, ADDED, kind.storage, space, name, record, None)
                    lines.append(watcher.line(kind, event, ADDED))
            if query.initial_events and query.bookmarks:
                lines.append(self._bookmark(kind, {"k8s.io/initial-events-end": "true"}))
        elif query.version and query.version < store.version:
            try:
                events = store.since(query.version, kind.storage)
            except Compacted:
                return None
            for event in events:
                watcher.offer(event)
            lines.extend(watcher.lines)
            watcher.lines.clear()
            watcher.overflowed = False
        return lines

    def _bookmark(self, kind: Kind, annotations: dict[str, str] | None = None) -> bytes:
        meta: dict[str, object] = {"resourceVersion": str(self._store.version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        obj = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
        record = Record(orjson.dumps(obj), obj)
        return b'{"type":"BOOKMARK","object":%s}\n' % record.raw

    async def _stream(self, response: web.StreamResponse, watcher: Watcher, query: ListQuery) -> None:
        timeout = query.timeout_seconds or random.uniform(*DEFAULT_TIMEOUT_SECONDS)  # noqa: S311 (spreads load)
        deadline = time.monotonic() + timeout
        # A last bookmark shortly before the end lets the client go on from there.
        bookmark_at = min(time.monotonic() + BOOKMARK_SECONDS, max(deadline - 2, time.monotonic() + 0.5))
        while not watcher.closed:
            now = time.monotonic()
            if now >= deadline:
                return
            if query.bookmarks and now >= bookmark_at and not watcher.lines:
                await response.write(self._bookmark(watcher.kind))
                bookmark_at = now + BOOKMARK_SECONDS
            until = min(deadline, bookmark_at) if query.bookmarks else deadline
            alarm = asyncio.get_running_loop().call_later(max(until - now, 0.001), watcher.wake.set)
            try:
                await watcher.wake.wait()
            finally:
                alarm.cancel()
            watcher.wake.clear()
            if watcher.lines:
                chunk = b"".join(watcher.lines)
                watcher.lines.clear()
                await response.write(chunk)
            if watcher.overflowed:
                error = expired("the watch could not keep up with the events and was closed")
                await response.write(b'{"type":"ERROR","object":%s}\n' % orjson.dumps(error.body()))
                return
