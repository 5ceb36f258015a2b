"""The scheduling loop: keeps the view of pods and nodes current, binds what fits, explains what does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import structlog

from rayster_testbed.kube import TROUBLE, ApiError, KubeClient, Obj, path, path_of
from rayster_testbed.kube_events import EventRecorder, reference, timestamp
from rayster_testbed.kube_informer import Informer
from rayster_testbed.scheduler.decide import backoff_seconds, claims, decide, used_by_node
from rayster_testbed.scheduler.volumes import bind_claim, release

log = structlog.get_logger()

# kube-scheduler looks again at pods that nothing has woken up; it does so after 5 minutes.
_LOOK_AGAIN_SECONDS = 60.0


class Scheduler:
    """Binds the pending pods whose `schedulerName` is one of *names*."""

    def __init__(self, client: KubeClient, names: Iterable[str]) -> None:
        self._client = client
        self._names = set(names)
        self._changed = asyncio.Event()
        self._assumed: dict[str, str] = {}
        self._attempts: dict[str, tuple[int, float]] = {}
        self._pods = Informer(client, path("pods"), on_change=self._pod_changed)
        self._nodes = Informer(client, path("nodes"), on_change=self._node_changed)
        self._claims = Informer(client, path("persistentvolumeclaims"), on_change=self._claim_changed)
        self._events = EventRecorder(client, "default-scheduler", series=True)
        self._releases: set[asyncio.Task] = set()

    async def run(self) -> None:
        """Schedule for ever."""
        informers = (self._pods, self._nodes, self._claims)
        loops = [self._events.run(), self._schedule_loop(), *(informer.run() for informer in informers)]
        await asyncio.gather(*loops)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        assert pod is not None
        uid = pod["metadata"]["uid"]
        if new is None or new["spec"].get("nodeName"):
            self._assumed.pop(uid, None)
            self._attempts.pop(uid, None)
        self._changed.set()

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is None or new is None or _matters(old) != _matters(new):
            self._changed.set()

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None and old is not None:
            task = asyncio.ensure_future(self._release(old))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)
        self._changed.set()

    async def _release(self, claim: Obj) -> None:
        try:
            await release(self._client, claim)
        except TROUBLE as error:
            log.warning("volume not removed", claim=claim["metadata"]["name"], error=str(error))

    async def _schedule_loop(self) -> None:
        for informer in (self._pods, self._nodes, self._claims):
            await informer.synced.wait()
        while True:
            self._changed.clear()
            wait_seconds = await self._schedule_due(time.monotonic())
            try:
                await asyncio.wait_for(self._changed.wait(), wait_seconds)
            except asyncio.TimeoutError:
                continue  # a back-off has ended, or it is time to look again

    async def _schedule_due(self, now: float) -> float:
        """Try every pending pod whose back-off is over; seconds until the next one is due."""
        wait_seconds = _LOOK_AGAIN_SECONDS
        for pod in sorted(self._waiting(), key=_queue_order):
            attempts, since = self._attempts.get(pod["metadata"]["uid"], (0, 0.0))
            due_in = since + backoff_seconds(attempts) - now if attempts else 0.0
            if due_in > 0:
                wait_seconds = min(wait_seconds, due_in)
                continue
            if not await self._schedule(pod):
                self._attempts[pod["metadata"]["uid"]] = (attempts + 1, time.monotonic())
        return wait_seconds

    def _waiting(self) -> list[Obj]:
        return [
            pod
            for pod in self._pods.items.values()
            if not pod["spec"].get("nodeName")
            and pod["metadata"]["uid"] not in self._assumed
            and "deletionTimestamp" not in pod["metadata"]
            and (pod["spec"].get("schedulerName") or "default-scheduler") in self._names
            and not pod["spec"].get("schedulingGates")
            and (pod.get("status") or {}).get("phase", "Pending") == "Pending"
        ]

    async def _schedule(self, pod: Obj) -> bool:
        """Bind *pod* or say why not; whether it is settled."""
        namespace = pod["metadata"]["namespace"]
        wanted = claims(pod["spec"])
        missing = [name for name in wanted if (namespace, name) not in self._claims.items]
        decision = decide(
            pod,
            list(self._nodes.items.values()),
            used_by_node(self._pods.items.values(), self._assumed),
            missing,
        )
        try:
            if decision.node is None:
                await self._explain(pod, decision.message)
                return False
            for name in wanted:
                await bind_claim(self._client, self._claims.items[(namespace, name)], decision.node)
            await self._bind(pod, decision.node)
        except ApiError as error:
            if error.status in (404, 409):
                log.info("pod changed while it was scheduled", pod=_name(pod), error=error.message)
                return error.status == 404
            log.warning("cannot schedule", pod=_name(pod), error=str(error))
            return False
        except TROUBLE as error:
            log.warning("API server away", pod=_name(pod), error=str(error))
            return False
        return True

    async def _bind(self, pod: Obj, node: str) -> None:
        uid = pod["metadata"]["uid"]
        self._assumed[uid] = node
        try:
            await self._client.create(
                path_of("pods", pod, "binding"),
                {
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {key: pod["metadata"][key] for key in ("namespace", "name", "uid")},
                    "target": {"apiVersion": "v1", "kind": "Node", "name": node},
                },
            )
        except BaseException:
            self._assumed.pop(uid, None)
            raise
        log.info("bound", pod=_name(pod), node=node)
        message = f"Successfully assigned {_name(pod)} to {node}"
        self._events.record(reference(pod, "Pod"), "Normal", "Scheduled", message, action="Binding")

    async def _explain(self, pod: Obj, message: str) -> None:
        log.info("does not fit", pod=_name(pod), why=message)
        self._events.record(
            reference(pod, "Pod"), "Warning", "FailedScheduling", message, action="Scheduling"
        )
        conditions = (pod.get("status") or {}).get("conditions") or []
        current: Obj = next((c for c in conditions if c["type"] == "PodScheduled"), {})
        if current.get("status") == "False" and current.get("message") == message:
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": current.get("lastTransitionTime") or timestamp(),
        }
        others = [c for c in conditions if c["type"] != "PodScheduled"]
        await self._client.merge(
            path_of("pods", pod, "status"), {"status": {"conditions": [*others, condition]}}
        )


def _queue_order(pod: Obj) -> tuple[int, str]:
    return -(pod["spec"].get("priority") or 0), pod["metadata"].get("creationTimestamp", "")


def _matters(node: Obj) -> tuple:
    """What of a node decides placement: a heartbeat alone must not wake the scheduler."""
    status = node.get("status") or {}
    return node.get("spec"), node["metadata"].get("labels"), status.get("allocatable"), status.get("capacity")


def _name(pod: Obj) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
