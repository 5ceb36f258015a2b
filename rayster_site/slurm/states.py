"""What SLURM's words for the states of jobs and nodes mean."""

from __future__ import annotations

from rayster_spawner.site_facts import JobState

# https://slurm.schedmd.com/job_state_codes.html
_JOB_STATES = {
    "PENDING": JobState.PENDING,
    "EXPEDITING": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.PENDING,
    "SPECIAL_EXIT": JobState.PENDING,
    "RESV_DEL_HOLD": JobState.PENDING,
    "CONFIGURING": JobState.CONFIGURING,
    "POWER_UP_NODE": JobState.CONFIGURING,
    "RUNNING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "SUSPENDED": JobState.SUSPENDED,
    "STOPPED": JobState.SUSPENDED,
    "COMPLETING": JobState.COMPLETING,
    "STAGE_OUT": JobState.COMPLETING,
    "COMPLETED": JobState.COMPLETED,
    "FAILED": JobState.FAILED,
    "LAUNCH_FAILED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
    "REVOKED": JobState.CANCELLED,
    "TIMEOUT": JobState.TIMEOUT,
    "DEADLINE": JobState.TIMEOUT,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "NODE_FAIL": JobState.NODE_FAILED,
    "BOOT_FAIL": JobState.NODE_FAILED,
    "PREEMPTED": JobState.PREEMPTED,
}
_NODE_CLASSES = {
    "idle": "idle",
    "mixed": "mixed",
    "allocated": "allocated",
    "completing": "allocated",
    "down": "down",
    "drained": "down",
    "draining": "down",
    "fail": "down",
    "failing": "down",
    "error": "down",
    "inval": "down",
    "invalid": "down",
    "unknown": "down",
}
# sinfo(1), NODE STATE CODES. `*` does not answer; `~ # + -` take jobs or will; the others are on their way out.
_STILL_OF_USE = "~#+-"
_FLAGS = "*~#!%$@^-+"


def job_state(word: str) -> JobState:
    """Return the state of a job; `UNKNOWN` for a word that is not in SLURM's manual."""
    # sacct writes "CANCELLED by 1000".
    return _JOB_STATES.get(word.partition(" ")[0], JobState.UNKNOWN)


def node_class(word: str) -> str:
    """Return `idle`, `mixed`, `allocated`, `down` or `other` for sinfo's long state, `idle`, `mixed-`, `down*`."""
    base = word.rstrip(_FLAGS).lower()
    flags = word[len(base) :]
    known = _NODE_CLASSES.get(base, "other")
    if "*" in flags:
        return "down"
    if known in ("idle", "mixed") and flags.strip(_STILL_OF_USE):
        return "other"
    return known
