"""Creates and deletes the server's pod so that neither a lost answer nor a dead node costs or leaks a job."""

import asyncio
import json
import time
from abc import abstractmethod
from typing import Any

import aiohttp
from kubernetes_asyncio import client
from kubernetes_asyncio.client.rest import ApiException
from traitlets import Integer

from ..interlink import JOB_ID_ANNOTATION
from ..offload import SITE_LABEL
from .pod_status import Pod
from .pod_watch import PodWatch
from .site_message import site_words
from .spawn_errors import PodUnknown, spawn_failed

SPAWN_ID = "rayster.dev/spawn-id"
# When the server was asked for, in seconds since the epoch.
REQUESTED_AT = "rayster.dev/requested-at"
CLOUD_SITE = "cloud"

_DELETE_AGAIN_SECONDS = (5, 15, 60, 300)
_DELETE_GIVE_UP_SECONDS = 24 * 3600
_LOST_ANSWER = (asyncio.TimeoutError, aiohttp.ClientError, OSError)


class PodRequests(PodWatch):
    """KubeSpawner with requests that can be repeated: the pod of a spawn is known by its spawn id."""

    stop_timeout = Integer(
        30,
        min=1,
        config=True,
        help="""
        Timeout (in seconds) for the pod of a stopped server to vanish.

        The pod of a virtual node that is down keeps terminating until the node is back, which may take hours. The
        server counts as stopped after this time; the deletion stays in the cluster and is carried out later.

        KubeSpawner waits for `start_timeout`, which is as long as the longest queue.
        """,
    )

    _background: set[asyncio.Task] = set()
    # Before a new spawn has asked for its pod there is nothing to poll or to delete.
    _may_have_pod = True
    # The API server was asked for the pod and has not answered: the pod may appear at any moment.
    _may_appear = False

    @property
    @abstractmethod
    def spawn_id(self) -> str | None:
        """The id of the present spawn; the subclass that starts spawns knows it."""

    @property
    @abstractmethod
    def is_offloaded(self) -> bool:
        """Whether the present server belongs on a virtual node."""

    def is_ours(self, pod: Pod | None) -> bool:
        """Tell whether ``pod`` was created by the present spawn."""
        annotations = ((pod or {}).get("metadata") or {}).get("annotations") or {}
        return self.spawn_id is not None and annotations.get(SPAWN_ID) == self.spawn_id

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:
        """Create the pod. Returns False when it has to be tried again (for `exponential_backoff`).

        A request whose answer was lost may have created the pod: then the next one answers 409, and the pod with our
        spawn id is taken as it is. KubeSpawner would delete it and lose its place in the queue.
        """
        self._may_have_pod = self._may_appear = True
        try:
            self.log.info("Creating pod %s", self.pod_key)
            request = self.api.create_namespaced_pod(self.namespace, pod)
            self._see(self.as_plain(await asyncio.wait_for(request, request_timeout)))
        except ApiException as error:
            self._may_appear = error.status >= 500
            if error.status == 409:
                return await self._adopt_or_remove()
            if error.status == 429 or error.status >= 500:
                self.log.warning("Cannot create pod %s yet: HTTP %s", self.pod_key, error.status)
                return False
            raise self._refused_by_cluster(error) from error
        except _LOST_ANSWER as error:
            self.log.warning("No answer about pod %s yet: %s", self.pod_key, error or type(error).__name__)
            return False
        self._may_appear = False
        return True

    def _refused_by_cluster(self, error: ApiException) -> Exception:
        try:
            said = json.loads(error.body or b"")["message"]
        except (TypeError, ValueError, KeyError):
            said = error.reason
        return spawn_failed(
            f"The cluster refused the server: {site_words(str(said))}",
            reason="refused-by-cluster",
            counted=not self.is_offloaded,
        )

    async def _adopt_or_remove(self) -> bool:
        """Take the pod that stands in the way when it is ours, else delete it. Returns whether it is ours."""
        try:
            existing = await self.read_pod()
        except PodUnknown:
            return False
        if existing is None:
            return False
        if self.is_ours(existing):
            self.log.info("Pod %s of this spawn exists already, taking it", self.pod_key)
            self._see(existing)
            return True
        self.log.info("Pod %s is left from an earlier server, deleting it", self.pod_key)
        await self.stop(now=True)
        node = (existing.get("spec") or {}).get("nodeName") or "its node"
        if await self._still_there(existing["metadata"]["uid"]):
            raise spawn_failed(
                f"Your previous server is still being ended by {node}. Try again later, or choose another site.",
                reason="previous-server",
                counted=False,
            )
        return False

    async def _still_there(self, uid: str) -> bool:
        try:
            pod = await self.read_pod()
        except PodUnknown:
            return False
        return pod is not None and pod["metadata"]["uid"] == uid

    def _see(self, pod: Pod) -> None:
        """Put what the API server answered into the watch, which hears of it a little later."""
        known = self.pod_reflector.resources.get(self.pod_key)
        if known is None or known["metadata"]["uid"] != pod["metadata"]["uid"]:
            self.pod_reflector.resources[self.pod_key] = pod

    async def stop(self, now: bool = False) -> None:
        """Delete the pod and wait until it is gone, but not longer than `stop_timeout`. A lost delete is repeated."""
        # Grace 0 takes a pod away before its node has heard of it; a virtual node would never cancel the job.
        grace_seconds = 0 if now and not self._may_be_a_job() else max(1, self.delete_grace_period)
        started = time.monotonic()
        while not await self._delete_once(grace_seconds):
            if time.monotonic() - started > self.k8s_api_request_retry_timeout:
                self.log.error("The API server cannot be reached; pod %s will be deleted later", self.pod_key)
                self._delete_later(grace_seconds)
                return
            await asyncio.sleep(1)
        await self._wait_until_gone(started + self.stop_timeout)
        if self._may_appear:
            # It was cancelled while it was created: the request may still be on its way.
            self._delete_later(grace_seconds)

    def _may_be_a_job(self) -> bool:
        known = self.pod_reflector.pods.get(self.pod_key) if self.pod_reflector else None
        if known is None:
            return self.is_offloaded
        site = (known["metadata"].get("labels") or {}).get(SITE_LABEL, CLOUD_SITE)
        return site != CLOUD_SITE or JOB_ID_ANNOTATION in (known["metadata"].get("annotations") or {})

    async def _delete_once(self, grace_seconds: int) -> bool:
        options = client.V1DeleteOptions(grace_period_seconds=grace_seconds)
        try:
            return await self._make_delete_pod_request(
                self.pod_name, options, grace_seconds, self.k8s_api_request_timeout
            )
        except (ApiException, *_LOST_ANSWER) as error:
            self.log.warning("Cannot delete pod %s yet: %s", self.pod_key, error or type(error).__name__)
            return False

    async def _wait_until_gone(self, deadline: float) -> None:
        wait_seconds = 0.05
        while True:
            try:
                pod = await self.find_pod()
            except PodUnknown as error:
                self.log.warning("Cannot tell whether pod %s is gone: %s", self.pod_key, error)
                return
            if pod is None:
                return
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(1.0, 1.5 * wait_seconds)
        self.log.warning(
            "Pod %s on node %s has not vanished in %s seconds. It is marked for deletion (%s) and will be ended when "
            "its node answers.",
            self.pod_key,
            (pod.get("spec") or {}).get("nodeName"),
            self.stop_timeout,
            pod["metadata"].get("deletionTimestamp"),
        )

    def _delete_later(self, grace_seconds: int) -> None:
        if self.spawn_id is None:
            self.log.error("Pod %s is left over: nothing tells it from a later one", self.pod_key)
            return
        task = asyncio.ensure_future(
            self._delete_when_possible(self.pod_name, self.namespace, self.spawn_id, grace_seconds)
        )
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _delete_when_possible(
        self, name: str, namespace: str, spawn_id: str, grace_seconds: int
    ) -> None:
        """Delete one spawn's pod, never that of a later one: this object may have another spawn by then."""
        give_up = time.monotonic() + _DELETE_GIVE_UP_SECONDS
        waits = list(_DELETE_AGAIN_SECONDS)
        while time.monotonic() < give_up:
            await asyncio.sleep(waits.pop(0) if len(waits) > 1 else waits[0])
            try:
                pod = await self.api.read_namespaced_pod(name, namespace)
                if (pod.metadata.annotations or {}).get(SPAWN_ID) == spawn_id:
                    options = client.V1DeleteOptions(
                        grace_period_seconds=grace_seconds,
                        preconditions=client.V1Preconditions(uid=pod.metadata.uid),
                    )
                    await self.api.delete_namespaced_pod(name, namespace, body=options)
                    self.log.info("Deleted pod %s/%s at last", namespace, name)
                return
            except ApiException as error:
                if error.status in (404, 409):
                    return
            except _LOST_ANSWER:
                continue
        self.log.error("Gave up deleting pod %s/%s; it is left over", namespace, name)
