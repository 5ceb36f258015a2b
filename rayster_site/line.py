"""Where each waiting job stands in the line of its partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rayster_site.facts import Job


def positions(jobs: Iterable[Job]) -> dict[str, int]:
    """Return the position, from 1, of every job that waits for its turn, by `Job.key`.

    The line of a partition is ordered as the scheduler starts jobs that all fit: by priority, then by submission. Jobs
    on hold, with a date or waiting for another job stand in no line. Each waiting task of an array is one place. A job
    that may run in several partitions gets its best place.
    """
    lines: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.is_in_line:
            for partition in job.partitions:
                lines[partition].append(job)
    found: dict[str, int] = {}
    for line in lines.values():
        line.sort(key=_order)
        ahead = 0
        for job in line:
            found[job.key] = min(found.get(job.key, ahead + 1), ahead + 1)
            ahead += job.tasks
    return found


def _order(job: Job) -> tuple[float, float, int, str]:
    number = int(job.key) if job.key.isdecimal() else 0
    return -(job.priority or 0), job.submitted_at or 0, number, job.key
