"""Pods' jobs that have ended, remembered for some hours: the batch system forgets them after minutes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from pydantic import TypeAdapter

from rayster_site.facts import Job

_JOBS = TypeAdapter(list[Job])
_Key = tuple[str, str]


class EndedJobs:
    """Remembers ended jobs of pods.

    Args:
        hours: for how long after their end.
        max_jobs: how many at most; the ones that ended first go first.
    """

    def __init__(self, hours: float, max_jobs: int = 20_000):
        self._seconds = hours * 3600
        self._max_jobs = max_jobs
        self._jobs: dict[_Key, Job] = {}

    def learn(self, jobs: Iterable[Job], now: float) -> bool:
        """Take in the jobs of one look at `now` (seconds since the epoch); return whether anything changed."""
        before = dict(self._jobs)
        for job in jobs:
            if job.pod_uid is None:
                continue
            key = job.key, job.pod_uid
            if not job.state.is_over:
                # It was put back into the queue.
                self._jobs.pop(key, None)
                continue
            known = self._jobs.get(key)
            if known is None or known.exit_code is None:
                self._jobs[key] = job
        self._forget(now)
        return self._jobs != before

    def _forget(self, now: float) -> None:
        for key in [key for key, job in self._jobs.items() if _end(job) < now - self._seconds]:
            del self._jobs[key]
        if (surplus := len(self._jobs) - self._max_jobs) > 0:
            for key in sorted(self._jobs, key=lambda key: _end(self._jobs[key]))[:surplus]:
                del self._jobs[key]

    def missing_in(self, jobs: Iterable[Job]) -> list[Job]:
        """Return the remembered jobs that are not among `jobs`."""
        told = {(job.key, job.pod_uid) for job in jobs}
        return [job for key, job in self._jobs.items() if key not in told]

    def as_json(self) -> list[dict[str, object]]:
        """Return the jobs for a file."""
        return [asdict(job) for job in self._jobs.values()]

    def restore(self, saved: object, now: float) -> None:
        """Take back what `as_json` gave.

        Raises:
            ValueError: it is something else.
        """
        for job in _JOBS.validate_python(saved):
            if job.pod_uid is not None and job.state.is_over:
                self._jobs[job.key, job.pod_uid] = job
        self._forget(now)


def _end(job: Job) -> float:
    return job.ended_at or job.submitted_at or 0.0
