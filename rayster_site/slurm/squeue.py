"""Asks squeue for every job in one call, and reads its answer."""

from __future__ import annotations

import re

from rayster_site.commands import CommandError
from rayster_site.facts import Job, pod_uid_in
from rayster_site.slurm.states import job_state
from rayster_site.slurm.values import count_tasks, parse_duration, parse_time
from rayster_spawner.site_facts import JobState

# A job's name is any text of somebody else, line breaks included. So it comes first and in exactly this many
# bytes: one more than a pod's UID has, so that a longer name is not taken for one.
_NAME_BYTES = 37
# The reason stands last, since an administrator may have written it.
_FIELDS = "iAPTQVSeLUNr"
SQUEUE_ARGUMENTS = (
    "--noheader",
    "--all",
    "--states=all",
    "--format=" + f"%{_NAME_BYTES}j|" + "|".join(f"%{letter}" for letter in _FIELDS),
)
EXIT_CODE_ARGUMENTS = (
    "--noheader",
    "--all",
    "--states=all",
    "--Format=jobid:32,exit_code:32",
)
_MAX_ID_CHARS = 64
# "association (acc=physics/user=somebody/part=gpu)"
_ASSOCIATION = re.compile(r"\s*\((?:acc|user)=[^)]*\)")
_HARMLESS = re.compile(
    r"\w+|ReqNodeNotAvail, ?(?:UnavailableNodes:[\w.,\[\]-]*|May be reserved for other job|Reserved for maintenance)"
    r"|Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
    r"|(?:job requeued in (?:held|special exit) state|launch fail[a-z ]+ requeued held)"
)
_FIRST_WORD = re.compile(r"\w+")
# A job on hold starts when somebody releases it, whatever start SLURM has noted.
_ON_HOLD = re.compile(r"held|JobHoldMaxRequeue|ReservationDeleted|in special exit state", re.IGNORECASE)
# What else a job waits for that is no turn in a line: a date, another job, its own siblings.
_OUT_OF_LINE = ("Dependency", "BeginTime", "JobArrayTaskLimit")


def parse_squeue(output: bytes) -> list[Job]:
    """Return the jobs in squeue's output to `SQUEUE_ARGUMENTS`.

    Raises:
        CommandError: a line cannot be understood; the message quotes it.
    """
    jobs = []
    start, number = 0, 0
    while start < len(output):
        number += 1
        end = output.find(b"\n", start + _NAME_BYTES)
        end = len(output) if end < 0 else end
        name, rest = output[start : start + _NAME_BYTES], output[start + _NAME_BYTES : end]
        try:
            jobs.append(_parse_job(name, rest.decode("ascii", errors="backslashreplace")))
        except (ValueError, OverflowError) as error:
            # Names are somebody's, so only what follows is quoted.
            quoted = _ASSOCIATION.sub("", rest.decode("ascii", errors="backslashreplace"))
            raise CommandError("squeue", f"entry {number} is not understood ({error}): {quoted}") from error
        start = end + 1
    return jobs


def _parse_job(name: bytes, rest: str) -> Job:
    if not rest.startswith("|"):
        raise ValueError("fields are not where they belong")
    fields = rest[1:].split("|", len(_FIELDS) - 1)
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{len(fields)} fields instead of {len(_FIELDS)}")
    job_id, key, partitions, raw_state, priority, submitted, started, ends, left, owner, nodes, reason = (
        fields
    )
    if not key.isdecimal() or not owner.isdecimal():
        raise ValueError("no job number or no user number")
    if not partitions or not raw_state:
        raise ValueError("no partition or no state")
    state = job_state(raw_state)
    start_time, end_time = parse_time(started), parse_time(ends)
    waits = state.is_waiting
    is_held = state is JobState.PENDING and _ON_HOLD.search(reason.replace("_", " ")) is not None
    pod_uid = pod_uid_in(name.decode("latin-1").rstrip(" "))
    # A job that was cancelled in the queue has its end as its start, and no nodes.
    has_begun = not waits and not (state.is_over and nodes in ("", "(null)"))
    return Job(
        id=job_id if len(job_id) <= _MAX_ID_CHARS else job_id.partition("_")[0],
        key=key,
        owner=owner,
        partitions=tuple(partitions.split(",")),
        state=state,
        raw_state=raw_state,
        raw_reason=_without_names(reason, is_of_pod=pod_uid is not None),
        pod_uid=pod_uid,
        is_in_line=state is JobState.PENDING and not is_held and not reason.startswith(_OUT_OF_LINE),
        tasks=count_tasks(job_id),
        priority=float(int(priority)),
        submitted_at=parse_time(submitted),
        started_at=start_time if has_begun else None,
        ended_at=end_time if state.is_over else None,
        expected_start_at=start_time if waits and not is_held else None,
        time_left_seconds=None if waits or state.is_over else parse_duration(left),
        node_list="" if waits else nodes,
    )


def _without_names(reason: str, *, is_of_pod: bool) -> str:
    """Return a reason without names of people: SLURM puts some in brackets, administrators may write any."""
    if reason == "None":
        return ""
    reason = _ASSOCIATION.sub("", reason)
    if is_of_pod or _HARMLESS.fullmatch(reason):
        return reason
    match = _FIRST_WORD.match(reason)
    return match.group() if match else ""


def parse_exit_codes(output: bytes) -> dict[str, tuple[int, int]]:
    """Return exit code and signal by job number from squeue's output to `EXIT_CODE_ARGUMENTS`.

    SLURM 22.05 prints the raw wait status, newer ones `CODE:SIGNAL`. A job whose code SLURM does not know is left out.

    Raises:
        CommandError: a line cannot be understood; the message quotes it.
    """
    codes = {}
    for line in output.decode("ascii", errors="backslashreplace").splitlines():
        words = line.split()
        if len(words) == 1 and words[0].isdecimal():
            # SLURM prints nothing for a code that it does not know.
            continue
        try:
            key, status = words
            if ":" in status:
                code, signal = (int(part) for part in status.split(":"))
            else:
                code, signal = int(status) >> 8 & 0xFF, int(status) & 0x7F
        except ValueError as error:
            raise CommandError("squeue", f"an exit code is not understood: {line}") from error
        codes[key] = code, signal
    return codes
