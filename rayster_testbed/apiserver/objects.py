"""Create, replace, patch and delete: what a write request does to the store, whoever sends it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import orjson

from . import schemas
from .admission import (
    PROTECTED_NAMESPACES,
    admit_pod,
    check_namespace,
    default_tolerations,
    random_suffix,
)
from .conversion import from_stored, to_stored
from .decoding import FieldReport, conform
from .deletion import DeleteOptions, is_gone, mark_deleted, now_text, propagate
from .errors import (
    ApiError,
    Cause,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from .kinds import Kind, Registry
from .rules import rules_for
from .services import assign_address
from .store import Record, Store
from .validation import metadata_causes, metadata_update_causes

Json = dict[str, Any]
SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")

PLAIN_DELETE = DeleteOptions()


class Objects:
    """The writing side of the API over one store."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry
        self.on_namespace: Callable[[str], None] = lambda name: None

    def lookup(self, storage: str, namespace: str, name: str) -> Json | None:
        """A stored object, or None."""
        record = self.store.get(storage, namespace, name)
        return record.obj if record else None

    def read(self, kind: Kind, namespace: str, name: str) -> Record:
        """A stored object. Raises: ApiError 404."""
        record = self.store.get(kind.storage, namespace, name)
        if record is None:
            raise not_found(kind.plural, kind.group, name)
        return record

    def _save(self, kind: Kind, obj: Json, dry_run: bool) -> Record:
        meta = obj["metadata"]
        if dry_run:
            return Record(orjson.dumps(obj))
        return self.store.put(kind.storage, meta.get("namespace", ""), meta["name"], obj)

    # Create

    def create(
        self,
        kind: Kind,
        namespace: str,
        obj: Json,
        dry_run: bool = False,
        report: FieldReport | None = None,
        managed: list[Json] | None = None,
    ) -> Record:
        """Create an object from a client's body; `managed` is its first `managedFields`. Raises: ApiError."""
        obj = to_stored(kind, self._decode(kind, obj, report))
        meta = obj["metadata"]
        self._place(kind, meta, namespace)
        if meta.get("resourceVersion") not in (None, "", "0"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        for field in (*SERVER_OWNED, "selfLink", "resourceVersion", "managedFields"):
            meta.pop(field, None)
        if managed:
            meta["managedFields"] = managed
        generated = not meta.get("name") and meta.get("generateName")
        if generated:
            meta["name"] = meta["generateName"][:58] + random_suffix()
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = now_text()
        if kind.generation:
            meta["generation"] = 1
        if kind.namespaced:
            check_namespace(kind, namespace, meta.get("name", ""), self.lookup)
        rules = rules_for(kind.storage)
        rules.default(obj)
        if kind.storage == "pods":
            admit_pod(obj, self.lookup)
        if kind.custom and "status" in kind.subresources:
            obj.pop("status", None)
        rules.prepare(obj)
        if kind.storage == "services":
            assign_address(obj, self.store)
        self._check(kind, obj, None)
        if self.store.get(kind.storage, namespace if kind.namespaced else "", meta["name"]) is not None:
            raise already_exists(kind.plural, kind.group, meta["name"])
        record = self._save(kind, obj, dry_run)
        if kind.storage == "namespaces" and not dry_run:
            self.on_namespace(meta["name"])
        return record

    def _decode(self, kind: Kind, obj: Json, report: FieldReport | None) -> Json:
        unknown: list[str] = []
        obj = conform(obj, kind, unknown)
        if kind.schema is not None:
            obj = schemas.admit(kind.schema, obj, unknown)
        if report is not None:
            report.take(kind, unknown)
        return obj

    def _place(self, kind: Kind, meta: Json, namespace: str) -> None:
        if not kind.namespaced:
            meta.pop("namespace", None)
            return
        if meta.get("namespace", namespace) not in ("", namespace):
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = namespace

    def _check(self, kind: Kind, new: Json, old: Json | None) -> None:
        causes = metadata_causes(new["metadata"], kind)
        if old is not None:
            causes += metadata_update_causes(new["metadata"], old["metadata"])
        causes += rules_for(kind.storage).causes(new, old)
        if kind.schema is not None:
            causes += schemas.causes(kind.schema, from_stored(kind, new))
        if causes:
            raise invalid(kind.kind, kind.group, new["metadata"].get("name", ""), causes)

    # Replace and patch

    def replace(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        obj: Json,
        subresource: str = "",
        dry_run: bool = False,
        report: FieldReport | None = None,
    ) -> tuple[Record, bool]:
        """PUT: replace an object (or its status) by a client's body; the second value says whether it was created."""
        rules = rules_for(kind.storage)
        obj = to_stored(kind, self._decode(kind, obj, report))
        meta = obj["metadata"]
        if meta.get("name", name) != name:
            raise bad_request(
                f"the name of the object ({meta.get('name')}) does not match the name on the URL ({name})"
            )
        meta["name"] = name
        self._place(kind, meta, namespace)
        record = self.store.get(kind.storage, namespace, name)
        version = meta.get("resourceVersion") or "0"
        if record is None:
            if rules.create_on_put and not subresource and version == "0":
                return self.create(kind, namespace, from_stored(kind, obj), dry_run, report), True
            raise not_found(kind.plural, kind.group, name)
        if version == "0" and (kind.custom or not rules.unconditional):
            cause = Cause(
                "metadata.resourceVersion",
                "FieldValueInvalid",
                "Invalid value: 0x0: must be specified for an update",
            )
            raise invalid(kind.kind, kind.group, name, [cause])
        return self._replace(kind, record, obj, version, subresource, dry_run), False

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Callable[[Json], Json],
        subresource: str = "",
        dry_run: bool = False,
        report: FieldReport | None = None,
        managed: bool = False,
    ) -> Record:
        """Replace an object by what `change` makes of it (`managed`: its managedFields too). Raises: ApiError."""
        record = self.read(kind, namespace, name)
        current = from_stored(kind, record.obj)
        changed = change(current)
        if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
            raise bad_request(f"{kind.kind}.metadata: the patch leaves no object")
        obj = to_stored(kind, self._decode(kind, changed, report))
        meta = obj["metadata"]
        if meta.get("name") != name:
            raise bad_request(
                f"the name of the object ({meta.get('name', '')}) does not match the name on the URL ({name})"
            )
        self._place(kind, meta, namespace)
        version = meta.get("resourceVersion") or "0"
        return self._replace(kind, record, obj, version, subresource, dry_run, managed)

    def _replace(
        self,
        kind: Kind,
        record: Record,
        obj: Json,
        version: str,
        subresource: str,
        dry_run: bool,
        managed: bool = False,
    ) -> Record:
        old, name = record.obj, record.obj["metadata"]["name"]
        if version not in ("0", old["metadata"]["resourceVersion"]):
            raise conflict(kind.plural, kind.group, name)
        uid, had = obj["metadata"].get("uid"), old["metadata"]["uid"]
        if uid and uid != had:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {had}"
            raise conflict(kind.plural, kind.group, name, why)
        new = self._merged(kind, obj, old, subresource)
        meta = new["metadata"]
        if managed:
            meta["managedFields"] = obj["metadata"]["managedFields"]
        for field in SERVER_OWNED if managed else (*SERVER_OWNED, "managedFields"):
            if field in old["metadata"] and (field != "creationTimestamp" or not meta.get(field)):
                meta[field] = old["metadata"][field]
            elif field not in old["metadata"]:
                meta.pop(field, None)
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        rules_for(kind.storage).default(new)
        if kind.storage == "services":
            assign_address(new, self.store, old)
        if kind.generation and _spec_changed(kind, new, old):
            meta["generation"] = old["metadata"].get("generation", 0) + 1
        if new == old:
            return record
        self._check(kind, new, old)
        if is_gone(new):
            return record if dry_run else self._remove(kind, new)
        return self._save(kind, new, dry_run)

    def _merged(self, kind: Kind, obj: Json, old: Json, subresource: str) -> Json:
        """The parts of a body that this request may change, on top of the rest of the old object."""
        if subresource in ("status", "approval"):
            if kind.custom:
                new = orjson.loads(orjson.dumps(old))
            else:
                new = {**orjson.loads(orjson.dumps(old)), "metadata": obj["metadata"]}
            new.pop("status", None)
            if kind.storage == "pods":
                qos_class = (old.get("status") or {}).get("qosClass")
                return {**new, "status": {**(obj.get("status") or {}), "qosClass": qos_class}}
            return {**new, "status": obj["status"]} if "status" in obj else new
        if subresource == "finalize":
            finalizers = (obj.get("spec") or {}).get("finalizers") or []
            return {**orjson.loads(orjson.dumps(old)), "spec": {"finalizers": finalizers}}
        new = dict(obj)
        if "status" in kind.subresources:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        if kind.storage == "namespaces":
            new["spec"] = old.get("spec", {})
        new = orjson.loads(orjson.dumps(new))
        if kind.storage == "pods":
            _keep_admitted(new, old)
        return new

    # Delete

    def delete(
        self, kind: Kind, namespace: str, name: str, options: DeleteOptions = PLAIN_DELETE
    ) -> tuple[Record, bool]:
        """Delete an object, at once or by marking it; the second value says whether it is gone. Raises: ApiError."""
        record = self.read(kind, namespace, name)
        meta = record.obj["metadata"]
        if options.uid and options.uid != meta["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {meta['uid']}"
            )
            raise conflict(kind.plural, kind.group, name, why)
        if options.resource_version and options.resource_version != meta["resourceVersion"]:
            why = (
                f"Precondition failed: ResourceVersion in precondition: {options.resource_version}, "
                f"ResourceVersion in object meta: {meta['resourceVersion']}"
            )
            raise conflict(kind.plural, kind.group, name, why)
        if kind.storage == "namespaces" and name in PROTECTED_NAMESPACES[:3]:
            raise forbidden("namespaces", "", name, "this namespace may not be deleted")
        new = record.copy()
        propagate(new["metadata"], options.policy)
        pending = mark_deleted(kind, new, options.grace_seconds)
        if options.dry_run:
            return record, not pending
        if pending:
            if new == record.obj:
                return record, False
            return self._save(kind, new, dry_run=False), False
        if kind.storage == "pods" and new != record.obj:
            self._save(kind, new, dry_run=False)
        return self._remove(kind, new), True

    def _remove(self, kind: Kind, obj: Json) -> Record:
        return self.store.remove(kind.storage, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _spec_changed(kind: Kind, new: Json, old: Json) -> bool:
    if not kind.custom:
        return new.get("spec") != old.get("spec")
    aside = {"metadata", "status"} if "status" in kind.subresources else {"metadata"}
    return any(new.get(key) != old.get(key) for key in {*new, *old} - aside)


def _keep_admitted(new: Json, old: Json) -> None:
    """A client that leaves out of a pod what admission filled in does not change it; in place."""
    spec = new.setdefault("spec", {})
    for field in ("serviceAccountName", "serviceAccount", "priority", "preemptionPolicy"):
        if field not in spec and field in old["spec"]:
            spec[field] = old["spec"][field]
    default_tolerations(spec)
