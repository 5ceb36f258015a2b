"""Looks at the batch system at most once per interval, and keeps the last good look with its age."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import structlog

from rayster_site.commands import CommandError
from rayster_site.ended import EndedJobs
from rayster_site.facts import Job, Look, Scheduler
from rayster_site.line import positions
from rayster_site.state_file import StateFile
from rayster_site.waits import WaitMemory
from rayster_spawner.site_facts import Waits

log = structlog.get_logger(__name__)


class View(NamedTuple):
    """The last good look, and why the last attempt failed if it did.

    Args:
        number: counts attempts, so that it changes whenever anything may have changed.
        look: the last good one; None before the first.
        ended: pods' jobs that the batch system no longer shows.
        positions: places in line by `Job.key`; empty when they cannot be known.
        waits: by partition.
        wait_hours: how far back they are counted.
        collected_at: seconds since the epoch, the site's clock.
        collected_clock: the same moment by the clock that only grows.
        error: of the last attempt.
    """

    number: int = 0
    look: Look | None = None
    ended: tuple[Job, ...] = ()
    positions: dict[str, int] = {}
    waits: dict[str, Waits] = {}
    wait_hours: float = 0
    collected_at: float | None = None
    collected_clock: float | None = None
    error: CommandError | None = CommandError("", "the batch system has not been looked at yet")

    def age_seconds(self, clock: float) -> float | None:
        """Return how old the data is at a moment of the clock that only grows; None before the first look."""
        return None if self.collected_clock is None else max(clock - self.collected_clock, 0.0)


class Collector:
    """Looks at a batch system in the background; whoever asks gets the last look, never a new one.

    Args:
        scheduler: the batch system.
        interval_seconds: shortest time between two looks.
        wait_hours: how far back waits are counted.
        ended_hours: how long ended jobs are remembered.
        state_file: keeps the ended jobs over a restart.
        clock: seconds that only grow.
        wall_clock: seconds since the epoch.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        interval_seconds: float,
        wait_hours: float = 6,
        ended_hours: float = 6,
        state_file: StateFile,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ):
        self.scheduler = scheduler
        self.view = View()
        self._interval_seconds = interval_seconds
        self._waits = WaitMemory(wait_hours)
        self._ended = EndedJobs(ended_hours)
        self._state_file = state_file
        self._clock = clock
        self._wall_clock = wall_clock
        self._first = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._restore()

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="collector")

    async def stop(self) -> None:
        """End looking; a command that is under way is ended."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def wait_first(self, timeout_seconds: float) -> View:
        """Return the view, after the first look when there was none yet and it comes in time."""
        if not self._first.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._first.wait(), timeout_seconds)
        return self.view

    async def _run(self) -> None:
        while True:
            began = self._clock()
            await self.collect()
            took = self._clock() - began
            # A controller that needs long to answer gets as long to recover.
            await asyncio.sleep(max(self._interval_seconds - took, min(took, self._interval_seconds)))

    async def collect(self) -> None:
        """Look once. Never raises: a failed look leaves the last good one, with the error beside it."""
        try:
            look = await self.scheduler.look()
        except CommandError as error:
            log.warning("look failed", command=error.command, error=error.message)
            self.view = self.view._replace(number=self.view.number + 1, error=error)
        except Exception as error:
            log.exception("look failed")
            failure = CommandError(self.scheduler.name, f"internal error: {type(error).__name__}")
            self.view = self.view._replace(number=self.view.number + 1, error=failure)
        else:
            self._take(look)
        self._first.set()
        await self._state_file.save()

    def _take(self, look: Look) -> None:
        now = self._wall_clock()
        self._waits.learn(look.jobs, now)
        if self._ended.learn(look.jobs, now):
            self._state_file.put("ended", self._ended.as_json())
        if self.view.error is not None:
            log.info("look succeeded", jobs=len(look.jobs), partitions=len(look.partitions))
        self.view = View(
            number=self.view.number + 1,
            look=look,
            ended=tuple(self._ended.missing_in(look.jobs)),
            # Where other people's jobs are hidden nobody knows who comes first.
            positions=positions(look.jobs) if look.sees_all_jobs else {},
            waits=self._waits.by_partition(),
            wait_hours=self._waits.hours,
            collected_at=now,
            collected_clock=self._clock(),
            error=None,
        )

    def _restore(self) -> None:
        try:
            self._ended.restore(self._state_file.get("ended") or [], self._wall_clock())
        except ValueError as error:
            log.warning("saved jobs are not used", error=type(error).__name__)
