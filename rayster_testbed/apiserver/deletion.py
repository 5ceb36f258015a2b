"""Deletion: what a delete request asks for, and what it makes of an object that cannot go at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from .kinds import Kind
from .pods import grace_seconds

Json = dict[str, Any]
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


def now_text(after_seconds: int = 0) -> str:
    """The present (or a moment after it) as Kubernetes writes times."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=after_seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class DeleteOptions:
    """How to delete: grace period in seconds, propagation policy, what must still be so."""

    grace_seconds: int | None = None
    policy: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False


def is_gone(obj: Json) -> bool:
    """Whether a marked object has nothing left to wait for."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if (obj.get("spec") or {}).get("finalizers") and obj["kind"] == "Namespace":
        return False
    return not meta.get("deletionGracePeriodSeconds")


def propagate(meta: Json, policy: str | None) -> None:
    """Note in the finalizers what is to become of the dependents, in place."""
    if policy is None:
        return
    kept = [item for item in meta.get("finalizers") or [] if item not in (FOREGROUND, ORPHAN)]
    if policy == "Foreground":
        kept.append(FOREGROUND)
    elif policy == "Orphan":
        kept.append(ORPHAN)
    if kept:
        meta["finalizers"] = kept
    else:
        meta.pop("finalizers", None)


def mark_deleted(kind: Kind, obj: Json, asked_grace: int | None) -> bool:
    """Mark an object as being deleted, in place; whether something must happen before it goes.

    As `rest.BeforeDelete` does: a grace period may only be shortened, finalizers hold the object.
    """
    meta = obj["metadata"]
    if kind.storage == "namespaces":
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
    waits = bool(meta.get("finalizers")) or (
        kind.storage == "namespaces" and bool(obj["spec"].get("finalizers"))
    )
    if kind.storage == "pods":
        running = meta.get("deletionGracePeriodSeconds")
        if meta.get("deletionTimestamp"):
            if not running:
                return waits
            if asked_grace is None or max(asked_grace, 0) >= running:
                return True
            seconds = grace_seconds(obj, asked_grace)
            began = datetime.fromisoformat(meta["deletionTimestamp"].replace("Z", "+00:00"))
            moment = began - timedelta(seconds=running - seconds)
            meta["deletionTimestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            meta["deletionGracePeriodSeconds"] = seconds
            return waits or seconds > 0
        seconds = grace_seconds(obj, asked_grace)
        meta["deletionTimestamp"] = now_text(seconds)
        meta["deletionGracePeriodSeconds"] = seconds
        meta["generation"] = meta.get("generation", 0) + 1
        return waits or seconds > 0
    if waits and not meta.get("deletionTimestamp"):
        meta["deletionTimestamp"] = now_text()
        meta["deletionGracePeriodSeconds"] = 0
        if meta.get("generation"):
            meta["generation"] += 1
    return waits
