"""Ends containers as a kubelet does: preStop handler, SIGTERM, and SIGKILL when the grace period is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from rayster_testbed.kube import Obj
from rayster_testbed.kube_events import EventRecorder, reference
from rayster_testbed.kubelet.memory import PodMemory
from rayster_testbed.kubelet.probes import ProbeFailure, run_handler
from rayster_testbed.kubelet.runtime import Attempt, Runtime

log = structlog.get_logger()


class Stopper:
    """Ends containers; *wake* is called with the pod uid when it has to be looked at again in time."""

    def __init__(self, runtime: Runtime, events: EventRecorder, wake: Callable[[str], None]) -> None:
        self._runtime = runtime
        self._events = events
        self._wake = wake
        self._tasks: set[asyncio.Task] = set()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def stop(self, pod: Obj, memory: PodMemory, grace_seconds: float) -> float | None:
        """Ask every running container of *pod* to end; called again, it shortens the grace period and kills in time.

        Returns: in how many seconds to call again, or None when nothing runs any more.
        """
        uid = pod["metadata"]["uid"]
        memory.close_probers()
        for name, attempt in self._runtime.running(uid):
            self.stop_one(pod, memory, name, attempt, grace_seconds, f"Stopping container {name}")
        return self.kill_due(uid, memory)

    def stop_one(
        self, pod: Obj, memory: PodMemory, name: str, attempt: Attempt, grace_seconds: float, why: str
    ) -> None:
        """Ask one container to end within *grace_seconds*, counted from the first time that it was asked."""
        uid = pod["metadata"]["uid"]
        if name not in memory.stopping_since:
            memory.stopping_since[name] = time.monotonic()
            self._events.record(reference(pod, "Pod", f"spec.containers{{{name}}}"), "Normal", "Killing", why)
            task = asyncio.ensure_future(self._ask(pod, memory, name, attempt, grace_seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self._wake(uid)
        memory.kill_at[name] = memory.stopping_since[name] + grace_seconds

    def kill_due(self, uid: str, memory: PodMemory) -> float | None:
        """Kill what did not end in time; seconds until the next kill, None when nothing is being stopped."""
        waits = []
        for name, attempt in self._runtime.running(uid):
            if name not in memory.kill_at:
                continue
            remaining = memory.kill_at[name] - time.monotonic()
            if remaining <= 0:
                log.info("killing", pod=uid, container=name)
                self._runtime.kill(attempt)
            waits.append(max(remaining, 0.2))
        return min(waits, default=None)

    def forget(self, memory: PodMemory, name: str) -> None:
        """A container was started anew: what was asked of the run before does not concern it."""
        memory.stopping_since.pop(name, None)
        memory.kill_at.pop(name, None)

    async def _ask(
        self, pod: Obj, memory: PodMemory, name: str, attempt: Attempt, grace_seconds: float
    ) -> None:
        container: Mapping = next((c for c in pod["spec"]["containers"] if c["name"] == name), {})
        handler = (container.get("lifecycle") or {}).get("preStop")
        process = memory.processes.get(name)
        if handler and process:
            address = (pod.get("status") or {}).get("podIP", "")
            try:
                await run_handler(handler, address, container, process, grace_seconds)
            except ProbeFailure as failure:
                ref = reference(pod, "Pod", f"spec.containers{{{name}}}")
                self._events.record(ref, "Warning", "FailedPreStopHook", f"PreStopHook failed: {failure}")
        self._runtime.terminate(attempt)
