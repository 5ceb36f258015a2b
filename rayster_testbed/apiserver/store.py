"""The objects in memory, every recent change to them, and who wants to hear of the next one.

One counter numbers all writes; it is every object's `resourceVersion`. Stored objects are never changed in place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from .journal import Journal, LogRow

Json = dict[str, Any]
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Record:
    """One state of one object: as JSON bytes, and parsed when somebody looks inside."""

    __slots__ = ("_obj", "raw")

    def __init__(self, raw: bytes, obj: Json | None = None) -> None:
        self.raw = raw
        self._obj = obj

    @property
    def obj(self) -> Json:
        """The parsed object; read only."""
        if self._obj is None:
            self._obj = orjson.loads(self.raw)
        return self._obj

    def copy(self) -> Json:
        """The object as a fresh tree that may be changed."""
        return orjson.loads(self.raw)

    @property
    def version(self) -> int:
        """The `resourceVersion` as a number."""
        return int(self.obj["metadata"]["resourceVersion"])


@dataclass(slots=True)
class Event:
    """One write: the state after it (for DELETED: the last state) and the state before it, if there was one."""

    rv: int
    type: str
    storage: str
    namespace: str
    name: str
    record: Record
    previous: Record | None
    lines: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def row(self) -> LogRow:
        """The event as the journal keeps it."""
        return LogRow(self.rv, self.type, self.storage, self.namespace, self.name, self.record.raw)


class Compacted(Exception):
    """The asked-for version is older than what the store remembers; `oldest` is the oldest it can serve."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")
        self.oldest = oldest


class Store:
    """Objects by storage key, namespace and name ("" for cluster-wide ones).

    Arguments: the `journal` that survives the process (None: memory only); `history`, how many changes are
    remembered at most before half of them are compacted away.
    """

    def __init__(self, journal: Journal | None = None, history: int = 8192) -> None:
        self._objects: dict[str, dict[str, dict[str, Record]]] = {}
        self._journal = journal
        self._history_limit = history
        self._events: deque[Event] = deque()
        self._listeners: list[Callable[[Event], None]] = []
        self.version = 1
        self.compacted = 1
        if journal is not None:
            self._load(journal)

    def _load(self, journal: Journal) -> None:
        self.compacted = self.version = int(journal.meta("compacted", "1"))
        for storage, namespace, name, raw in journal.objects():
            self._bucket(storage, namespace)[name] = Record(raw)
        for row in journal.log():
            self.version = row.rv
            self._remember(row.type, row.storage, row.namespace, row.name, Record(row.raw))

    def _bucket(self, storage: str, namespace: str) -> dict[str, Record]:
        return self._objects.setdefault(storage, {}).setdefault(namespace, {})

    def _remember(self, kind: str, storage: str, namespace: str, name: str, record: Record) -> Event:
        bucket = self._bucket(storage, namespace)
        event = Event(self.version, kind, storage, namespace, name, record, bucket.get(name))
        if kind == DELETED:
            bucket.pop(name, None)
        else:
            bucket[name] = record
        self._events.append(event)
        return event

    def _write(self, kind: str, storage: str, namespace: str, name: str, obj: Json) -> Record:
        version = self.version + 1
        obj["metadata"]["resourceVersion"] = str(version)
        record = Record(orjson.dumps(obj), obj)
        if self._journal is not None:
            self._journal.append(LogRow(version, kind, storage, namespace, name, record.raw))
        self.version = version
        event = self._remember(kind, storage, namespace, name, record)
        if len(self._events) > self._history_limit:
            self.compact(self._events[len(self._events) // 2].rv)
        for listener in self._listeners:
            listener(event)
        return record

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event from now on, in order, inside the write."""
        self._listeners.append(listener)

    def get(self, storage: str, namespace: str, name: str) -> Record | None:
        """The object, or None."""
        return self._objects.get(storage, {}).get(namespace, {}).get(name)

    def put(self, storage: str, namespace: str, name: str, obj: Json) -> Record:
        """Write an object (the store takes `obj` over) and tell the listeners."""
        kind = ADDED if self.get(storage, namespace, name) is None else MODIFIED
        return self._write(kind, storage, namespace, name, obj)

    def remove(self, storage: str, namespace: str, name: str) -> Record:
        """Delete an object; its last state gets a new version of its own. Raises KeyError when it is not there."""
        record = self._objects[storage][namespace][name]
        return self._write(DELETED, storage, namespace, name, record.copy())

    def records(self, storage: str, namespace: str | None = None) -> Iterator[tuple[str, str, Record]]:
        """(namespace, name, record) in the order of their keys; `namespace` None means all."""
        return _ordered(self._objects.get(storage, {}), namespace)

    def records_at(
        self, version: int, storage: str, namespace: str | None = None
    ) -> Iterator[tuple[str, str, Record]]:
        """As `records`, but as it was at `version`. Raises Compacted when that is forgotten."""
        if version == self.version:
            return self.records(storage, namespace)
        if version < self.compacted:
            raise Compacted(version, self.compacted)
        state = {space: dict(bucket) for space, bucket in self._objects.get(storage, {}).items()}
        for event in reversed(self._events):
            if event.rv <= version:
                break
            if event.storage == storage:
                bucket = state.setdefault(event.namespace, {})
                if event.previous is None:
                    bucket.pop(event.name, None)
                else:
                    bucket[event.name] = event.previous
        return _ordered(state, namespace)

    def since(self, version: int, storage: str) -> list[Event]:
        """Events of one storage after `version`, oldest first. Raises Compacted when some are forgotten."""
        if version < self.compacted:
            raise Compacted(version, self.compacted)
        found = []
        for event in reversed(self._events):
            if event.rv <= version:
                break
            if event.storage == storage:
                found.append(event)
        found.reverse()
        return found

    def storages(self) -> list[str]:
        """The storage keys that hold, or held, objects."""
        return list(self._objects)

    def compact(self, version: int) -> None:
        """Forget how things were before `version`."""
        forgotten = []
        while self._events and self._events[0].rv <= version:
            forgotten.append(self._events.popleft())
        self.compacted = max(self.compacted, version)
        if self._journal is not None:
            self._journal.compact((event.row() for event in forgotten), self.compacted)


def _ordered(
    spaces: dict[str, dict[str, Record]], namespace: str | None
) -> Iterator[tuple[str, str, Record]]:
    for space in sorted(spaces) if namespace is None else [namespace]:
        bucket = spaces.get(space, {})
        for name in sorted(bucket):
            yield space, name, bucket[name]
