"""HTCondor's ads of jobs and slots, as its commands print them with `-json`."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticUseDefault

from rayster_site.commands import CommandError
from rayster_site.facts import Job, pod_uid_in
from rayster_spawner.site_facts import JobState

# The pool is one queue for all.
POOL = "pool"


def _or_untold(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Take a value that is not what it should be for one that is not told.

    Everybody can write nearly any attribute of an own job (`+JobBatchName = 5`), and an expression is printed as a
    string, `"/Expr(…)/"`. One such job must not hide all the others.
    """
    try:
        return read(value)
    except ValidationError:
        raise PydanticUseDefault from None


_Count = Annotated[int, Field(ge=0, le=10**9)]
# A pool may cut cores into parts.
_Cores = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]
_OwnText = Annotated[str, WrapValidator(_or_untold)]
_OwnFlag = Annotated[bool, WrapValidator(_or_untold)]
_OwnNumber = Annotated[int | None, Field(ge=-(2**63), lt=2**63), WrapValidator(_or_untold)]
_OwnSeconds = Annotated[int | None, Field(ge=0, le=10**11), WrapValidator(_or_untold)]
_EXECUTABLE_END = re.compile(r"-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.sh$")
_BY_WHOM = re.compile(r"\s*\(by user [^)]*\)")
# https://htcondor.readthedocs.io, JobStatus
_STATES = {
    1: (JobState.PENDING, "Idle"),
    2: (JobState.RUNNING, "Running"),
    3: (JobState.CANCELLED, "Removed"),
    4: (JobState.COMPLETED, "Completed"),
    5: (JobState.PENDING, "Held"),
    6: (JobState.COMPLETING, "Transferring Output"),
    7: (JobState.SUSPENDED, "Suspended"),
}
_HELD = 5
# HTCondor holds a job that it has ended for asking too little; a server does not come back from that.
# https://htcondor.readthedocs.io, HoldReasonCode: JobOutOfResources, JobDurationExceeded, JobExecuteExceeded
_ENDED_BY_HOLD = {34: JobState.OUT_OF_MEMORY, 46: JobState.TIMEOUT, 47: JobState.TIMEOUT}


class _Ad(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _as_ads_are_meant(cls, ad: Any) -> Any:
        """Read names in any case; an undefined attribute, printed as null, is one that is not there."""
        if not isinstance(ad, dict):
            return ad
        names = {name.lower(): name for name in cls.model_fields}
        return {
            names[key.lower()]: value
            for key, value in ad.items()
            if value is not None and key.lower() in names
        }


class JobAd(_Ad):
    """What is asked of a job. The first four are the batch system's own; its owner can change the others."""

    ClusterId: _Count
    ProcId: _Count
    JobStatus: int
    Owner: str
    JobBatchName: _OwnText = ""
    Cmd: _OwnText = ""
    QDate: _OwnSeconds = None
    JobPrio: _OwnNumber = None
    JobCurrentStartDate: _OwnSeconds = None
    EnteredCurrentStatus: _OwnSeconds = None
    CompletionDate: _OwnSeconds = None
    HoldReason: _OwnText = ""
    HoldReasonCode: _OwnNumber = None
    RemoveReason: _OwnText = ""
    RemoteHost: _OwnText = ""
    LastRemoteHost: _OwnText = ""
    ExitBySignal: _OwnFlag = False
    ExitCode: _OwnNumber = None
    ExitSignal: _OwnNumber = None


class SlotAd(_Ad):
    """What is asked of a slot."""

    Machine: str
    State: str
    PartitionableSlot: bool = False
    DynamicSlot: bool = False
    Cpus: _Cores
    Memory: _Count
    GPUs: _Count = 0
    TotalSlotCpus: _Cores | None = None
    TotalSlotMemory: _Count | None = None
    TotalSlotGPUs: _Count | None = None
    GPUs_DeviceName: str = ""


JOB_ATTRIBUTES = ",".join(JobAd.model_fields)
SLOT_ATTRIBUTES = ",".join(SlotAd.model_fields)
AdT = TypeVar("AdT", bound=_Ad)


def parse_ads(model: type[AdT], command: str, output: bytes) -> list[AdT]:
    """Return the ads a command printed; none at all when it printed nothing, as it does for an empty queue.

    Raises:
        CommandError: the output cannot be understood; the message says where, and quotes no values of ads.
    """
    if not output.strip():
        return []
    # Strings are any bytes that somebody submitted.
    text = output.decode(errors="replace")
    try:
        return TypeAdapter(list[model]).validate_json(text)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        start = text[:200] if not first["loc"] else ""
        raise CommandError(command, f"output is not understood at {where}: {first['msg']} {start}") from error


def job_of(ad: JobAd) -> Job:
    """Return the job of an ad."""
    state, raw_state = _STATES.get(ad.JobStatus, (JobState.UNKNOWN, str(ad.JobStatus)))
    if state is JobState.COMPLETED and (ad.ExitBySignal or ad.ExitCode):
        state = JobState.FAILED
    if ad.JobStatus == _HELD and ad.HoldReasonCode is not None:
        state = _ENDED_BY_HOLD.get(ad.HoldReasonCode, state)
    pod_uid = _pod_uid(ad)
    has_begun = ad.JobStatus in (2, 4, 6, 7) or (state.is_over and bool(ad.LastRemoteHost))
    host = ad.RemoteHost or (ad.LastRemoteHost if state.is_over else "")
    # One queue for all owners, who take turns by their share: nobody has a place in it.
    key = f"{ad.ClusterId}.{ad.ProcId}"
    return Job(
        # interLink's plugin notes the number of the cluster, whose only job it is.
        id=key.removesuffix(".0"),
        key=key,
        owner=ad.Owner,
        partitions=(POOL,),
        state=state,
        raw_state=raw_state,
        raw_reason=_reason(ad) if pod_uid else "",
        pod_uid=pod_uid,
        is_in_line=False,
        priority=None if ad.JobPrio is None else float(ad.JobPrio),
        submitted_at=_time(ad.QDate),
        started_at=_time(ad.JobCurrentStartDate) if has_begun else None,
        ended_at=_time(ad.CompletionDate or ad.EnteredCurrentStatus) if state.is_over else None,
        node_list=host.rpartition("@")[2],
        exit_code=ad.ExitCode if state.is_over else None,
        signal=ad.ExitSignal if state.is_over and ad.ExitBySignal else None,
    )


def _reason(ad: JobAd) -> str:
    """Return the batch system's sentence, without who removed the job."""
    return _BY_WHOM.sub("", {_HELD: ad.HoldReason, 3: ad.RemoveReason}.get(ad.JobStatus, ""))


def _pod_uid(ad: JobAd) -> str | None:
    """Return the pod's UID: interLink's plugin calls the executable POD-UID.sh; a site may set the batch name."""
    match = _EXECUTABLE_END.search(ad.Cmd)
    return pod_uid_in(ad.JobBatchName) or (match.group(1) if match else None)


def _time(seconds: int | None) -> float | None:
    return float(seconds) if seconds else None
