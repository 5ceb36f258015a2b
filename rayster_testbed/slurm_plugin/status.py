"""What the plugin makes of squeue's answer: one container status per container, as found or as it should be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Both patterns as in the plugin: the first match in the line counts, so CF and NF read as F, and of a
# raw wait status such as 36608 only the last fitting digits (8) remain.
_STATE = re.compile("CD|CG|F|OOM|PD|PR|R|ST|S|TO")
_EXIT_CODE = re.compile(r"([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\s")

WAITING_IDEAL = {"PD", "CF", "RQ", "RH", "RF", "RD", "RS", "SO", "S", "ST"}
RUNNING_IDEAL = {"R", "CG", "SI"}
_ENDINGS = {
    "TO": ("SlurmJobTimeout", "SLURM job reached its time limit and was terminated"),
    "OOM": ("OOMKilled", "SLURM job was killed due to out-of-memory condition"),
}
_SIGTERM_EXIT_CODE = 143


@dataclass(frozen=True)
class JobState:
    """One job as the plugin understands it: kind is waiting, running or terminated."""

    kind: str
    exit_code: int = 0
    reason: str = ""
    message: str = ""


def read_as_found(squeue_line: str) -> JobState:
    """Return what the real plugin reads from `squeue -O exit_code,StateCompact`, mistakes included.

    Raises:
        ValueError: the line holds no exit code; the real plugin crashes the request there.
    """
    match = _STATE.search(squeue_line)
    state = match.group() if match else ""
    code = _EXIT_CODE.search(squeue_line)
    if code is None:
        raise ValueError(f"no exit code in squeue's answer {squeue_line!r}")
    # A job cancelled while it waited was never seen to change its pod: the pod stays Pending, and once
    # SLURM has forgotten the job every poll is an error.
    if state in ("PD", "S") or squeue_line.split() == ["0", "CA"]:
        return JobState("waiting")
    if state in ("R", "CG"):
        return JobState("running")
    reason, message = _ENDINGS.get(state, ("", ""))
    return JobState("terminated", int(code.group(1)), reason, message)


def read_ideal(squeue_line: str) -> JobState:
    """Return the true state of the job: exact state names, and the exit code out of the wait status."""
    raw, state = squeue_line.split()[:2]
    if state in WAITING_IDEAL:
        return JobState("waiting")
    if state in RUNNING_IDEAL:
        return JobState("running")
    signal_number, exit_code = int(raw) & 0x7F, int(raw) >> 8
    if state == "CD":
        return JobState("terminated", 0)
    if state == "CA":
        return JobState(
            "terminated", exit_code or _SIGTERM_EXIT_CODE, "JobCancelled", "SLURM job was cancelled"
        )
    if state == "TO":
        return JobState("terminated", _SIGTERM_EXIT_CODE, *_ENDINGS["TO"])
    code = exit_code or (128 + signal_number if signal_number else 1)
    return JobState("terminated", code, *_ENDINGS.get(state, ("", "")))


def gone_ideal() -> JobState:
    """Return the state of a job SLURM has forgotten and that wrote no status: cancelled while it waited."""
    return JobState("terminated", _SIGTERM_EXIT_CODE, "JobCancelled", "SLURM job was cancelled")


def container_statuses(
    pod: Mapping[str, Any],
    job: JobState,
    written_code: Callable[[str], int | None],
    started_at: str | None,
    finished_at: str | None,
) -> list[dict[str, Any]]:
    """Return Kubernetes' ContainerStatus for each container of the pod; init containers have none.

    Args:
        pod: the pod as Kubernetes' JSON.
        job: state of its job.
        written_code: exit code that a container wrote to its status file, None when it wrote none.
        started_at: RFC 3339 time when the job was first seen running.
        finished_at: RFC 3339 time when it was first seen ended.
    """
    statuses = []
    for container in pod["spec"]["containers"]:
        state: dict[str, Any]
        if job.kind == "waiting":
            state = {"waiting": {}}
        elif job.kind == "running":
            state = {"running": {"startedAt": started_at}}
        else:
            code = written_code(container["name"])
            ended = {"exitCode": job.exit_code if code is None else code}
            texts = {"reason": job.reason, "message": job.message}
            times = {"startedAt": started_at, "finishedAt": finished_at}
            state = {"terminated": ended | {name: text for name, text in texts.items() if text} | times}
        statuses.append(container_status(container["name"], state, ready=job.kind == "running"))
    return statuses


def container_status(name: str, state: Mapping[str, Any], *, ready: bool = False) -> dict[str, Any]:
    """Return one ContainerStatus as Go writes it."""
    return {
        "name": name,
        "state": state,
        "lastState": {},
        "ready": ready,
        "restartCount": 0,
        "image": "",
        "imageID": "",
    }
