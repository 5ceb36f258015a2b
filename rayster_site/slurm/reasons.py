"""SLURM's reasons in plain words. A reason that is not in the table is told as it is, never guessed at."""

from __future__ import annotations

import re

from rayster_spawner.site_facts import JobState

# https://slurm.schedmd.com/job_reason_codes.html
_WAITING = {
    "Priority": "Waiting its turn: other jobs come first.",
    "Resources": "Waiting for free nodes.",
    "Dependency": "Waiting for another job to end.",
    "DependencyNeverSatisfied": "Will never start: the job it depends on did not end as it should have.",
    "BeginTime": "Waiting for its earliest start time.",
    "JobHeldUser": "On hold: its owner has to release it.",
    "JobHeldAdmin": "On hold: an administrator of the site has to release it.",
    "JobHoldMaxRequeue": "On hold: it was put back into the queue too often.",
    "JobArrayTaskLimit": "Waiting for another task of the same job array to end.",
    "PartitionDown": "The partition is closed: its jobs do not start for now.",
    "PartitionInactive": "The partition takes no jobs for now.",
    "PartitionTimeLimit": "Asks for more time than the partition allows.",
    "PartitionNodeLimit": "Asks for more nodes than the partition allows or has.",
    "Reservation": "Waiting for its reservation to begin.",
    "ReservationDeleted": "On hold: its reservation was deleted.",
    "ReqNodeNotAvail": "Waiting for nodes that are down, drained or reserved.",
    "NodeDown": "Waiting for a node that is down.",
    "BadConstraints": "No node fits what it asks for.",
    "Constraints": "No node fits what it asks for.",
    "Licenses": "Waiting for a free licence.",
    "FedJobLock": "Waiting for the sites of the federation to agree where it runs.",
    "BurstBufferResources": "Waiting for space in the burst buffer.",
    "BurstBufferStageIn": "Its files are being copied to the burst buffer.",
    "BurstBufferOperation": "The burst buffer could not do what the job asked for.",
    "Cleaning": "It is being cleaned up after an earlier start, then queued again.",
    "Prolog": "The site is preparing its nodes.",
    "SchedDefer": "The scheduler has not looked at it yet.",
    "SystemFailure": "Not started: a failure of the batch system or a node.",
    "JobLaunchFailure": "Not started: its launch on the node failed.",
    "InvalidAccount": "Will not start: its account is not valid.",
    "InvalidQOS": "Will not start: its quality of service is not valid.",
    "AccountNotAllowed": "Will not start: its account may not use this partition.",
    "QOSNotAllowed": "Will not start: its quality of service may not be used with this account or partition.",
    "QOSUsageThreshold": "Waiting: its account has used more than its quality of service allows.",
    "QOSJobLimit": "Waiting: the limit of jobs of its quality of service is reached.",
    "QOSResourceLimit": "Waiting: a resource limit of its quality of service is reached.",
    "QOSTimeLimit": "Waiting: a time limit of its quality of service is reached.",
    "AssociationJobLimit": "Waiting: the limit of jobs of its account is reached.",
    "AssociationResourceLimit": "Waiting: a resource limit of its account is reached.",
    "AssociationTimeLimit": "Waiting: a time limit of its account is reached.",
    "DeadLine": "Will not start: it cannot end before its deadline.",
    "AccountingPolicy": "Waiting: a limit of its account or quality of service is reached.",
    "PartitionConfig": "Asks for what the partition does not allow.",
    "FrontEndDown": "Waiting for a front-end node that is down.",
    "PowerNotAvail": "Waiting: the site's limit of electric power is reached.",
    "PowerReserved": "Waiting: the site's electric power is reserved for other jobs.",
    "MaxPoweredUpNodes": "Waiting: as many nodes are switched on as the site allows.",
    "MaxMemPerLimit": "Asks for more memory than the site allows.",
    "MpiPortsBusy": "Waiting for free network ports for MPI.",
    "ReservationInvalid": "Will not start: its reservation is not valid.",
    "NvidiaImexChannels": "Waiting for a free channel between GPUs.",
}
_ENDED = {
    JobState.COMPLETED: "The job ended normally.",
    JobState.FAILED: "The job failed.",
    JobState.CANCELLED: "The job was cancelled at the site.",
    JobState.TIMEOUT: "The job reached its time limit.",
    JobState.OUT_OF_MEMORY: "The job used more memory than it had asked for and was ended.",
    JobState.NODE_FAILED: "A node of the job failed.",
    JobState.PREEMPTED: "The job was ended to make room for another one with precedence.",
}
_ENDED_WORDS = {
    "BOOT_FAIL": "A node of the job did not boot.",
    "DEADLINE": "The job reached its deadline.",
    "LAUNCH_FAILED": "The job could not be launched on its nodes.",
    "REVOKED": "The job runs at another site of the federation.",
}
_ACTIVE = {
    JobState.CONFIGURING: "Its nodes are being made ready.",
    JobState.SUSPENDED: "Suspended by the site.",
    JobState.COMPLETING: "The job is ending.",
}
_FREE_TEXTS = (
    (re.compile(r"launch failed,? requeued held", re.I), "On hold: its launch on a node failed."),
    (
        re.compile(r"nodes required for job are down, drained or reserved", re.I),
        "Waiting for nodes that are down, drained or reserved.",
    ),
    (re.compile(r"launch failure limit exceeded", re.I), "On hold: its launch on nodes failed too often."),
    (re.compile(r"job requeued in held state", re.I), "On hold: it was put back into the queue and held."),
    (re.compile(r"job requeued in special exit state", re.I), "On hold: it ended with a special exit code."),
)
_UNAVAILABLE = re.compile(r"ReqNodeNotAvail\W*(?:UnavailableNodes:(?P<nodes>.*)|(?P<note>.*))", re.I | re.S)
_LIMIT = re.compile(
    r"(?P<whose>QOS|Assoc|Partition)?(?P<kind>Grp|Max|Min)(?P<what>[A-Z][A-Za-z]*?)"
    r"(?P<span>RunMinutes|RunMins|Minutes)?(?P<per>Per(?:Job|Node|User|Account))?(?P<limit>Limit|NotSatisfied)?"
)
# What is limited: by number, and by number times minutes.
_WHAT = {
    "cpu": ("cores", "core-minutes"),
    "job": ("jobs", ""),
    "jobs": ("jobs", ""),
    "mem": ("memory", "memory-minutes"),
    "memory": ("memory", "memory-minutes"),
    "node": ("nodes", "node-minutes"),
    "gres": ("GPUs or other devices", "GPU-minutes"),
    "wall": ("total time", ""),
    "wallduration": ("time", ""),
    "submitjob": ("submitted jobs", ""),
    "submitjobs": ("submitted jobs", ""),
    "energy": ("energy", "energy"),
    "license": ("licences", "licence-minutes"),
    "bb": ("burst buffer", "burst-buffer-minutes"),
    "billing": ("billing units", "billing units"),
    "unknown": ("a resource", "minutes of a resource"),
}
_WHOSE = {
    "QOS": "its quality of service",
    "Assoc": "its account",
    "Partition": "the partition",
    None: "its quality of service",
}
_PER = {"PerJob": " per job", "PerNode": " per node", "PerUser": " per user", "PerAccount": " per account"}


