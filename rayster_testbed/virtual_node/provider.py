"""Takes the pods of one virtual node to the plugin and brings their statuses back."""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections.abc import Hashable
from dataclasses import dataclass

import structlog

from rayster_testbed.kube import TROUBLE, KubeClient, Obj, path, path_of
from rayster_testbed.kube_events import timestamp
from rayster_testbed.kube_informer import Informer, Reconciler
from rayster_testbed.virtual_node import mapping
from rayster_testbed.virtual_node.modes import Behaviour
from rayster_testbed.virtual_node.plugin import Plugin, PluginError
from rayster_testbed.virtual_node.submission import CreationFailed, resolve_env, submit

log = structlog.get_logger()

# About half a minute: an API server that is started again is back well before that.
_WRITE_TRIES = 10
_ENDED = ("Succeeded", "Failed")


@dataclass
class Known:
    """A pod that the node has taken on, with the status as the node sees it (not as the API server has it)."""

    pod: Obj
    status: Obj
    submitted: bool = False


class Provider:
    """All pods of one virtual node."""

    def __init__(self, client: KubeClient, plugin: Plugin, node_name: str, behaviour: Behaviour) -> None:
        self._client = client
        self._plugin = plugin
        self._behaviour = behaviour
        self._known: dict[str, Known] = {}
        self._pods: dict[str, Obj] = {}
        self._deleted: set[str] = set()
        self._submissions: dict[str, asyncio.Task] = {}
        self._background: set[asyncio.Task] = set()
        self._reconciler = Reconciler(self._sync, last_retry_seconds=5)
        self._informer = Informer(
            client, path("pods"), field_selector=f"spec.nodeName={node_name}", on_change=self._changed
        )
        self._refreshed_at = float("-inf")

    def find(self, namespace: str, name: str) -> Obj | None:
        """The pod of that name on this node."""
        return self._informer.items.get((namespace, name))

    async def run(self) -> None:
        """Adopt the pods that have a job, submit those that have none, then follow both sides for ever."""
        try:
            await asyncio.gather(self._informer.run(), self._adopt(), self._status_loop())
        finally:
            await self._reconciler.close()
            tasks = [*self._submissions.values(), *self._background]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _adopt(self) -> None:
        await self._informer.synced.wait()
        for uid in list(self._pods):
            self._reconciler.add(uid)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None:
            self._pods.pop(old["metadata"]["uid"], None)
        if new is not None:
            self._pods[new["metadata"]["uid"]] = new
        if self._informer.synced.is_set():
            self._reconciler.add((new or old or {})["metadata"]["uid"])

    async def _sync(self, key: Hashable) -> float | None:
        uid = str(key)
        pod = self._pods.get(uid)
        if pod is None:
            await self._removed(uid)
        elif "deletionTimestamp" in pod["metadata"]:
            await self._delete(pod)
        elif (pod.get("status") or {}).get("phase") in _ENDED or uid in self._known:
            return None
        elif "JobID" in (pod["metadata"].get("annotations") or {}):
            log.info("adopted", pod=_name(pod), job=pod["metadata"]["annotations"]["JobID"])
            self._known[uid] = Known(pod, copy.deepcopy(pod.get("status") or {}), submitted=True)
        else:
            self._take_on(pod)
        return None

    # Creation

    def _take_on(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._submissions:
            task = asyncio.ensure_future(self._submit(pod))
            self._submissions[uid] = task
            task.add_done_callback(lambda done: self._submission_done(uid, done))

    def _submission_done(self, uid: str, task: asyncio.Task) -> None:
        if self._submissions.get(uid) is task:
            del self._submissions[uid]
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("submission broke off", pod=uid, exc_info=error)

    async def _submit(self, pod: Obj) -> None:
        """Submit one pod; what the user sees of it is written step by step, as by the real virtual kubelet."""
        known = Known(pod, {})
        pod_ip = (pod["metadata"].get("annotations") or {}).get("interlink.eu/pod-ip", "127.0.0.1")

        async def set_phase(phase: str) -> None:
            await self._write(known, {**known.status, "phase": phase})

        resolved = await resolve_env(self._client, pod)
        submitted_before = bool((pod.get("status") or {}).get("podIP"))
        self._known[pod["metadata"]["uid"]] = known
        await self._write(known, mapping.initial_status(pod, pod_ip, timestamp()))
        if self._behaviour.careful and submitted_before and (job := await self._job_of(pod)):
            log.info("had been submitted already", pod=_name(pod), job=job)
            await self._submitted(known, job)
            return
        try:
            job = await submit(self._client, self._plugin, resolved, set_phase)
        except CreationFailed as error:
            log.error("creation failed", pod=_name(pod), error=str(error))
            await self._write(known, mapping.failed_status(pod, pod_ip, timestamp(), str(error)))
            return
        log.info("created", pod=_name(pod), job=job)
        await self._submitted(known, job)

    async def _submitted(self, known: Known, job: str) -> None:
        known.submitted = True
        statuses = mapping.submitted_containers(known.pod)
        await self._write(known, {**known.status, "containerStatuses": statuses}, job=job)

    async def _job_of(self, pod: Obj) -> str:
        """The job that the plugin already has for *pod*, or the empty string; waits for a plugin that is away."""
        while True:
            try:
                answers = await self._plugin.status([pod])
            except PluginError as error:
                log.info("plugin away before a second submission", pod=_name(pod), error=str(error))
                await asyncio.sleep(self._behaviour.status_interval_seconds)
                continue
            return next((a.get("JID") or "" for a in answers if a.get("UID") == pod["metadata"]["uid"]), "")

    # Deletion

    async def _delete(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._deleted:
            if self._behaviour.careful:
                await self._delete_carefully(pod)
            else:
                await self._delete_once(pod)
            self._deleted.add(uid)
            self._known.pop(uid, None)
        await self._client.delete(path_of("pods", pod), grace_seconds=0, uid=uid)

    async def _delete_once(self, pod: Obj) -> None:
        """Fire and forget: should the plugin be away, the job goes on without its pod."""
        uid = pod["metadata"]["uid"]
        known = self._known.get(uid)
        job = "JobID" in (pod["metadata"].get("annotations") or {})
        if known is None and not job:
            if submission := self._submissions.get(uid):
                submission.cancel()
            return
        status = known.status if known else pod.get("status") or {}
        if status.get("phase") == "Initializing":
            if submission := self._submissions.get(uid):
                submission.cancel()
        else:
            if submission := self._submissions.pop(uid, None):
                # The plugin may be at work on it: its job will have no pod.
                self._background.add(submission)
            self._forget_job(pod)
        if known is not None:
            await self._write(known, mapping.deleted_status(status, timestamp()))

    def _forget_job(self, pod: Obj) -> None:
        task = asyncio.ensure_future(self._tell_plugin(pod))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _tell_plugin(self, pod: Obj) -> None:
        try:
            await self._plugin.delete(pod)
            log.info("deleted", pod=_name(pod))
        except PluginError as error:
            log.error("delete failed; its job may go on", pod=_name(pod), error=str(error))

    async def _delete_carefully(self, pod: Obj) -> None:
        """Let a submission come to its end, then have the plugin confirm; a failure is tried again by the queue."""
        submission = self._submissions.get(pod["metadata"]["uid"])
        if submission is not None:
            known = self._known.get(pod["metadata"]["uid"])
            if known is None or known.status.get("phase") == "Initializing":
                submission.cancel()
            await asyncio.wait([submission])
        try:
            await self._plugin.delete(pod)
        except PluginError as error:
            raise ConnectionError(f"plugin did not delete {_name(pod)}: {error}") from error
        log.info("deleted", pod=_name(pod))

    async def _removed(self, uid: str) -> None:
        """The object is gone without having been Terminating (force-deleted): the job has to end all the same."""
        self._deleted.discard(uid)
        known = self._known.pop(uid, None)
        if known is None:
            if submission := self._submissions.get(uid):
                submission.cancel()
        elif self._behaviour.careful:
            try:
                await self._delete_carefully(known.pod)
            except ConnectionError:
                self._known[uid] = known
                raise
        else:
            self._forget_job(known.pod)

    # Statuses

    async def _status_loop(self) -> None:
        while True:
            await asyncio.sleep(self._behaviour.status_interval_seconds)
            for known in self._due():
                try:
                    await self._refresh(known)
                except PluginError as error:
                    log.warning("status unknown", pod=_name(known.pod), error=str(error))
                except TROUBLE as error:
                    log.warning("status not written", pod=_name(known.pod), error=str(error))

    def _due(self) -> list[Known]:
        """The pods to refresh now: all, or, as found, one at random when the last refresh is long enough ago."""
        live = [k for k in self._known.values() if k.submitted and k.status.get("phase") not in _ENDED]
        if not self._behaviour.refresh_seconds:
            return live
        if not live or time.monotonic() - self._refreshed_at < self._behaviour.refresh_seconds:
            return []
        self._refreshed_at = time.monotonic()
        return [random.choice(live)]  # noqa: S311  (which pod asks first, as Go's map order decides)

    async def _refresh(self, known: Known) -> None:
        for remote in await self._plugin.status([known.pod]):
            if remote.get("UID") != known.pod["metadata"]["uid"] or not remote.get("name"):
                continue
            reasons = self._behaviour.plugin_reasons
            status = mapping.refreshed_status(known.status, remote, plugin_reasons=reasons)
            if status != known.status:
                await self._write(known, status)

    async def _write(self, known: Known, status: Obj, *, job: str | None = None) -> None:
        """Take *status* as the pod's and write it; as found, what the API server refuses is only logged."""
        known.status = status
        metadata: Obj = {"uid": known.pod["metadata"]["uid"]}
        if job is not None:
            metadata["annotations"] = {"JobID": job}
            known.pod["metadata"].setdefault("annotations", {})["JobID"] = job
        for attempt in range(_WRITE_TRIES):
            try:
                await self._client.merge(
                    path_of("pods", known.pod, "status"), {"metadata": metadata, "status": status}
                )
                return
            except TROUBLE as error:
                log.error("status not written", pod=_name(known.pod), error=str(error))
                if getattr(error, "status", 500) < 500:
                    return
                await asyncio.sleep(min(0.2 * 2**attempt, 5))


def _name(pod: Obj) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
