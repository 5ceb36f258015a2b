"""RaysterSpawner: JupyterHub servers on cloud nodes or inside batch jobs, by the admin's profiles."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from .form import PendingView, pending_view
from .life.pod_address import Ports
from .life.pod_requests import REQUESTED_AT, SPAWN_ID
from .life.progress import Report, make_report, new_events, repeat_seconds
from .life.resume import ResumedSpawn
from .life.spawn_errors import spawn_failed
from .offload import OffloadError, offload, site_name

_PROGRESS_SECONDS = 1
_PORTS = Ports()


class RaysterSpawner(ResumedSpawn):
    """Starts JupyterHub servers by profiles: on cloud nodes, or as jobs of a batch system behind a virtual node.

    Everything that KubeSpawner can be configured with holds for cloud profiles. For a virtual node the pod is
    translated after KubeSpawner has built it (`offload`).
    """

    def profile_traits(self) -> dict[str, Any]:
        """Return the traits that the present profile sets for one spawn."""
        assert self.profile is not None
        traits: dict[str, Any] = {"start_timeout": self.profile.start_timeout_seconds}
        if self.profile.hub_url is not None:
            traits["hub_connect_url"] = self.profile.hub_url
        if self.profile.is_offloaded:
            # A virtual node cannot mount claims.
            traits["storage_pvc_ensure"] = False
        return traits

    async def get_pod_manifest(self) -> Any:
        """Return the pod: KubeSpawner's, translated for the profile's site, and marked as this spawn's.

        What comes from the profile is put in here, after every template was expanded: braces in it mean nothing.
        """
        assert self.profile is not None and self.options is not None and self.mark is not None
        if self.profile.is_offloaded:
            self.overrides.set(port=_PORTS.choose(self.pod_reflector.pods.values()))
        pod = self.as_plain(await super().get_pod_manifest())
        try:
            pod = offload(pod, self.profile, self.options)
        except OffloadError as error:
            raise spawn_failed(
                f"The profile {self.profile.name} cannot be used:\n{error}", reason="offload", counted=False
            ) from error
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[SPAWN_ID] = self.mark.spawn_id
        annotations[REQUESTED_AT] = f"{self.mark.requested_at:.0f}"
        self.save_mark(port=self.port)
        answer = SimpleNamespace(data=json.dumps(pod))
        return self.api.api_client.deserialize(answer, "V1Pod")

    def pending_view(self) -> PendingView | None:
        """Return what the pending page says of the spawn, or None when there is none."""
        if self.mark is None or self.profile is None or self.options is None:
            return None
        since = datetime.fromtimestamp(self.mark.requested_at, timezone.utc)
        return pending_view(self.profile, self.options, since)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Tell the state of the spawn whenever it changes, and now and then that it has not, until it ends."""
        seen: set[tuple[str, int]] = set()
        told: Report | None = None
        while not self._spawn_has_ended():
            pod = await self._pod_to_tell()
            report = self._report(pod)
            for event in new_events(self._cluster_events(), pod, seen):
                yield event
            if told is None or told.key != report.key or self._is_due(told, report):
                told = report
                yield report.as_event()
            await asyncio.sleep(_PROGRESS_SECONDS)

    def _spawn_has_ended(self) -> bool:
        future = self._spawn_future
        return future.done() if future is not None else not self._spawn_pending

    def _report(self, pod: Any) -> Report:
        elapsed = time.time() - self.mark.requested_at if self.mark else 0
        site = site_name(self.profile) if self.profile is not None and self.is_offloaded else ""
        return make_report(self.believe(pod), elapsed, site)

    def _is_due(self, told: Report, report: Report) -> bool:
        return report.elapsed_seconds - told.elapsed_seconds >= repeat_seconds(report.elapsed_seconds)

    async def _pod_to_tell(self) -> Any:
        """Return the pod of this spawn as the watch knows it; what is not known yet is simply not told."""
        if self.mark is None or not self.mark.created:
            return None
        try:
            await self._start_watching_pods()
            if self.events_enabled:
                await self._start_watching_events()
        except Exception as error:
            self.log.warning("No news of %s for its page: %s", self._log_name, error)
        pod = self.pod_reflector.pods.get(self.pod_key) if self.pod_reflector else None
        return pod if self.is_ours(pod) else None

    def _cluster_events(self) -> list[Any]:
        reflector = self.event_reflector
        return list(reflector.resources.values()) if reflector is not None else []
