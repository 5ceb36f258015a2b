"""Knows the server's pod: from the shared watch, or from the API server where the watch proves nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from kubernetes_asyncio.client.rest import ApiException
from kubespawner import KubeSpawner

from .pod_status import Pod
from .spawn_errors import PodUnknown

RETRY_SECONDS = 3
# A first list that takes longer will not come; everybody who waits for it, also to stop a server, tries again.
FIRST_LIST_SECONDS = 20

_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, asyncio.Lock]] = WeakKeyDictionary()
# When a watch may be started again, by its key, in the clock's monotonic seconds.
_not_before: dict[Any, float] = {}


class PodWatch(KubeSpawner):
    """KubeSpawner whose watches come back after any outage, and which tells "gone" from "not known"."""

    async def find_pod(self) -> Pod | None:
        """Return the pod as the API server sends it, or None when there is none. Raises PodUnknown."""
        try:
            await self._start_watching_pods()
        except Exception as error:
            raise PodUnknown(f"cannot watch pods: {error}") from error
        pod = self.pod_reflector.pods.get(self.pod_key)
        # An empty watch proves nothing: it may have been restarted, or be behind a request of ours.
        return pod if pod is not None else await self.read_pod()

    async def watch_or_fail(self) -> None:
        """Start the watches that a spawn needs. Raises PodUnknown when the API server is away for too long."""
        give_up = time.monotonic() + self.k8s_api_request_retry_timeout
        while True:
            try:
                await self._start_watching_pods()
                if self.events_enabled:
                    await self._start_watching_events()
                return
            except Exception as error:
                if time.monotonic() > give_up:
                    raise PodUnknown(f"the API server does not answer: {error}") from error
                self.log.warning("Cannot start %s yet: %s", self._log_name, error)
            await asyncio.sleep(1)

    async def read_pod(self) -> Pod | None:
        """Return the pod from the API server, or None when there is none. Raises PodUnknown."""
        try:
            pod = await asyncio.wait_for(
                self.api.read_namespaced_pod(self.pod_name, self.namespace), self.k8s_api_request_timeout
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise PodUnknown(f"cannot read pod {self.pod_key}: HTTP {error.status}") from error
        except Exception as error:
            raise PodUnknown(f"cannot read pod {self.pod_key}: {error or type(error).__name__}") from error
        return self.as_plain(pod)

    @property
    def pod_key(self) -> str:
        """The pod's key in the watch."""
        return f"{self.namespace}/{self.pod_name}"

    def as_plain(self, model: Any) -> Pod:
        """Return a model of the Kubernetes client as plain data in Kubernetes' spelling."""
        return self.api.api_client.sanitize_for_serialization(model)

    async def _start_watching_pods(self, replace: bool = False) -> Any:
        return await self._watch("pods", super()._start_watching_pods, replace)

    async def _start_watching_events(self, replace: bool = False) -> Any:
        return await self._watch("events", super()._start_watching_events, replace)

    async def _watch(self, kind: str, start: Callable[..., Awaitable[Any]], replace: bool) -> Any:
        """Start a watch unless it lives. One that has given up (after a minute's outage) is replaced.

        KubeSpawner would go on with a dead one and never see a pod again.
        """
        key = self._get_reflector_key(kind)
        before = self.reflectors.get(key)
        if before is not None and not replace and not _is_dead(before):
            # Shielded: KubeSpawner awaits the shared future itself, and whoever is cancelled would cancel it, and with
            # it the spawns of all others who wait for the same watch.
            await asyncio.shield(before.first_load_future)
            return await start()
        lock = _locks.setdefault(asyncio.get_running_loop(), {}).setdefault(key, asyncio.Lock())
        async with lock:
            now = self.reflectors.get(key)
            if now is not None and now is not before and not _is_dead(now):
                return await start()
            if time.monotonic() < _not_before.get(key, 0):
                raise ConnectionError("the API server did not answer a moment ago")
            try:
                return await asyncio.wait_for(start(replace=True), FIRST_LIST_SECONDS)
            except Exception:
                _not_before[key] = time.monotonic() + RETRY_SECONDS
                self._keep_last_known(key, now)
                raise
            except asyncio.CancelledError:
                # KubeSpawner cancels one watch when the other fails, and would wait for its first load for ever.
                self._keep_last_known(key, now)
                raise

    def _keep_last_known(self, key: Any, last: Any) -> None:
        failed = self.reflectors.pop(key, None)
        if failed is not None:
            if not failed.first_load_future.done():
                # Not cancelled, which would end those who wait for it: they try again.
                failed.first_load_future.set_exception(ConnectionError("the watch was not started"))
            _ = failed.first_load_future.cancelled() or failed.first_load_future.exception()
        if last is not None:
            self.reflectors[key] = last


def _is_dead(reflector: Any) -> bool:
    loaded, task = reflector.first_load_future, reflector.watch_task
    if loaded.done() and (loaded.cancelled() or loaded.exception() is not None):
        return True
    return task is not None and task.done()
