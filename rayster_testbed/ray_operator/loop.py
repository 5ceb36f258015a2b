"""The operator's loop: follows RayClusters and what belongs to them, and brings each to what its spec says."""

from __future__ import annotations

import asyncio
import base64
import secrets
from typing import Any

import structlog

from rayster_testbed.kube import TROUBLE, ApiError, KubeClient, Obj, path, path_of
from rayster_testbed.kube_events import EventRecorder, reference, timestamp
from rayster_testbed.kube_informer import Informer, Key, Reconciler
from rayster_testbed.ray_operator import names
from rayster_testbed.ray_operator.keeper import PodKeeper, ReplicaFailure, Unfinished
from rayster_testbed.ray_operator.services import head_service, head_service_labels
from rayster_testbed.ray_operator.status import differs, status_of
from rayster_testbed.ray_operator.validation import metadata_problem, spec_problem

log = structlog.get_logger()

# After a change of the status, and without any reason (`RAYCLUSTER_DEFAULT_REQUEUE_SECONDS`).
_SOON_SECONDS = 2.0
_ANYWAY_SECONDS = 300.0
_UNFINISHED_SECONDS = 0.02
_FIRST_RETRY_SECONDS = 0.02
_LAST_RETRY_SECONDS = 60.0


class RayOperator:
    """Keeps every RayCluster of all namespaces."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._clusters = Informer(client, path(names.PLURAL, api=names.API), on_change=self._cluster_changed)
        self._pods = Informer(
            client, path("pods"), label_selector=names.POD_SELECTOR, on_change=self._owned_changed
        )
        self._services = Informer(
            client, path("services"), label_selector=names.POD_SELECTOR, on_change=self._owned_changed
        )
        self._events = EventRecorder(client, "raycluster-controller", series=True, by_message=False)
        self._keeper = PodKeeper(client, self._pods, self._tell)
        self._queue = Reconciler(
            self._reconcile, first_retry_seconds=_FIRST_RETRY_SECONDS, last_retry_seconds=_LAST_RETRY_SECONDS
        )

    async def run(self) -> None:
        """Work for ever."""
        informers = (self._clusters, self._pods, self._services)
        try:
            await asyncio.gather(
                self._events.run(), self._begin(), *(informer.run() for informer in informers)
            )
        finally:
            await self._queue.close()

    async def _begin(self) -> None:
        """Look at every cluster once all is known: before that, one would make pods that are there already."""
        for informer in (self._clusters, self._pods, self._services):
            await informer.synced.wait()
        for key in list(self._clusters.items):
            self._queue.add(key)

    def _cluster_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is None or new is None or _matters(old) != _matters(new):
            self._add((new or old or {})["metadata"])

    def _owned_changed(self, old: Obj | None, new: Obj | None) -> None:
        for obj in (old, new):
            for owner in (obj or {}).get("metadata", {}).get("ownerReferences") or []:
                if owner.get("controller") and owner["kind"] == names.KIND:
                    self._add({"namespace": (obj or {})["metadata"]["namespace"], "name": owner["name"]})

    def _add(self, metadata: Obj) -> None:
        if all(informer.synced.is_set() for informer in (self._clusters, self._pods, self._services)):
            self._queue.add((metadata["namespace"], metadata["name"]))

    def _tell(self, cluster: Obj, kind: str, reason: str, action: str, message: str) -> None:
        log.info(reason, cluster="/".join(_key(cluster)), message=message)
        about = reference(cluster, names.KIND) | {"apiVersion": names.API_VERSION}
        self._events.record(about, kind, reason, message, action=action)

    async def _reconcile(self, key: Any) -> float | None:
        cluster = self._clusters.items.get(key)
        if cluster is None:
            self._keeper.expectations.forget(key)
            return None
        if cluster["spec"].get("managedBy", names.MANAGER) != names.MANAGER or not self._is_valid(cluster):
            return None
        if cluster["metadata"].get("deletionTimestamp"):
            return None
        trouble: Exception | None = None
        failure: tuple[str, str] | None = None
        try:
            await self._keep_token(cluster)
            await self._keep_service(cluster)
            await self._keeper.reconcile(cluster)
        except ReplicaFailure as error:
            trouble, failure = error.cause, (error.reason, str(error))
        except (Unfinished, *TROUBLE) as error:
            trouble = error
        changed = await self._write_status(cluster, trouble is not None, failure)
        if isinstance(trouble, Unfinished):
            log.info("goes on", cluster="/".join(key), why=str(trouble))
            return _UNFINISHED_SECONDS
        if trouble is not None:
            raise trouble
        return _SOON_SECONDS if changed else _ANYWAY_SECONDS

    def _is_valid(self, cluster: Obj) -> bool:
        """Whether the cluster can be worked on; an event, and nothing else, says why not."""
        for part, problem in (
            ("metadata", metadata_problem(cluster["metadata"])),
            ("spec", spec_problem(cluster["spec"])),
        ):
            if problem is not None:
                words = f"The RayCluster {part} is invalid {'/'.join(_key(cluster))}: {problem}"
                self._tell(cluster, "Warning", f"InvalidRayCluster{part.capitalize()}", "Validate", words)
                return False
        return True

    async def _keep_token(self, cluster: Obj) -> None:
        """Make the secret with Ray's token, unless it is there: one that somebody else made is taken as it is."""
        if not names.uses_token(cluster["spec"]) or cluster["spec"]["authOptions"].get("secretName"):
            return
        namespace, name = cluster["metadata"]["namespace"], names.secret_name(cluster["metadata"]["name"])
        if await self._client.find(path("secrets", namespace, name)) is not None:
            return
        token = base64.b64encode(secrets.token_bytes(32))
        secret = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {names.CLUSTER_LABEL: cluster["metadata"]["name"]},
                "ownerReferences": [names.controller_reference(cluster)],
            },
            "data": {"auth_token": base64.b64encode(token).decode()},
        }
        await self._client.create(path("secrets", namespace), secret)

    async def _keep_service(self, cluster: Obj) -> None:
        if self._head_service(cluster) is not None:
            return
        service = head_service(cluster)
        name = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        try:
            await self._client.create(path("services", service["metadata"]["namespace"]), service)
        except ApiError as error:
            words = f"Failed creating service {name}, {error.message}"
            self._tell(cluster, "Warning", "FailedToCreateService", "Create", words)
            raise
        self._tell(cluster, "Normal", "CreatedService", "Create", f"Created service {name}")

    def _head_service(self, cluster: Obj) -> Obj | None:
        wanted = head_service_labels(cluster).items()
        for service in self._services.items.values():
            metadata = service["metadata"]
            same_namespace = metadata["namespace"] == cluster["metadata"]["namespace"]
            if same_namespace and wanted <= (metadata.get("labels") or {}).items():
                return service
        return None

    async def _write_status(self, cluster: Obj, trouble: bool, failure: tuple[str, str] | None) -> bool:
        """Bring the status up to date; whether it had to be changed."""
        pods, service = self._keeper.pods_of(cluster), self._head_service(cluster)
        status = status_of(cluster, pods, service, timestamp(), trouble=trouble, failure=failure)
        if not differs(cluster.get("status") or {}, status):
            return False
        try:
            await self._client.replace(
                path_of(names.PLURAL, cluster, "status", api=names.API), {**cluster, "status": status}
            )
        except ApiError as error:
            # Changed, or gone, meanwhile: its change is on its way here and leads to another look.
            if error.status not in (404, 409):
                raise
        return True


def _matters(cluster: Obj) -> tuple:
    """What of a cluster is worth a look when it changes: not the status."""
    metadata = cluster["metadata"]
    return (
        metadata.get("generation"),
        metadata.get("labels"),
        metadata.get("annotations"),
        metadata.get("deletionTimestamp"),
    )


def _key(cluster: Obj) -> Key:
    return cluster["metadata"]["namespace"], cluster["metadata"]["name"]
