"""Looks for orphans every so often, lists them, and cancels them when the site manager has switched that on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from rayster_site.answers import Told
from rayster_site.collector import Collector
from rayster_site.commands import CommandError
from rayster_site.facts import Job, pod_uid_in
from rayster_site.live_pods import LivePodsError
from rayster_site.orphans import AnswerJudge, LivePods, OrphanKind, OrphanTracker, find_orphans
from rayster_site.state_file import StateFile

log = structlog.get_logger(__name__)

_SECTION = "seen_live"
_USUAL_SECTION = "usual_pods"
_MAX_LOOK_SECONDS = 30
_MIN_LOOK_SECONDS = 0.5
_MAX_VIEW_AGE_SECONDS = 60
_MAX_SEEN = 100_000
# A mistake must not empty a whole site at once; the next look goes on.
_MAX_CANCELS_PER_LOOK = 20


class PodSource(Protocol):
    """Who knows which pods live."""

    async def ask(self) -> LivePods:
        """Return them; raises `LivePodsError`."""


class OrphanWatch:
    """Looks for orphans.

    Args:
        collector: knows the jobs.
        told: knows which jobs are pods'.
        pods: knows which pods live.
        state_file: keeps which pods have lived over a restart.
        grace_seconds: how long a job must have been an orphan, in every look.
        cancels: whether orphans are cancelled.
        remember_hours: how long a pod that has lived is remembered.
        clock: seconds that only grow.
        wall_clock: seconds since the epoch.
    """

    def __init__(
        self,
        collector: Collector,
        told: Told,
        pods: PodSource,
        *,
        state_file: StateFile,
        grace_seconds: float,
        cancels: bool,
        remember_hours: float = 24,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ):
        self.look_seconds = min(max(grace_seconds / 5, _MIN_LOOK_SECONDS), _MAX_LOOK_SECONDS)
        self.tracker = OrphanTracker(grace_seconds, max(4 * self.look_seconds, _MAX_VIEW_AGE_SECONDS))
        self.cancels = cancels
        self.problem: str | None = "not looked yet"
        self.looked_at: float | None = None
        self.number = 0
        self._collector = collector
        self._told = told
        self._pods = pods
        self._state_file = state_file
        self._remember_seconds = remember_hours * 3600
        self._clock = clock
        self._wall_clock = wall_clock
        self._seen_live = _restored(state_file.get(_SECTION))
        # Of an earlier run of the agent, too: an answer that is half as long now has not always been so short.
        self._judge = AnswerJudge(grace_seconds, _restored_uids(state_file.get(_USUAL_SECTION)))
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="orphans")

    async def stop(self) -> None:
        """End looking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:
                self._note("internal error")
                log.exception("looking for orphans failed")
            await asyncio.sleep(self.look_seconds)

    async def look(self) -> None:
        """Look once: ask, compare, list, and cancel what is due."""
        try:
            live = await self._pods.ask()
        except LivePodsError as error:
            self._note(str(error))
            return
        clock = self._clock()
        # Who is listed lives, or did a moment ago: only who is not listed may be missing by mistake.
        self._remember(live.uids)
        usual = self._judge.usual
        if refusal := self._judge.refusal(live, clock):
            self._note(refusal)
            return
        if usual != self._judge.usual:
            self._state_file.put(_USUAL_SECTION, sorted(self._judge.usual))
        view = self._collector.view
        age = view.age_seconds(clock)
        if view.look is None or view.error is not None or age is None or age > _MAX_VIEW_AGE_SECONDS:
            self._note("the batch system's answer is missing or old")
            return
        jobs = self._told.pod_jobs(view)
        known = set(self.tracker.tracked)
        self.tracker.look(find_orphans(jobs, live, self._seen_live.keys(), self._wall_clock()), clock)
        for key in self.tracker.tracked.keys() - known:
            finding = self.tracker.tracked[key].finding
            # Another site's agent on the same batch system may well know the pod.
            tell = log.info if finding.kind is OrphanKind.POD_NEVER_SEEN else log.warning
            tell(
                "orphan",
                job=finding.job.id,
                pod=finding.job.pod_uid,
                kind=finding.kind.value,
                why=finding.why,
            )
        self.looked_at = self._wall_clock()
        self._note(None)
        if self.cancels:
            await self._cancel(self.tracker.due(clock, self._collector.scheduler.own_account))

    def _note(self, problem: str | None) -> None:
        if problem != self.problem and problem is not None:
            log.warning("orphans cannot be told", why=problem)
        self.problem = problem
        self.number += 1

    async def _cancel(self, jobs: list[Job]) -> None:
        for job in jobs[:_MAX_CANCELS_PER_LOOK]:
            try:
                await self._collector.scheduler.cancel(job)
            except CommandError as error:
                log.error("orphan not cancelled", job=job.id, pod=job.pod_uid, error=str(error))
            else:
                log.warning("orphan cancelled", job=job.id, pod=job.pod_uid)
        if len(jobs) > _MAX_CANCELS_PER_LOOK:
            log.warning(
                "more orphans than are cancelled at once", jobs=len(jobs), at_once=_MAX_CANCELS_PER_LOOK
            )

    def _remember(self, uids: frozenset[str]) -> None:
        """Remember who lives: a job is known to have lost its pod only if the pod has been seen."""
        now = self._wall_clock()
        has_new = not uids <= self._seen_live.keys()
        self._seen_live.update(dict.fromkeys(uids, now))
        view = self._collector.view
        with_job = {job.pod_uid for job in view.look.jobs if not job.state.is_over} if view.look else set()
        old = [
            uid
            for uid, seen in self._seen_live.items()
            if seen < now - self._remember_seconds and uid not in with_job
        ]
        for uid in old:
            del self._seen_live[uid]
        for uid in sorted(self._seen_live, key=self._seen_live.__getitem__)[
            : max(len(self._seen_live) - _MAX_SEEN, 0)
        ]:
            del self._seen_live[uid]
        if has_new or old:
            # The collector writes it with its own section, soon.
            self._state_file.put(_SECTION, self._seen_live.copy())


def _restored(saved: object) -> dict[str, float]:
    if not isinstance(saved, dict):
        return {}
    return {uid: float(seen) for uid, seen in saved.items() if isinstance(seen, (int, float))}


def _restored_uids(saved: object) -> frozenset[str]:
    return frozenset(filter(pod_uid_in, map(str, saved))) if isinstance(saved, list) else frozenset()
