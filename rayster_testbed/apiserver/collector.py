"""Owner garbage collection: objects whose owners are gone go too.

Works through the store's events one by one, as the garbage collector of a real controller-manager does, only that it
is never behind for long. An owner is meant by its uid: another object of the same name is a stranger.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Any

from .controllers import without_finalizer
from .deletion import FOREGROUND, ORPHAN, DeleteOptions
from .errors import ApiError
from .kinds import Kind
from .objects import Objects
from .store import DELETED, Event, Record

Json = dict[str, Any]
Key = tuple[str, str, str]  # storage, namespace, name
log = logging.getLogger(__name__)


class Collector:
    """The garbage collector over one store."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._store = objects.store
        self._live: dict[str, Key] = {}
        self._dependents: dict[str, set[Key]] = {}
        self._owners: dict[Key, tuple[str, ...]] = {}
        self._queue: deque[Event | Key] = deque()
        self._wake = asyncio.Event()
        for storage in self._store.storages():
            for namespace, name, record in self._store.records(storage):
                self._index((storage, namespace, name), record.obj)
        # What was due when the server last ended is due now.
        self._queue.extend(key for key in list(self._live.values()))
        self._store.listen(self._hear)

    def _hear(self, event: Event) -> None:
        self._queue.append(event)
        self._wake.set()

    def _index(self, key: Key, obj: Json) -> None:
        meta = obj["metadata"]
        self._live[meta["uid"]] = key
        owners = tuple(owner.get("uid", "") for owner in meta.get("ownerReferences") or [])
        if owners != self._owners.get(key, ()):
            self._unindex(key)
            for uid in owners:
                self._dependents.setdefault(uid, set()).add(key)
            self._owners[key] = owners

    def _unindex(self, key: Key) -> None:
        for uid in self._owners.pop(key, ()):
            dependents = self._dependents.get(uid, set())
            dependents.discard(key)
            if not dependents:
                self._dependents.pop(uid, None)

    async def run(self) -> None:
        """Collect for ever."""
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                item = self._queue.popleft()
                try:
                    self._handle(item)
                except ApiError as error:
                    log.warning("cannot collect %s: %s", item, error.message)
                await asyncio.sleep(0)

    def _handle(self, item: Event | Key) -> None:
        if isinstance(item, tuple):
            self._visit(item)
            return
        key = (item.storage, item.namespace, item.name)
        meta = item.record.obj["metadata"]
        if item.type != DELETED:
            self._index(key, item.record.obj)
            self._visit(key)
            return
        owners = self._owners.get(key, ())
        if self._live.get(meta["uid"]) == key:
            del self._live[meta["uid"]]
        if self._store.get(*key) is None:
            self._unindex(key)
        for dependent in sorted(self._dependents.get(meta["uid"], ())):
            self._visit(dependent)
        for uid in owners:
            if uid in self._live:
                self._visit(self._live[uid])

    def _visit(self, key: Key) -> None:
        """Look whether one object has to go, or has been waiting for its dependents."""
        record = self._store.get(*key)
        kind = self._objects.registry.stored_kinds().get(key[0])
        if record is None or kind is None:
            return
        meta = record.obj["metadata"]
        finalizers = meta.get("finalizers") or []
        if meta.get("deletionTimestamp") and ORPHAN in finalizers:
            self._orphan_dependents(kind, record)
        elif meta.get("deletionTimestamp") and FOREGROUND in finalizers:
            self._delete_dependents(kind, record)
        elif meta.get("ownerReferences"):
            self._check_owners(kind, key, record)

    def _solid(self, owner: Json, namespace: str) -> Record | None:
        """The owner that a reference means, if it is still there (in this namespace, or cluster-wide)."""
        key = self._live.get(owner.get("uid", ""))
        record = self._store.get(*key) if key else None
        if key is None or record is None or record.obj["metadata"]["uid"] != owner["uid"]:
            return None
        return record if key[1] in ("", namespace) else None

    def _check_owners(self, kind: Kind, key: Key, record: Record) -> None:
        meta = record.obj["metadata"]
        references = meta["ownerReferences"]
        if any(self._objects.registry.named(item["apiVersion"], item["kind"]) is None for item in references):
            # The owner's kind is not served (yet): nothing is known about it.
            return
        owners = [(item, self._solid(item, key[1])) for item in references]
        waiting = [
            found
            for _, found in owners
            if found is not None
            and found.obj["metadata"].get("deletionTimestamp")
            and FOREGROUND in (found.obj["metadata"].get("finalizers") or [])
        ]
        solid = [item for item, found in owners if found is not None and found not in waiting]
        if solid:
            if len(solid) < len(references):
                self._keep_owners(kind, key, solid)
        elif not meta.get("deletionTimestamp"):
            policy = "Foreground" if waiting and self._dependents.get(meta["uid"]) else "Background"
            self._delete(kind, record, policy)

    def _delete(self, kind: Kind, record: Record, policy: str) -> None:
        meta = record.obj["metadata"]
        finalizers = meta.get("finalizers") or []
        if ORPHAN in finalizers:
            policy = "Orphan"
        elif FOREGROUND in finalizers:
            policy = "Foreground"
        options = DeleteOptions(policy=policy, uid=meta["uid"])
        self._objects.delete(kind, meta.get("namespace", ""), meta["name"], options)

    def _keep_owners(self, kind: Kind, key: Key, owners: list[Json]) -> None:
        def change(obj: Json) -> Json:
            meta = {**obj["metadata"], "ownerReferences": owners}
            if not owners:
                del meta["ownerReferences"]
            return {**obj, "metadata": meta}

        self._objects.patch(kind, key[1], key[2], change)

    def _drop_finalizer(self, kind: Kind, record: Record, finalizer: str) -> None:
        meta = record.obj["metadata"]
        change = partial(without_finalizer, finalizer)
        self._objects.patch(kind, meta.get("namespace", ""), meta["name"], change)

    def _dependents_of(self, record: Record) -> list[tuple[Kind, Key, Record]]:
        kinds = self._objects.registry.stored_kinds()
        found = []
        for key in sorted(self._dependents.get(record.obj["metadata"]["uid"], ())):
            dependent, kind = self._store.get(*key), kinds.get(key[0])
            if dependent is not None and kind is not None:
                found.append((kind, key, dependent))
        return found

    def _orphan_dependents(self, kind: Kind, record: Record) -> None:
        uid = record.obj["metadata"]["uid"]
        for dependent_kind, key, dependent in self._dependents_of(record):
            references = dependent.obj["metadata"].get("ownerReferences") or []
            self._keep_owners(dependent_kind, key, [item for item in references if item.get("uid") != uid])
        self._drop_finalizer(kind, record, ORPHAN)

    def _delete_dependents(self, kind: Kind, record: Record) -> None:
        """Foreground: dependents first; those that block (`blockOwnerDeletion`) hold the owner until they are gone."""
        uid = record.obj["metadata"]["uid"]
        for dependent_kind, key, dependent in self._dependents_of(record):
            if not dependent.obj["metadata"].get("deletionTimestamp"):
                self._check_owners(dependent_kind, key, dependent)
        blocked = any(
            item.get("uid") == uid and item.get("blockOwnerDeletion")
            for _, _, dependent in self._dependents_of(record)
            for item in dependent.obj["metadata"].get("ownerReferences") or []
        )
        if not blocked and self._store.get(
            kind.storage, record.obj["metadata"].get("namespace", ""), record.obj["metadata"]["name"]
        ):
            self._drop_finalizer(kind, record, FOREGROUND)
