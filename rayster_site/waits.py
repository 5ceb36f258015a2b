"""How long jobs have waited in each partition that began in the last hours, remembered beyond their end."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from rayster_site.facts import Job
from rayster_spawner.site_facts import Waits


class _Start(NamedTuple):
    partition: str
    started_at: float
    wait_seconds: float


class WaitMemory:
    """Remembers when jobs began and how long they had waited.

    Args:
        hours: how far back it counts.
        max_jobs: how many jobs it remembers at most; the ones that it met first go first.
    """

    def __init__(self, hours: float, max_jobs: int = 50_000):
        self.hours = hours
        self._max_jobs = max_jobs
        self._starts: OrderedDict[tuple[str, float], _Start] = OrderedDict()

    def learn(self, jobs: Iterable[Job], now: float) -> None:
        """Take in the jobs of one look at `now` (seconds since the epoch, the site's clock)."""
        oldest = now - self.hours * 3600
        for job in jobs:
            if job.started_at is None or job.submitted_at is None or job.started_at < oldest:
                continue
            # A job that was put back and began again has waited twice.
            key = job.key, job.started_at
            if key not in self._starts:
                wait = max(job.started_at - job.submitted_at, 0.0)
                self._starts[key] = _Start(job.partitions[0], job.started_at, wait)
        for key in [key for key, start in self._starts.items() if start.started_at < oldest]:
            del self._starts[key]
        while len(self._starts) > self._max_jobs:
            self._starts.popitem(last=False)

    def by_partition(self) -> dict[str, Waits]:
        """Return the waits of every partition in which a job began."""
        waits: dict[str, list[float]] = defaultdict(list)
        for start in self._starts.values():
            waits[start.partition].append(start.wait_seconds)
        return {
            partition: Waits(
                hours=self.hours,
                jobs=len(values),
                p50=percentile(values, 50),
                p90=percentile(values, 90),
            )
            for partition, values in waits.items()
        }


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the smallest value that at least `percent` % of the values do not exceed (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]
