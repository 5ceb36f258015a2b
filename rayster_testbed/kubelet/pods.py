"""Keeps the pods that are bound to this node as they should be: each is looked at whenever something of it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Mapping
from pathlib import Path

import structlog

from rayster_testbed.kube import ApiError, KubeClient, Obj, path, path_of
from rayster_testbed.kube_events import EventRecorder, parse_timestamp, reference, timestamp
from rayster_testbed.kube_informer import Informer, Reconciler
from rayster_testbed.kube_objects import fetch_objects, request_token, token_requests
from rayster_testbed.kubelet.addresses import Addresses
from rayster_testbed.kubelet.memory import PodMemory
from rayster_testbed.kubelet.plan import Plan, View, Waiting, plan
from rayster_testbed.kubelet.probes import Prober
from rayster_testbed.kubelet.runtime import Attempt, Runtime
from rayster_testbed.kubelet.starter import Starter
from rayster_testbed.kubelet.status import pod_status
from rayster_testbed.kubelet.stopper import Stopper
from rayster_testbed.kubelet.volumes import MountError, set_up, volume_references

log = structlog.get_logger()

_MOUNT_RETRY_SECONDS = 2.0
_ORPHAN_GRACE_SECONDS = 1.0


class PodManager:
    """All pods of one node."""

    def __init__(
        self,
        client: KubeClient,
        node_name: str,
        addresses: Addresses,
        data_dir: Path,
        allocatable: Mapping[str, str],
        first_backoff_seconds: float = 10.0,
        names_dir: Path | None = None,
    ) -> None:
        self._client = client
        self._node_name = node_name
        self._addresses = addresses
        self._claims_dir = data_dir / "volumes"
        self._claims_dir.mkdir(mode=0o700, exist_ok=True)
        self._first_backoff_seconds = first_backoff_seconds
        self._events = EventRecorder(client, "kubelet", host=node_name)
        self._reconciler = Reconciler(self._sync, last_retry_seconds=5)
        self._pods: dict[str, Obj] = {}
        self._memory: dict[str, PodMemory] = {}
        self._informer = Informer(
            client, path("pods"), field_selector=f"spec.nodeName={node_name}", on_change=self._changed
        )
        self.runtime = Runtime(data_dir, self._wake)
        self._starter = Starter(client, self.runtime, self._events, allocatable, names_dir)
        self._stopper = Stopper(self.runtime, self._events, self._wake)

    def find(self, namespace: str, name: str) -> Obj | None:
        """The pod of that name on this node."""
        return self._informer.items.get((namespace, name))

    async def run(self) -> None:
        """Adopt what an earlier kubelet left, then follow the API server for ever."""
        self.runtime.load()
        for uid in self.runtime.pod_uids():
            if recalled := self.runtime.recall_pod(uid):
                self._addresses.adopt(uid, recalled["pod_ip"])
        try:
            await asyncio.gather(self._informer.run(), self._events.run(), self._adopt())
        finally:
            await self._reconciler.close()
            await self.runtime.settle()
            self._stopper.close()
            for memory in self._memory.values():
                memory.close_probers()
            self.runtime.close()

    async def stop_all(self, grace_seconds: float) -> None:
        """End every container of this node (used when the whole testbed ends)."""
        uids = self.runtime.pod_uids()
        running = [attempt for uid in uids for _, attempt in self.runtime.running(uid)]
        for attempt in running:
            self.runtime.terminate(attempt)
        deadline = time.monotonic() + grace_seconds
        while any(_alive(attempt) for attempt in running):
            if time.monotonic() > deadline:
                for attempt in running:
                    self.runtime.kill(attempt)
            await asyncio.sleep(0.05)

    async def _adopt(self) -> None:
        """Once the API server has told which pods there are, look at those that only this machine knows."""
        await self._informer.synced.wait()
        for uid in self.runtime.pod_uids() | set(self._pods):
            self._reconciler.add(uid)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None:
            self._pods.pop(old["metadata"]["uid"], None)
        if new is not None:
            self._pods[new["metadata"]["uid"]] = new
        uid = (new or old or {})["metadata"]["uid"]
        if self._informer.synced.is_set():
            self._reconciler.add(uid)

    def _wake(self, uid: str) -> None:
        self._reconciler.add(uid)

    async def _sync(self, key: Hashable) -> float | None:
        """Bring one pod a step further; in how many seconds to look again without being woken."""
        uid = str(key)
        if not self._informer.synced.is_set():
            return 0.5
        pod = self._pods.get(uid)
        if pod is None:
            return await self._clean_up(uid)
        self._drop_finished_probers(uid)
        if "deletionTimestamp" in pod["metadata"]:
            return await self._terminate(pod)
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return self._stopper.stop(pod, self._memory_of(pod), _ORPHAN_GRACE_SECONDS)
        return await self._advance(pod)

    async def _advance(self, pod: Obj) -> float | None:
        uid, memory = pod["metadata"]["uid"], self._memory_of(pod)
        if self._past_deadline(pod, memory):
            return await self._fail_deadline(pod, memory)
        address = self._address(pod)
        if memory.volumes is None:
            try:
                memory.volumes = await self._set_up_volumes(pod, address)
            except MountError as error:
                self._events.record(reference(pod, "Pod"), "Warning", "FailedMount", str(error))
                await self._write_status(pod, memory, address)
                return _MOUNT_RETRY_SECONDS
        todo = self._plan(pod, memory)
        looks = [todo.look_again_seconds, self._stopper.kill_due(uid, memory), self._deadline_in(pod, memory)]
        if todo.start and not (pod.get("status") or {}).get("containerStatuses"):
            await self._write_status(
                pod, memory, address
            )  # Pending with its containers, before the first one starts
        for name in todo.start:
            container = _container(pod, name)
            looks.append(await self._starter.start(pod, container, memory, self._agent_fields(pod, address)))
            if self.runtime.attempts(uid, name):
                self._stopper.forget(memory, name)
        await self._probe(pod, memory, address)
        self._show_back_off(pod, memory, todo)
        await self._write_status(pod, memory, address)
        if todo.start and any(a.finished_at for n in todo.start for a in self.runtime.attempts(uid, n)[-1:]):
            looks.append(0.0)  # what was started has ended already: see at once what that means
        return min((look for look in looks if look is not None), default=None)

    async def _terminate(self, pod: Obj) -> float | None:
        metadata, memory = pod["metadata"], self._memory_of(pod)
        grace_seconds = metadata.get("deletionGracePeriodSeconds")
        if grace_seconds is None:
            grace_seconds = pod["spec"].get("terminationGracePeriodSeconds", 30)
        look_again = self._stopper.stop(pod, memory, max(float(grace_seconds), _ORPHAN_GRACE_SECONDS))
        if look_again is not None:
            return look_again
        recalled = self.runtime.recall_pod(metadata["uid"])
        if recalled is not None:
            await self._write_status(pod, memory, recalled["pod_ip"], terminating=True)
        await self._client.delete(path_of("pods", pod), grace_seconds=0, uid=metadata["uid"])
        return None

    async def _clean_up(self, uid: str) -> float | None:
        """A pod that is gone from the API: end what still runs (it was force-deleted) and forget it."""
        recalled = self.runtime.recall_pod(uid)
        if recalled is not None:
            memory = self._memory.setdefault(uid, PodMemory(timestamp()))
            look_again = self._stopper.stop(recalled["pod"], memory, _ORPHAN_GRACE_SECONDS)
            if look_again is not None:
                return look_again
        if (gone := self._memory.pop(uid, None)) is not None:
            gone.close_probers()
        self._addresses.give_back(uid)
        await self.runtime.forget(uid)
        return None

    def _memory_of(self, pod: Obj) -> PodMemory:
        uid = pod["metadata"]["uid"]
        if uid not in self._memory:
            started = (pod.get("status") or {}).get("startTime") or timestamp()
            self._memory[uid] = PodMemory(started)
        return self._memory[uid]

    def _address(self, pod: Obj) -> str:
        if pod["spec"].get("hostNetwork"):
            return self._addresses.node
        uid = pod["metadata"]["uid"]
        address = self._addresses.take(uid)
        if self.runtime.recall_pod(uid) is None:
            self.runtime.remember_pod(pod, pod_ip=address)
        return address

    def _agent_fields(self, pod: Obj, address: str) -> dict[str, str]:
        return {
            "status.podIP": address,
            "status.podIPs": address,
            "status.hostIP": self._addresses.node,
            "status.hostIPs": self._addresses.node,
            "spec.nodeName": self._node_name,
        }

    async def _set_up_volumes(self, pod: Obj, address: str) -> Mapping[str, Path]:
        metadata = pod["metadata"]
        objects = await fetch_objects(self._client, metadata["namespace"], volume_references(pod["spec"]))
        tokens = {request["path"]: await self._token(pod, request) for request in token_requests(pod["spec"])}
        volumes_dir = self.runtime.pod_dir(metadata["uid"]) / "volumes"
        fields = self._agent_fields(pod, address)
        return set_up(pod, volumes_dir, self._claims_dir, objects, fields, tokens)

    async def _token(self, pod: Obj, request: Mapping) -> str:
        try:
            return await request_token(self._client, pod, request, request.get("expirationSeconds") or 3600)
        except ApiError as error:
            raise MountError(f"failed to fetch token: {error.message}") from error

    def _plan(self, pod: Obj, memory: PodMemory) -> Plan:
        return plan(pod["spec"], self._views(pod, memory), time.time(), self._first_backoff_seconds)

    def _views(self, pod: Obj, memory: PodMemory) -> dict[str, View]:
        uid = pod["metadata"]["uid"]
        return {c["name"]: memory.view(self.runtime, uid, c["name"]) for c in _containers(pod)}

    def _show_back_off(self, pod: Obj, memory: PodMemory, todo: Plan) -> None:
        metadata = pod["metadata"]
        for name, delay in todo.backing_off.items():
            whole = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
            message = f"back-off {delay:g}s restarting failed container={name} pod={whole}"
            memory.waiting[name] = Waiting("CrashLoopBackOff", message)
            told = (name, len(self.runtime.attempts(metadata["uid"], name)))
            if told not in memory.back_off_told:
                memory.back_off_told.add(told)
                text = f"Back-off restarting failed container {name} in pod {whole}"
                self._events.record(
                    reference(pod, "Pod", f"spec.containers{{{name}}}"), "Warning", "BackOff", text
                )

    async def _probe(self, pod: Obj, memory: PodMemory, address: str) -> None:
        """Give each running container that declares probes its prober (also one that was adopted)."""
        uid = pod["metadata"]["uid"]
        for container in pod["spec"]["containers"]:
            name = container["name"]
            attempts = self.runtime.attempts(uid, name)
            probed = any(container.get(kind) for kind in ("startupProbe", "readinessProbe", "livenessProbe"))
            if (
                not probed
                or not attempts
                or not attempts[-1].running
                or (name, attempts[-1].number) in memory.probers
            ):
                continue
            process = memory.processes.get(name) or await self._starter.prepare(
                pod, container, memory, self._agent_fields(pod, address)
            )
            attempt = attempts[-1]

            def on_failure(
                kind: str,
                message: str,
                final: bool,
                container: Mapping = container,
                attempt: Attempt = attempt,
            ) -> None:
                self._probe_failed(pod, container, attempt, f"{kind} probe failed: {message}", kind, final)

            memory.probers[(name, attempt.number)] = Prober(
                address, container, process, lambda: self._wake(uid), on_failure
            )

    def _probe_failed(
        self, pod: Obj, container: Mapping, attempt: Attempt, message: str, kind: str, final: bool
    ) -> None:
        ref = reference(pod, "Pod", f"spec.containers{{{container['name']}}}")
        self._events.record(ref, "Warning", "Unhealthy", message)
        if final and kind in ("Startup", "Liveness"):
            why = f"Container {container['name']} failed {kind.lower()} probe, will be restarted"
            grace_seconds = float(pod["spec"].get("terminationGracePeriodSeconds", 30))
            self._stopper.stop_one(pod, self._memory_of(pod), container["name"], attempt, grace_seconds, why)

    def _drop_finished_probers(self, uid: str) -> None:
        memory = self._memory.get(uid)
        if memory is None:
            return
        running = {(name, attempt.number) for name, attempt in self.runtime.running(uid)}
        for key in [k for k in memory.probers if k not in running]:
            memory.probers.pop(key).close()

    def _deadline_in(self, pod: Obj, memory: PodMemory) -> float | None:
        limit = pod["spec"].get("activeDeadlineSeconds")
        return None if limit is None else parse_timestamp(memory.start_time) + limit - time.time()

    def _past_deadline(self, pod: Obj, memory: PodMemory) -> bool:
        remaining = self._deadline_in(pod, memory)
        return remaining is not None and remaining <= 0

    async def _fail_deadline(self, pod: Obj, memory: PodMemory) -> float | None:
        message = "Pod was active on the node longer than the specified deadline"
        grace_seconds = float(pod["spec"].get("terminationGracePeriodSeconds", 30))
        look_again = self._stopper.stop(pod, memory, grace_seconds)
        if look_again is None:
            self._events.record(reference(pod, "Pod"), "Normal", "DeadlineExceeded", message)
            ending = {"phase": "Failed", "reason": "DeadlineExceeded", "message": message}
            await self._write_status(pod, memory, self._address(pod), override=ending)
        return look_again

    async def _write_status(
        self,
        pod: Obj,
        memory: PodMemory,
        address: str,
        *,
        terminating: bool = False,
        override: Obj | None = None,
    ) -> None:
        """Write what differs from the status that the API server has."""
        status = pod_status(
            pod,
            self._views(pod, memory),
            pod_ip=address,
            host_ip=self._addresses.node,
            start_time=memory.start_time,
            now=timestamp(),
            terminating=terminating,
        ) | (override or {})
        present = pod.get("status") or {}
        changed = {key: value for key, value in status.items() if present.get(key) != value}
        if not changed:
            return
        uid = pod["metadata"]["uid"]
        body = {"metadata": {"uid": uid}, "status": changed}
        answer = await self._client.merge(path_of("pods", pod, "status"), body)
        pod["status"] = answer.get("status", status)


def _containers(pod: Mapping) -> list[Obj]:
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def _container(pod: Mapping, name: str) -> Obj:
    return next(c for c in _containers(pod) if c["name"] == name)


def _alive(attempt: Attempt) -> bool:
    return Path(f"/proc/{attempt.shim_pid}").exists() and not (attempt.directory / "exit.json").exists()
