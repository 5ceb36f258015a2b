"""Decides when and where jobs run: first come first served, with conservative backfill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rayster_testbed.batch_queue.job import ACTIVE, Job
from rayster_testbed.partitions import Node, Partition


@dataclass(frozen=True)
class Placement:
    """When a waiting job can start at the earliest, and on which nodes."""

    start_time: float
    node_names: tuple[str, ...]


@dataclass(frozen=True)
class _Use:
    start: float
    end: float
    cpus: int
    memory_mib: int
    gpus: int


def plan(
    jobs: Iterable[Job], partitions: Sequence[Partition], now: float, seconds_per_minute: float = 60
) -> dict[int, Placement]:
    """Return a placement for every pending job.

    Jobs are planned in order of submission, each at the earliest time at which it disturbs neither a
    running job (taken to run until its walltime) nor a job planned before it. So a small late job may start
    first, but never delays an earlier one.

    Args:
        jobs: all jobs; only pending and active ones count.
        partitions: the nodes.
        now: seconds since the epoch.
        seconds_per_minute: length of a minute of walltime, smaller in tests.
    """
    by_name = {partition.name: partition for partition in partitions}
    uses: dict[str, list[_Use]] = {node.name: [] for p in partitions for node in p.nodes}
    pending = []
    for job in sorted(jobs, key=lambda job: job.id):
        if job.state in ACTIVE:
            # A job that is being ended holds its node a moment longer than its walltime says.
            end = max(job.start_time + job.walltime_minutes * seconds_per_minute, now + 1)
            for name in job.node_names:
                uses[name].append(_Use(job.start_time, end, job.cpus, job.memory_mib, job.gpus))
        elif job.state == "PD":
            pending.append(job)
    placements = {}
    for job in pending:
        duration = job.walltime_minutes * seconds_per_minute
        placement = _earliest(job, by_name[job.partition].nodes, uses, now, duration)
        placements[job.id] = placement
        for name in placement.node_names:
            use = _Use(
                placement.start_time, placement.start_time + duration, job.cpus, job.memory_mib, job.gpus
            )
            uses[name].append(use)
    return placements


def _earliest(
    job: Job, nodes: Sequence[Node], uses: Mapping[str, Sequence[_Use]], now: float, duration: float
) -> Placement:
    ends = {use.end for node in nodes for use in uses[node.name] if use.end > now}
    for start in (now, *sorted(ends)):
        fitting = [node.name for node in nodes if _fits(job, node, uses[node.name], start, start + duration)]
        if len(fitting) >= job.nodes:
            return Placement(start, tuple(fitting[: job.nodes]))
    raise ValueError(f"job {job.id} fits on no empty node: it should have been refused")


def _fits(job: Job, node: Node, uses: Sequence[_Use], start: float, end: float) -> bool:
    overlapping = [use for use in uses if use.start < end and use.end > start]
    # Use only grows where one begins, so these are the moments to look at.
    for moment in {start, *(use.start for use in overlapping if use.start > start)}:
        here = [use for use in overlapping if use.start <= moment < use.end]
        if (
            sum(use.cpus for use in here) + job.cpus > node.cpus
            or sum(use.memory_mib for use in here) + job.memory_mib > node.memory_mib
            or sum(use.gpus for use in here) + job.gpus > node.gpu_count
        ):
            return False
    return True


def reasons(placements: Mapping[int, Placement], jobs: Mapping[int, Job], now: float) -> dict[int, str]:
    """Return why each job waits: the first of a partition for resources, the others for their turn."""
    found: dict[int, str] = {}
    blocked: set[str] = set()
    for job_id in sorted(placements):
        partition = jobs[job_id].partition
        if placements[job_id].start_time <= now:
            found[job_id] = "None"
        else:
            found[job_id] = "Priority" if partition in blocked else "Resources"
            blocked.add(partition)
    return found
