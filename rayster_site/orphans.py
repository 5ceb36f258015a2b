"""Decides which jobs nobody waits for any more: those whose pod is gone, second jobs of a pod. Nothing here acts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from rayster_site.facts import Job
from rayster_spawner.site_facts import JobState

MAX_ANSWER_AGE_SECONDS = 60
# However short the grace time: fewer looks than this prove nothing.
MIN_LOOKS = 3
# Fewer pods than this may all be others at the next look.
_FEW_PODS = 4
# SLURM writes whole seconds.
_CLOCK_SLACK_SECONDS = 2


class OrphanKind(str, Enum):
    """Why a job is an orphan."""

    POD_GONE = "pod-gone"
    POD_NEVER_SEEN = "pod-never-seen"
    DOUBLED = "doubled"


class LivePods(NamedTuple):
    """The pods of this site that live, as the hub's service says.

    Args:
        uids: their UIDs.
        age_seconds: how old the service's view of the cluster is.
        job_ids: by UID, the job that the pod follows (interLink's annotation JobID), where it is known.
    """

    uids: frozenset[str]
    age_seconds: float
    job_ids: Mapping[str, str] = {}


class Finding(NamedTuple):
    """An orphan as of one look.

    Args:
        job: the job.
        kind: why it is one.
        why: the same in a sentence.
        kept: of a doubled job: the id of the job that stays.
        may_cancel: whether it is certain enough to be cancelled after the grace time.
    """

    job: Job
    kind: OrphanKind
    why: str
    kept: str | None = None
    may_cancel: bool = False


def find_orphans(jobs: Iterable[Job], live: LivePods, seen_live: Set[str], now: float) -> list[Finding]:
    """Return the orphans among pods' jobs.

    Args:
        jobs: the jobs of pods; ended ones are passed over.
        live: the pods that live.
        seen_live: UIDs of pods that lived at an earlier look.
        now: seconds since the epoch, the site's clock. A job that was submitted after the service last heard of the
            cluster is passed over: so may its pod have been.
    """
    heard_at = now - live.age_seconds - _CLOCK_SLACK_SECONDS
    by_pod: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        is_ending = job.state.is_over or job.state is JobState.COMPLETING
        is_new = job.submitted_at is not None and job.submitted_at >= heard_at
        if job.pod_uid is not None and not is_ending and not is_new:
            by_pod[job.pod_uid].append(job)
    findings: list[Finding] = []
    for uid, own in by_pod.items():
        if uid in live.uids:
            findings += _doubled(own, live.job_ids.get(uid))
        elif uid in seen_live:
            findings += [
                Finding(job, OrphanKind.POD_GONE, "Its pod is gone.", may_cancel=True) for job in own
            ]
        else:
            why = "Its pod is not among those that live, and never was as far as this agent remembers."
            findings += [Finding(job, OrphanKind.POD_NEVER_SEEN, why) for job in own]
    return findings


def _doubled(jobs: list[Job], job_id: str | None) -> list[Finding]:
    """Return the second jobs of a pod that lives.

    The job that the pod follows stays: ending it would end the pod. Where that is not known, the oldest running job is
    said to be the one to keep, else the oldest, but none is ended.
    """
    if len(jobs) < 2:
        return []
    followed = next(
        (job for job in jobs if job_id is not None and job_id in (job.id, job.key, _number(job))), None
    )
    kept = followed or min(jobs, key=_age_order)
    if followed:
        why = f"A second job of its pod, which follows job {kept.id}."
    else:
        which = "oldest running" if kept.started_at is not None else "oldest"
        why = f"A second job of its pod, beside the {which} one, job {kept.id}; which one the pod follows is not known."
    return [
        Finding(job, OrphanKind.DOUBLED, why, kept=kept.id, may_cancel=followed is not None)
        for job in jobs
        if _number(job) != _number(kept)
    ]


def _number(job: Job) -> str:
    """Return the number that the tasks of an array, or the parts of a hetjob or a cluster, have in common."""
    return re.split(r"[_+.]", job.id, maxsplit=1)[0]


def _age_order(job: Job) -> tuple[bool, float, float, str]:
    began = job.started_at
    return began is None, began or 0.0, job.submitted_at or 0.0, job.key.rjust(20)


@dataclass
class AnswerJudge:
    """Says which answers of the service may be acted upon.

    An answer that has suddenly half as many pods, or fewer, is not: a service that has just lost its view of the
    cluster looks like that. Nor is one that lists as many, of which half are others: that may be another cluster. When
    answers stay like that for the whole grace time they are the new normal.

    Args:
        grace_seconds: the grace time.
        usual: the pods of the last answer that counted.
    """

    grace_seconds: float
    usual: Set[str] = frozenset()
    _short_since: float | None = None
    _last_short: float | None = None

    def refusal(self, live: LivePods, clock: float) -> str | None:
        """Return why an answer must not be acted upon, None when it may be.

        Args:
            live: the answer.
            clock: seconds that only grow.
        """
        if not 0 <= live.age_seconds <= MAX_ANSWER_AGE_SECONDS:
            return f"the service's view is {live.age_seconds:.0f} s old"
        if not live.uids:
            return "the service lists no pods at all"
        if (doubt := self._doubt(live.uids)) and not self._has_lasted(clock):
            return doubt
        self.usual = live.uids
        self._short_since = self._last_short = None
        return None

    def _doubt(self, uids: Set[str]) -> str:
        before, kept = len(self.usual), len(self.usual & uids)
        if len(uids) * 2 <= before:
            return f"the service suddenly lists {len(uids)} pods instead of {before}"
        if before >= _FEW_PODS and kept * 2 <= before:
            return f"the service suddenly lists only {kept} of the {before} pods that there were"
        return ""

    def _has_lasted(self, clock: float) -> bool:
        """Return whether answers have been this short for the whole grace time, without long gaps."""
        if self._last_short is None or clock - self._last_short > MAX_ANSWER_AGE_SECONDS:
            self._short_since = clock
        self._last_short = clock
        return self._short_since is not None and clock - self._short_since >= self.grace_seconds


class Tracked(NamedTuple):
    """An orphan over several looks; times are of the clock that only grows."""

    finding: Finding
    since: float
    looks: int


@dataclass
class OrphanTracker:
    """Follows orphans over looks: a job must have been one in every look of the grace time.

    Args:
        grace_seconds: the grace time.
        max_gap_seconds: after a longer time without a look that counts, the grace time begins anew.
    """

    grace_seconds: float
    max_gap_seconds: float
    tracked: dict[tuple[str, OrphanKind], Tracked] = field(default_factory=dict)
    _last_look: float | None = None

    def look(self, findings: Iterable[Finding], clock: float) -> None:
        """Take in one look that counts."""
        if self._last_look is not None and clock - self._last_look > self.max_gap_seconds:
            self.tracked = {}
        self._last_look = clock
        before, self.tracked = self.tracked, {}
        for finding in findings:
            key = finding.job.key, finding.kind
            known = before.get(key)
            self.tracked[key] = (
                Tracked(finding, known.since, known.looks + 1) if known else Tracked(finding, clock, 1)
            )

    def due(self, clock: float, own_account: str) -> list[Job]:
        """Return the jobs to cancel: certain orphans of the agent's own account whose grace time is over."""
        if self._last_look != clock:
            return []
        return [
            known.finding.job
            for known in self.tracked.values()
            if known.finding.may_cancel
            and known.finding.job.owner == own_account
            and known.looks >= MIN_LOOKS
            and clock - known.since >= self.grace_seconds
        ]
