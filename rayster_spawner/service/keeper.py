"""Does to the clusters what `ray/policy.py` decides, one patch a decision, each of the cluster that it was made for."""

import asyncio
import time
from collections.abc import Callable
from logging import Logger

from ..ray.policy import decide
from ..ray.steps import Step, as_patch
from .cluster_cache import ClusterCache
from .ray_objects import Away, RayObjects, Refused

# All clusters are looked at so often, those of which something is new at the next tick.
LOOK_SECONDS = 10.0
TICK_SECONDS = 0.5
# The cluster's word must be newer than this: nobody is stopped by what was true before an outage.
_CLUSTER_AGE_SECONDS = 60.0
# After a patch, until the watch has brought what it made.
_AGAIN_SECONDS = 1.0
_REFUSED_SECONDS = 15.0
_AT_ONCE = 8


class Keeper:
    """Looks at clusters and acts.

    It remembers nothing that matters: what it has decided stands in the cluster's annotations, together with what it
    has done, so it may be killed at any moment. ``clock`` counts monotonic seconds.
    """

    def __init__(
        self,
        clusters: ClusterCache,
        objects: RayObjects,
        log: Logger,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._clusters, self._objects, self._log, self._clock = clusters, objects, log, clock
        self._news: set[str] = set()
        self._wait_until: dict[str, float] = {}
        self._looked_at = 0.0
        self._complaints: dict[str, str] = {}
        clusters.listen(self._news.add)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self.look()
            except Exception:
                self._log.exception("A look at the Ray clusters failed")

    async def look(self) -> None:
        """Look once: at what is new, and every `LOOK_SECONDS` at all."""
        clusters, now = self._clusters, self._clock()
        if not clusters.is_synced or clusters.not_served or clusters.age_seconds > _CLUSTER_AGE_SECONDS:
            return
        there = {cluster["metadata"]["name"] for cluster in clusters.all()}
        if is_round := now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._news |= there
        for memory in (self._wait_until, self._complaints):
            for gone in memory.keys() - there:
                del memory[gone]
        due = {name for name in self._news & there if self._wait_until.get(name, 0) <= now}
        # In place: the cache adds to it.
        self._news -= due | (self._news - there)
        steps = []
        for name in due:
            await asyncio.sleep(0)  # streams come first
            if is_round:
                clusters.renew(name)
            facts = clusters.facts(name)
            step = decide(facts) if facts is not None else None
            if facts is not None and step is not None:
                steps.append((name, dict(facts.cluster), step))
        for start in range(0, len(steps), _AT_ONCE):
            await asyncio.gather(*(self._do(*one) for one in steps[start : start + _AT_ONCE]))

    async def _do(self, name: str, cluster: dict, step: Step) -> None:
        metadata = cluster["metadata"]
        self._wait_until[name] = self._clock() + _AGAIN_SECONDS
        self._news.add(name)
        try:
            if step.delete:
                self._log.warning("Cluster %s is deleted: %s", name, step.why)
                await self._objects.delete(name, metadata["uid"])
                return

            def patch_of(current: dict) -> list[dict]:
                # Decided for another state of it, a decision is none: the watch brings the new one.
                is_same = current["metadata"]["resourceVersion"] == metadata["resourceVersion"]
                return as_patch(cluster, step) if is_same else []

            await self._objects.change(name, metadata["uid"], patch_of)
        except (Refused, Away) as error:
            self._wait_until[name] = self._clock() + _REFUSED_SECONDS
            said = f"{step.why}: {error}"
            if self._complaints.get(name) != said:
                self._complaints[name] = said
                self._log.warning("Cluster %s cannot be changed: %s", name, said)
            return
        self._complaints.pop(name, None)
        if step.suspend is not None or step.replicas is not None:
            self._log.info("Cluster %s is changed: %s", name, step.why)
