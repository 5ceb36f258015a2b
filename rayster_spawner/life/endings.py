"""The ways in which a server ends, and what its user is told of each. Pure."""

from enum import Enum

from ..site_facts import JobState, SiteJob


class EndCode(str, Enum):
    """Why a server ended, in the words of the page that says so."""

    WALLTIME = "walltime"
    OUT_OF_MEMORY = "out-of-memory"
    CANCELLED_AT_SITE = "cancelled-at-site"
    NODE_FAILED = "node-failed"
    PREEMPTED = "preempted"
    COMPLETED = "completed"
    FAILED = "failed"
    DELETED = "deleted"
    START_FAILED = "start-failed"


_ENDS = {
    JobState.TIMEOUT: (EndCode.WALLTIME, "The job reached its time limit."),
    JobState.OUT_OF_MEMORY: (EndCode.OUT_OF_MEMORY, "The server ran out of memory."),
    JobState.CANCELLED: (EndCode.CANCELLED_AT_SITE, "The job was cancelled at the site."),
    JobState.NODE_FAILED: (EndCode.NODE_FAILED, "A compute node of the job failed."),
    JobState.PREEMPTED: (EndCode.PREEMPTED, "The site ended the job to make room for another one."),
    JobState.COMPLETED: (EndCode.COMPLETED, "The job is complete."),
}


def end_of_job(job: SiteJob) -> tuple[EndCode, str]:
    """Return how a job that is over ended: a code, and one sentence for its user."""
    return _ENDS.get(job.state) or (EndCode.FAILED, _failure(job))


def _failure(job: SiteJob) -> str:
    if job.exit_code:
        return f"The job ended with exit status {job.exit_code}."
    if job.reason:
        return job.reason
    return f"The job was ended by signal {job.signal}." if job.signal else "The job failed."
