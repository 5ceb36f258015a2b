"""The controllers in the API's process: namespaces empty themselves, claims get volumes, old events go."""

from __future__ import annotations

import asyncio
import logging
import time
from base64 import b64encode
from datetime import datetime, timezone
from functools import partial
from typing import Any

from . import definitions
from .errors import ApiError
from .identity import AccountTokens
from .kinds import Kind
from .objects import Objects
from .store import ADDED, DELETED, Event

Json = dict[str, Any]
log = logging.getLogger(__name__)
EVENT_LIFE_SECONDS = 3600
SWEEP_SECONDS = 60
FURNITURE = {("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")}
TOKEN_SECRET, TOKEN_ACCOUNT = "kubernetes.io/service-account-token", "kubernetes.io/service-account"
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"


def without_finalizer(finalizer: str, obj: Json) -> Json:
    """An object without one of its finalizers."""
    left = [item for item in obj["metadata"].get("finalizers") or [] if item != finalizer]
    return {**obj, "metadata": {**obj["metadata"], "finalizers": left}}


class Controllers:
    """Namespace, volume and event controllers over one store, woken by its events."""

    def __init__(self, objects: Objects, tokens: AccountTokens) -> None:
        self._objects = objects
        self._tokens = tokens
        self._store = objects.store
        self._namespaces: set[str] = {
            name
            for _, name, record in self._store.records("namespaces")
            if record.obj["metadata"].get("deletionTimestamp")
        }
        self._claims: set[tuple[str, str]] = {
            (namespace, name) for namespace, name, _ in self._store.records("persistentvolumeclaims")
        }
        self._bare: set[str] = set()
        self._secrets: set[tuple[str, str]] = {
            (namespace, name) for namespace, name, _ in self._store.records("secrets")
        }
        self._definitions: set[str] = {name for _, name, _ in self._store.records(definitions.STORAGE)}
        self._ending: set[str] = set()
        self._wake = asyncio.Event()
        self._terminating = set(self._namespaces)
        self._store.listen(self._hear)

    def _hear(self, event: Event) -> None:
        if event.storage == "namespaces":
            if event.type == DELETED:
                self._terminating.discard(event.name)
            elif event.record.obj["metadata"].get("deletionTimestamp"):
                self._terminating.add(event.name)
                self._namespaces.add(event.name)
        elif event.type == DELETED and event.namespace in self._terminating:
            self._namespaces.add(event.namespace)
        elif event.type == DELETED and (event.storage, event.name) in FURNITURE:
            self._bare.add(event.namespace)
        if event.storage == definitions.STORAGE or (event.type == DELETED and event.storage in self._ending):
            self._definitions.add(event.name if event.storage == definitions.STORAGE else event.storage)
        if event.storage == "secrets" and event.type == ADDED:
            self._secrets.add((event.namespace, event.name))
        if event.storage == "persistentvolumeclaims":
            self._claims.add((event.namespace, event.name))
        elif event.storage == "pods":
            for volume in event.record.obj["spec"].get("volumes") or []:
                if "persistentVolumeClaim" in volume:
                    self._claims.add((event.namespace, volume["persistentVolumeClaim"].get("claimName", "")))
        if self._namespaces or self._claims or self._definitions or self._bare or self._secrets:
            self._wake.set()

    async def run(self) -> None:
        """Control for ever."""
        self._wake.set()
        swept = time.monotonic()
        while True:
            alarm = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._wake.set)
            await self._wake.wait()
            alarm.cancel()
            self._wake.clear()
            while self._namespaces:
                self._try(self._empty_namespace, self._namespaces.pop())
            while self._bare:
                self._try(self._furnish, self._bare.pop())
            while self._secrets:
                self._try(self._fill_secret, *self._secrets.pop())
            while self._definitions:
                self._try(self._empty_definition, self._definitions.pop())
            while self._claims:
                self._try(self._settle_claim, *self._claims.pop())
            if time.monotonic() >= swept + SWEEP_SECONDS:
                swept = time.monotonic()
                self._forget_events()

    def _try(self, step: Any, *arguments: str) -> None:
        try:
            step(*arguments)
        except ApiError as error:
            log.warning("cannot %s %s: %s", step.__name__.strip("_"), "/".join(arguments), error.message)

    def _kind(self, storage: str) -> Kind:
        return self._objects.registry.stored_kinds()[storage]

    def _empty_namespace(self, name: str) -> None:
        """Delete what is in a namespace that is going; when nothing is left, let it go."""
        record = self._store.get("namespaces", "", name)
        if record is None or not record.obj["metadata"].get("deletionTimestamp"):
            return
        left = 0
        for storage, kind in self._objects.registry.stored_kinds().items():
            if not kind.namespaced:
                continue
            for _, object_name, found in list(self._store.records(storage, name)):
                if found.obj["metadata"].get("deletionTimestamp"):
                    left += 1
                    continue
                _, gone = self._objects.delete(kind, name, object_name)
                left += not gone
        if left:
            return

        def finalize(obj: Json) -> Json:
            return {**obj, "spec": {"finalizers": []}}

        self._objects.patch(self._kind("namespaces"), "", name, finalize, "finalize")

    def _furnish(self, namespace: str) -> None:
        """Put back what every namespace has."""
        record = self._store.get("namespaces", "", namespace)
        if record is not None and not record.obj["metadata"].get("deletionTimestamp"):
            self._objects.on_namespace(namespace)

    def _fill_secret(self, namespace: str, name: str) -> None:
        """Put a lasting token into a secret of type `kubernetes.io/service-account-token`."""
        record = self._store.get("secrets", namespace, name)
        if (
            record is None
            or record.obj.get("type") != TOKEN_SECRET
            or "token" in (record.obj.get("data") or {})
        ):
            return
        account_name = (record.obj["metadata"].get("annotations") or {}).get(f"{TOKEN_ACCOUNT}.name", "")
        account = self._objects.lookup("serviceaccounts", namespace, account_name)
        if account is None:
            return
        ca = (self._objects.lookup("configmaps", namespace, "kube-root-ca.crt") or {}).get("data") or {}
        values = {
            "token": self._tokens.issue(account, [], None),
            "namespace": namespace,
            "ca.crt": ca.get("ca.crt", ""),
        }
        data = {key: b64encode(value.encode()).decode() for key, value in values.items()}
        uid = {f"{TOKEN_ACCOUNT}.uid": account["metadata"]["uid"]}

        def fill(obj: Json) -> Json:
            meta = {**obj["metadata"], "annotations": {**obj["metadata"]["annotations"], **uid}}
            return {**obj, "metadata": meta, "data": {**(obj.get("data") or {}), **data}}

        self._objects.patch(self._kind("secrets"), namespace, name, fill)

    def _empty_definition(self, name: str) -> None:
        """Delete the objects of a definition that is going; when nothing is left, let it go."""
        record = self._store.get(definitions.STORAGE, "", name)
        if record is None or not record.obj["metadata"].get("deletionTimestamp"):
            self._ending.discard(name)
            return
        self._ending.add(name)
        kind, left = self._objects.registry.stored_kinds().get(name), 0
        for namespace, object_name, found in list(self._store.records(name)):
            if kind is None or found.obj["metadata"].get("deletionTimestamp"):
                left += 1
                continue
            left += not self._objects.delete(kind, namespace, object_name)[1]
        if not left:
            definition = self._objects.registry.stored_kinds()[definitions.STORAGE]
            self._objects.patch(definition, "", name, partial(without_finalizer, definitions.CLEANUP))

    def _settle_claim(self, namespace: str, name: str) -> None:
        """Bind a new claim to a volume made for it; let a deleted claim go once no pod uses it."""
        record = self._store.get("persistentvolumeclaims", namespace, name)
        if record is None:
            return
        claim = record.obj
        if claim["metadata"].get("deletionTimestamp"):
            if not self._in_use(namespace, name):
                self._release(claim)
        elif not claim["spec"].get("volumeName"):
            self._provision(claim)
        elif claim["status"].get("phase") != "Bound":
            self._bind(claim, claim["spec"]["volumeName"])

    def _in_use(self, namespace: str, name: str) -> bool:
        for _, _, record in self._store.records("pods", namespace):
            pod = record.obj
            if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                continue
            for volume in pod["spec"].get("volumes") or []:
                if (volume.get("persistentVolumeClaim") or {}).get("claimName") == name:
                    return True
        return False

    def _release(self, claim: Json) -> None:
        meta = claim["metadata"]
        if CLAIM_FINALIZER in (meta.get("finalizers") or []):
            kind = self._kind("persistentvolumeclaims")
            change = partial(without_finalizer, CLAIM_FINALIZER)
            self._objects.patch(kind, meta["namespace"], meta["name"], change)
        volume = claim["spec"].get("volumeName", "")
        if self._store.get("persistentvolumeclaims", meta["namespace"], meta["name"]) is None:
            found = self._store.get("persistentvolumes", "", volume)
            if found is not None and found.obj["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
                self._objects.delete(self._kind("persistentvolumes"), "", volume)

    def _provision(self, claim: Json) -> None:
        class_name = claim["spec"].get("storageClassName", "standard")
        if self._store.get("storageclasses.storage.k8s.io", "", class_name) is None:
            return
        meta = claim["metadata"]
        name = f"pvc-{meta['uid']}"
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "accessModes": claim["spec"].get("accessModes", []),
                "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "name": meta["name"],
                    "namespace": meta["namespace"],
                    "uid": meta["uid"],
                },
                "hostPath": {"path": f"{meta['namespace']}/{meta['name']}"},
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": class_name,
                "volumeMode": "Filesystem",
            },
        }
        kind = self._kind("persistentvolumes")
        if self._store.get(kind.storage, "", name) is None:
            self._objects.create(kind, "", volume)
            self._objects.patch(kind, "", name, lambda obj: {**obj, "status": {"phase": "Bound"}}, "status")
        self._bind(claim, name)

    def _bind(self, claim: Json, volume: str) -> None:
        kind, meta = self._kind("persistentvolumeclaims"), claim["metadata"]
        class_name = claim["spec"].get("storageClassName", "standard")
        capacity = claim["spec"]["resources"]["requests"]
        status = {"phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": capacity}
        spec = {**claim["spec"], "volumeName": volume, "storageClassName": class_name}
        place = (kind, meta["namespace"], meta["name"])
        self._objects.patch(*place, lambda obj: {**obj, "spec": spec})
        self._objects.patch(*place, lambda obj: {**obj, "status": status}, "status")

    def _forget_events(self) -> None:
        """Events live one hour, as on a real server."""
        kind, now = self._kind("events"), datetime.now(timezone.utc)
        for namespace, name, record in list(self._store.records("events")):
            text = record.obj["metadata"]["creationTimestamp"]
            made = datetime.fromisoformat(text.replace("Z", "+00:00"))
            if (now - made).total_seconds() > EVENT_LIFE_SECONDS:
                self._objects.delete(kind, namespace, name)