def reason_text(state: JobState, raw_state: str, raw_reason: str) -> str:
    """Return in a sentence why a job waits or how it ended; empty for a running one.

    Args:
        state: what the job is doing.
        raw_state: SLURM's word for that.
        raw_reason: SLURM's reason, may be empty.
    """
    if state.is_over:
        text = _ENDED_WORDS.get(raw_state, _ENDED[state])
        if state is JobState.FAILED and raw_reason == "JobLaunchFailure":
            return "The job could not be launched on its node."
        if state is JobState.FAILED and raw_reason.startswith("RaisedSignal"):
            return "The job was ended by a signal."
        return text
    if state is not JobState.PENDING:
        return _ACTIVE.get(state, "")
    return waiting_text(raw_reason)


def waiting_text(raw_reason: str) -> str:
    """Return why a job waits, in a sentence."""
    reason = raw_reason.strip().removeprefix("(").removesuffix(")")
    if not reason:
        return "Waiting: the scheduler has not said why yet."
    if reason in _WAITING:
        return _WAITING[reason]
    for pattern, text in _FREE_TEXTS:
        if pattern.search(reason.replace("_", " ")):
            return text
    if match := _UNAVAILABLE.fullmatch(reason):
        return _unavailable_text(match)
    if (match := _LIMIT.fullmatch(reason)) and (text := _limit_text(match)):
        return text
    return f"Waiting: the batch system says “{reason[:300]}”."


def _unavailable_text(match: re.Match[str]) -> str:
    nodes, note = (match["nodes"] or "").strip("_ "), (match["note"] or "").strip("_ ")
    if nodes:
        return f"Waiting for nodes that are down, drained or reserved: {nodes[:200]}."
    if "maintenance" in note.lower():
        return "Waiting: its nodes are reserved for maintenance."
    return _WAITING["ReqNodeNotAvail"]


def _limit_text(match: re.Match[str]) -> str:
    plain, times_minutes = _WHAT.get(match["what"].lower(), ("", ""))
    what = times_minutes if match["span"] else plain
    if not what or not (match["whose"] or match["per"] or match["limit"]):
        return ""
    whose = _WHOSE[match["whose"]]
    per = _PER.get(match["per"] or "", "")
    if match["kind"] == "Min":
        return f"Asks for less than {whose} demands: {what}{per}."
    if match["per"] == "PerJob":
        return f"Asks for more than {whose} allows a job: {what}."
    if match["kind"] == "Grp":
        return f"Waiting: the limit of {what} for all jobs under {whose} together is reached."
    return f"Waiting: the limit of {what}{per} of {whose} is reached."
