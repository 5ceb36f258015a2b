"""The agent's answers, as pydantic models, and how a look at the batch system becomes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

from pydantic import BaseModel, Field

from rayster_site.collector import View
from rayster_site.commands import printable
from rayster_site.facts import Job, PartitionFacts, Scheduler
from rayster_site.orphans import OrphanKind, OrphanTracker
from rayster_spawner.site_facts import (
    AgentError,
    Cores,
    Count,
    Gpus,
    JobCounts,
    JobsAnswer,
    JobState,
    Nodes,
    Partition,
    SiteAnswer,
    SiteJob,
    Waits,
)

# A start that was expected a minute ago and has not come is no expectation any more.
_OVERDUE_SECONDS = 60
# What `Seconds` allows: a job may be given a start in the year 9999, which is nothing to count down to.
_MAX_SECONDS = 10**10


class Limits(BaseModel):
    """What a job in a partition may ask for at most; null: no limit, or not told."""

    walltime_minutes: Count | None = None
    cores_per_node: Count | None = None
    memory_mib_per_node: Count | None = None


class SitePartition(Partition):
    """One partition with its limits."""

    limits: Limits = Limits()


class Site(SiteAnswer):
    """What ``GET /v1/site`` answers."""

    partitions: list[SitePartition] = []  # type: ignore[assignment]
    sees_all_jobs: bool | None = Field(
        default=None,
        description="false: the site hides other people's jobs, so counts, waits and positions are not the whole truth",
    )


class Jobs(JobsAnswer):
    """What ``GET /v1/jobs`` answers: the jobs of pods, ended ones for some hours."""


class OneJob(JobsAnswer):
    """What ``GET /v1/jobs/{key}`` answers."""

    jobs: list[SiteJob] = Field(default=[], exclude=True)
    job: SiteJob


class OrphanState(Protocol):
    """What is known of orphans."""

    tracker: OrphanTracker
    cancels: bool
    looked_at: float | None
    problem: str | None


class Orphan(BaseModel):
    """A job that nobody waits for."""

    job: SiteJob
    kind: OrphanKind
    why: str
    kept_job_id: str | None = Field(description="of a doubled job: the job of the same pod that stays")
    since: float = Field(description="when it was first seen to be one, in every look since")
    since_seconds: float
    cancelled_in_seconds: float | None = Field(description="null: it will not be cancelled by the agent")


class Orphans(JobsAnswer):
    """What ``GET /v1/orphans`` answers."""

    jobs: list[SiteJob] = Field(default=[], exclude=True)
    orphans: list[Orphan] = []
    cancels: bool = Field(description="whether the site manager has switched cancelling on")
    grace_seconds: float | None
    looked_at: float | None = Field(description="the last look that counts")
    problem: str | None = Field(description="why the last look does not count; null: it does")


class Told:
    """Turns views into answers.

    Args:
        site: the site's name.
        scheduler: whose jobs they are.
        job_owners: accounts whose jobs may be pods' jobs, as `Job.owner` has them; None: any.
    """

    def __init__(self, site: str, scheduler: Scheduler, job_owners: frozenset[str] | None = None):
        self._site = site
        self._scheduler = scheduler
        self._job_owners = job_owners

    def site(self, view: View, *, now: float, clock: float) -> Site:
        """Return what is known of the partitions."""
        look = view.look
        partitions: list[SitePartition] = []
        if look is not None:
            counts = _count_jobs(look.jobs)
            partitions = [
                _partition(
                    facts, counts.get(name, Counter()), view.waits.get(name, Waits(hours=view.wait_hours))
                )
                for name, facts in sorted(look.partitions.items())
            ]
        sees_all_jobs = look.sees_all_jobs if look else None
        return Site(**self._head(view, now, clock), partitions=partitions, sees_all_jobs=sees_all_jobs)

    def jobs(self, view: View, *, now: float, clock: float) -> Jobs:
        """Return every job that is a pod's."""
        age = view.age_seconds(clock) or 0.0
        jobs = [self._job(job, view, now, age) for job in self.pod_jobs(view)]
        return Jobs(**self._head(view, now, clock), jobs=jobs)

    def job(self, view: View, key: str, *, now: float, clock: float) -> OneJob | None:
        """Return the job with an id, or the job of the pod with that UID; None when there is none.

        Of several jobs of a pod it is the newest that is not over, else the newest.
        """
        found = [job for job in self.pod_jobs(view) if key in (job.pod_uid, job.id, job.key)]
        if not found and view.look is not None:
            found = [job for job in view.look.jobs if key in (job.id, job.key)]
        if not found:
            return None
        job = max(found, key=lambda job: (not job.state.is_over, job.submitted_at or 0))
        age = view.age_seconds(clock) or 0.0
        return OneJob(**self._head(view, now, clock), job=self._job(job, view, now, age))

    def orphans(self, view: View, watch: OrphanState | None, *, now: float, clock: float) -> Orphans:
        """Return the orphans; `watch` is None when nobody was told where to ask for the pods that live."""
        head = self._head(view, now, clock)
        if watch is None:
            problem = "no --service-url: nobody knows which pods live"
            return Orphans(**head, cancels=False, grace_seconds=None, looked_at=None, problem=problem)
        grace, age = watch.tracker.grace_seconds, view.age_seconds(clock) or 0.0
        orphans = [
            Orphan(
                job=self._job(known.finding.job, view, now, age),
                kind=known.finding.kind,
                why=known.finding.why,
                kept_job_id=known.finding.kept,
                since=now - (clock - known.since),
                since_seconds=clock - known.since,
                cancelled_in_seconds=max(grace - (clock - known.since), 0.0)
                if watch.cancels and known.finding.may_cancel and self._is_own(known.finding.job)
                else None,
            )
            for known in watch.tracker.tracked.values()
        ]
        return Orphans(
            **head,
            orphans=orphans,
            cancels=watch.cancels,
            grace_seconds=grace,
            looked_at=watch.looked_at,
            problem=watch.problem,
        )

    def _is_own(self, job: Job) -> bool:
        return job.owner == self._scheduler.own_account

    def pod_jobs(self, view: View) -> list[Job]:
        """Return the pods' jobs: those with a pod's UID for a name, of an account that interLink submits with."""
        jobs: Iterable[Job] = (*(view.look.jobs if view.look else ()), *view.ended)
        return [job for job in jobs if job.pod_uid is not None and self._is_trusted(job)]

    def _is_trusted(self, job: Job) -> bool:
        """Anybody at the site can give a job the name of somebody's pod."""
        return self._job_owners is None or job.owner in self._job_owners

    def _head(self, view: View, now: float, clock: float) -> dict[str, Any]:
        error = view.error
        return {
            "site": self._site,
            "scheduler": self._scheduler.name,
            "now": now,
            "collected_at": view.collected_at,
            "age_seconds": view.age_seconds(clock),
            "error": AgentError(command=error.command, message=error.message) if error else None,
        }

    def _job(self, job: Job, view: View, now: float, age_seconds: float) -> SiteJob:
        expected = _sane(job.expected_start_at)
        if expected is not None and expected < now - _OVERDUE_SECONDS:
            expected = None
        left = _sane(job.time_left_seconds)
        return SiteJob(
            id=job.id,
            pod_uid=job.pod_uid if self._is_trusted(job) else None,
            partition=",".join(job.partitions)[:256],
            state=job.state,
            raw_state=job.raw_state[:256],
            reason=printable(self._scheduler.reason_text(job)),
            raw_reason=printable(job.raw_reason, 256),
            position=view.positions.get(job.key) if job.state is JobState.PENDING else None,
            submitted_at=_sane(job.submitted_at),
            started_at=_sane(job.started_at),
            ended_at=_sane(job.ended_at),
            expected_start_at=expected,
            expected_start_in_seconds=None if expected is None else max(expected - now, 0.0),
            time_left_seconds=None if left is None else max(left - age_seconds, 0.0),
            nodes=[name[:256] for name in self._scheduler.nodes_of(job)],
            exit_code=job.exit_code,
            signal=job.signal,
        )


def _sane(seconds: float | None) -> float | None:
    return seconds if seconds is not None and abs(seconds) <= _MAX_SECONDS else None


def _count_jobs(jobs: Iterable[Job]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for job in jobs:
        if job.state is JobState.PENDING:
            kind = "pending"
        elif not job.state.is_over:
            kind = "running"
        else:
            continue
        for partition in job.partitions:
            counts.setdefault(partition, Counter())[kind] += job.tasks
    return counts


def _partition(facts: PartitionFacts, jobs: Counter[str], waits: Waits) -> SitePartition:
    return SitePartition(
        name=facts.name,
        is_default=facts.is_default,
        state=facts.state,
        nodes=Nodes(**facts.nodes, total=sum(facts.nodes.values())),
        cores=Cores(free=facts.free_cores, total=facts.total_cores),
        gpus=[Gpus(type=name, free=gpus.free, total=gpus.total) for name, gpus in sorted(facts.gpus.items())],
        jobs=JobCounts(pending=jobs["pending"], running=jobs["running"]),
        wait_seconds=waits,
        limits=Limits(
            walltime_minutes=facts.walltime_minutes,
            cores_per_node=facts.cores_per_node,
            memory_mib_per_node=facts.memory_mib_per_node,
        ),
    )
