"""The queue itself: takes jobs, starts and ends them, remembers them."""

from __future__ import annotations

import logging
import pwd
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rayster_testbed.batch_queue import sbatch
from rayster_testbed.batch_queue.job import ACTIVE, LIVE, Job
from rayster_testbed.batch_queue.plan import Placement, plan, reasons
from rayster_testbed.batch_queue.store import Store
from rayster_testbed.partitions import MIN_JOB_AGE_SECONDS, Partition

log = logging.getLogger(__name__)

# Expected starts move even when nothing happens, since jobs that end early are not foreseen.
_REPLAN_SECONDS = 2


class Queue:
    """All jobs of one batch system.

    Args:
        store: their state on disk, read once here.
        partitions: where they can run.
        seconds_per_minute: length of a minute of walltime, smaller in tests.
        now: the clock, seconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        partitions: Sequence[Partition],
        seconds_per_minute: float = 60,
        now: Callable[[], float] = time.time,
    ):
        self.partitions = partitions
        self.seconds_per_minute = seconds_per_minute
        self.now = now
        self.placements: dict[int, Placement] = {}
        self._store = store
        self._planned_at = 0.0
        self.jobs = store.load()
        for job in self.jobs.values():
            # Killed between deciding to start a job and starting it: it waits on.
            if job.state in ACTIVE and not store.is_alive(job) and not store.was_started(job):
                job.state, job.start_time, job.node_names = "PD", 0, []

    def submit(
        self, argv: Sequence[str], submit_dir: str, environment: dict[str, str], uid: int
    ) -> tuple[Job, bool]:
        """Take a job in from sbatch's command line; return it and whether only its id is to be printed.

        Raises:
            SbatchError: the job is refused.
        """
        line = sbatch.parse_words(argv)
        name, script, arguments = _script(line, submit_dir)
        options = sbatch.parse_script(script) | line.options
        taken = sbatch.resources(options, self.partitions)
        fields = sbatch.job_fields(options, taken, script_name=name, submit_dir=submit_dir)
        job = Job(
            id=self._store.next_id(),
            uid=uid,
            user=_user_name(uid),
            submit_time=self.now(),
            script="" if "wrap" in options else str(Path(submit_dir, line.rest[0])),
            arguments=arguments,
            environment=environment if options.get("export") != "NONE" else {},
            **fields,
        )
        self._store.add(job, script)
        self.jobs[job.id] = job
        log.info("job %s (%s) submitted to %s", job.id, job.name, job.partition)
        self._plan()
        return job, "parsable" in options

    def cancel(self, job: Job) -> None:
        """Cancel a job: one that waits ends here, one that runs gets SIGTERM, then SIGKILL."""
        if job.state == "PD":
            job.state, job.end_time = "CA", self.now()
            self._store.save(job)
            log.info("job %s cancelled", job.id)
            self._plan()
        elif job.state == "R":
            self._end(job, "CA", "None")

    def tick(self) -> None:
        """Notice what ended, end what ran too long, start what can start, forget what is old."""
        self._store.reap()
        now = self.now()
        changed = False
        for job in list(self.jobs.values()):
            if job.state in ACTIVE:
                changed |= self._look_after(job, now)
            elif job.end_time and now - job.end_time > MIN_JOB_AGE_SECONDS:
                del self.jobs[job.id]
                self._store.forget(job)
        waiting = any(job.state == "PD" for job in self.jobs.values())
        if changed or (waiting and now - self._planned_at > _REPLAN_SECONDS):
            self._plan()

    def live(self) -> list[Job]:
        """Return the jobs that wait or run."""
        return [job for job in self.jobs.values() if job.state in LIVE]

    def _look_after(self, job: Job, now: float) -> bool:
        # The order matters: the exit status is written before the shim ends.
        alive = self._store.is_alive(job)
        status = self._store.exit_status(job)
        if status is not None or not alive:
            self._finish(job, status, now)
            return True
        if job.state == "R" and now - job.start_time > job.walltime_minutes * self.seconds_per_minute:
            self._end(job, "TO", "TimeLimit")
        elif job.state == "CG":
            self._store.signal(job, signal.SIGTERM)
        return False

    def _finish(self, job: Job, status: int | None, now: float) -> None:
        job.end_time = now
        if status is None:
            job.state, job.reason, job.exit_status = "NF", "NodeDown", signal.SIGKILL
        else:
            job.exit_status = status
            if job.final_state:
                job.state = job.final_state
            else:
                job.state, job.reason = ("F", "NonZeroExitCode") if status else ("CD", "None")
        self._store.save(job)
        log.info("job %s ended: %s, wait status %s", job.id, job.state, job.exit_status)

    def _end(self, job: Job, final_state: str, reason: str) -> None:
        job.state, job.final_state, job.reason = "CG", final_state, reason
        self._store.save(job)
        self._store.signal(job, signal.SIGTERM)
        log.info("job %s is being ended: %s", job.id, final_state)

    def _plan(self) -> None:
        now = self._planned_at = self.now()
        self.placements = plan(self.jobs.values(), self.partitions, now, self.seconds_per_minute)
        for job_id, reason in reasons(self.placements, self.jobs, now).items():
            job, placement = self.jobs[job_id], self.placements[job_id]
            job.reason = reason
            if placement.start_time <= now:
                job.state, job.start_time, job.node_names = "R", now, list(placement.node_names)
                self._store.save(job)
                self._store.start(job)
                log.info("job %s started on %s", job.id, ",".join(job.node_names))


def _script(line: sbatch.CommandLine, submit_dir: str) -> tuple[str, str, list[str]]:
    if "wrap" in line.options:
        return "wrap", f"#!/bin/sh\n{line.options['wrap']}\n", []
    if not line.rest:
        raise sbatch.SbatchError("no batch script given")
    path = Path(submit_dir, line.rest[0])
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        raise sbatch.SbatchError(f"Unable to open file {line.rest[0]}") from None
    return path.name, text, line.rest[1:]


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
