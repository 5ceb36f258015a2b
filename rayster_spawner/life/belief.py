"""What to believe of a server when its pod and its site's agent speak of it: the agent is the truth about jobs. Pure.

interLink looks at one pod every ten seconds, so a pod's phase is late, and sometimes it is wrong: *Succeeded* for a job
whose nodes are booting, *Pending* for ever for one that was cancelled in the queue. An agent that was not heard lately,
or that does not know the job, proves nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..site_facts import HeardJob, JobState, SiteJob
from .endings import EndCode, end_of_job
from .pod_status import PodView, State

# What a job that is not over means for its server; *unknown* says nothing of it.
_STATES = {
    JobState.PENDING: State.QUEUED,
    JobState.SUSPENDED: State.QUEUED,
    JobState.CONFIGURING: State.STARTING,
    JobState.RUNNING: State.RUNNING,
    JobState.COMPLETING: State.RUNNING,
}
_POD_SAYS = {
    State.SUBMITTED: "was submitted",
    State.QUEUED: "waits",
    State.STARTING: "is starting",
    State.RUNNING: "is running",
    State.ENDED: "has ended",
    State.FAILED: "has failed",
}
_JOB_DOES = {
    JobState.PENDING: "is waiting",
    JobState.SUSPENDED: "is suspended",
    JobState.CONFIGURING: "is starting",
    JobState.RUNNING: "is running",
    JobState.COMPLETING: "is ending",
}


class Belief(NamedTuple):
    """What is believed of a server. ``view`` is what its pod says, put right by what the site says of its job.

    ``end`` tells that the site itself says that the job is over, and why. ``told`` tells that the site has decided the
    state; the rest is the site's news of the queue, as old as ``heard_seconds_ago`` (None: nothing was heard).
    ``note`` is a sentence for people where pod and site differ.
    """

    view: PodView
    end: EndCode | None = None
    told: bool = False
    raw_reason: str = ""
    partition: str = ""
    position: int | None = None
    expected_start_in_seconds: int | None = None
    heard_seconds_ago: int | None = None
    note: str = ""


def believe(view: PodView, heard: Sequence[HeardJob], job_id: str | None = None) -> Belief:
    """Return what to believe of a server.

    Arguments: ``view`` is what its pod says, ``heard`` what its site's agent says of the jobs of that pod (there may be
    two: a virtual kubelet that is killed in the middle submits again), ``job_id`` the one that the pod names.
    """
    word = _word(heard, job_id or view.job_id)
    if word is None:
        return Belief(view)
    age_seconds = max(0, round(word.age_seconds))
    if not word.is_fresh:
        return Belief(view, heard_seconds_ago=age_seconds)
    job = word.job
    view = view._replace(job_id=view.job_id or job.id)
    if view.state is State.DELETED:
        # Whatever its job does yet: the pod is going, and the job with it.
        return Belief(view, heard_seconds_ago=age_seconds)
    if job.state.is_over:
        return _over(view, job, age_seconds)
    # A job that is ending says nothing of a server that is there; of one that has ended, it will soon say why.
    if job.state not in _STATES or (job.state is JobState.COMPLETING and not view.is_over):
        return Belief(view, heard_seconds_ago=age_seconds)
    return _alive(view, job, age_seconds)


def _word(heard: Sequence[HeardJob], job_id: str | None) -> HeardJob | None:
    """Return what to go by: fresh before stale, living before dead, and of these the job that the pod names."""

    def worth(word: HeardJob) -> tuple[bool, bool, bool, float]:
        job = word.job
        return word.is_fresh, not job.state.is_over, job.id == job_id, job.ended_at or job.submitted_at or 0

    return max(heard, key=worth, default=None)


def _over(view: PodView, job: SiteJob, age_seconds: int) -> Belief:
    end, why = end_of_job(job)
    is_success = end is EndCode.COMPLETED
    # The shell's way to say that a signal ended a program.
    exit_code = job.exit_code or (128 + job.signal if job.signal else None) or (0 if is_success else 1)
    note = "" if view.is_over else f"The cluster still says that the server {_POD_SAYS[view.state]}."
    corrected = PodView(State.ENDED if is_success else State.FAILED, why, view.job_id, exit_code, end)
    return Belief(corrected, end, True, job.raw_reason, job.partition, None, None, age_seconds, note)


def _alive(view: PodView, job: SiteJob, age_seconds: int) -> Belief:
    state = _STATES[job.state]
    note = ""
    # A cluster that has not seen the job move yet is no news: it is always a little late.
    if view.is_over or _ORDER.index(view.state) > _ORDER.index(state):
        pod_says, job_does = _POD_SAYS[view.state], _JOB_DOES[job.state]
        note = f"The cluster says that the server {pod_says}, the site that its job {job_does}."
    # The pod's own words, such as an image that cannot be pulled, are about a server that is there.
    said = "" if view.is_over or state is State.QUEUED else view.reason
    corrected = PodView(state, job.reason or said, view.job_id)
    is_queued = job.state is JobState.PENDING
    expected = job.expected_start_in_seconds if is_queued else None
    return Belief(
        corrected,
        told=True,
        raw_reason=job.raw_reason,
        partition=job.partition,
        position=job.position if is_queued else None,
        expected_start_in_seconds=None if expected is None else max(0, round(expected)),
        heard_seconds_ago=age_seconds,
        note=note,
    )


_ORDER = (State.SUBMITTED, State.QUEUED, State.STARTING, State.RUNNING, State.ENDED, State.FAILED)
