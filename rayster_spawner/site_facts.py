"""What a site's agent tells of its batch system, and what becomes of it for people. Plain types; nothing here decides.

The agent is another program on another machine, so its answers are validated: typed, bounded, unknown keys ignored
(it may be newer than the hub). Times are seconds since the epoch by the *site's* clock; whatever is counted down or up
comes as a number of seconds too (``…_seconds``), because the clocks of two machines differ.
"""

from enum import Enum
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_JOBS = 200_000
MAX_PARTITIONS = 1000

Word = Annotated[str, StringConstraints(max_length=256)]
Sentence = Annotated[str, StringConstraints(max_length=1000)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Seconds = Annotated[float, Field(ge=-(10**10), le=10**10, allow_inf_nan=False)]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class JobState(str, Enum):
    """What a job is doing, in words that mean the same for every batch system."""

    PENDING = "pending"
    CONFIGURING = "configuring"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETING = "completing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    NODE_FAILED = "node_failed"
    PREEMPTED = "preempted"
    UNKNOWN = "unknown"

    @property
    def is_over(self) -> bool:
        """Whether a job in this state has ended for good."""
        return self in _OVER

    @property
    def is_waiting(self) -> bool:
        """Whether a job in this state has not begun yet."""
        return self in (JobState.PENDING, JobState.CONFIGURING)


_OVER = frozenset(
    {
        JobState.COMPLETED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.TIMEOUT,
        JobState.OUT_OF_MEMORY,
        JobState.NODE_FAILED,
        JobState.PREEMPTED,
    }
)


class SiteJob(_Fact):
    """One job of a pod, as the batch system has it (its name is the pod's UID)."""

    id: Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9A-Za-z._\[\]%,:+-]+$")]
    pod_uid: Annotated[str, StringConstraints(max_length=64)] | None = None
    partition: Word = ""
    state: JobState
    raw_state: Word = ""
    reason: Sentence = ""
    raw_reason: Word = ""
    position: Count | None = None
    submitted_at: Seconds | None = None
    started_at: Seconds | None = None
    ended_at: Seconds | None = None
    expected_start_at: Seconds | None = None
    expected_start_in_seconds: Seconds | None = None
    time_left_seconds: Seconds | None = None
    nodes: Annotated[list[Word], Field(max_length=10_000)] = []
    exit_code: int | None = None
    signal: int | None = None


class Nodes(_Fact):
    """How many nodes of a partition are what."""

    idle: Count = 0
    mixed: Count = 0
    allocated: Count = 0
    down: Count = 0
    other: Count = 0
    total: Count = 0


class Cores(_Fact):
    """Cores of a partition."""

    free: Count = 0
    total: Count = 0


class Gpus(_Fact):
    """GPUs of one type in a partition; the type is empty when the site does not name it."""

    type: Word = ""
    free: Count = 0
    total: Count = 0


class Waits(_Fact):
    """How long jobs of a partition have waited that began in the last ``hours``; None while there were none."""

    hours: float = 0
    jobs: Count = 0
    p50: Seconds | None = None
    p90: Seconds | None = None


class JobCounts(_Fact):
    """How many jobs of a partition wait and run."""

    pending: Count = 0
    running: Count = 0


class Partition(_Fact):
    """One queue of a site."""

    name: Word
    # Where jobs go that name no partition; an agent that cannot tell leaves it out.
    is_default: bool = False
    state: Word = "up"
    nodes: Nodes = Nodes()
    cores: Cores = Cores()
    gpus: Annotated[list[Gpus], Field(max_length=100)] = []
    jobs: JobCounts = JobCounts()
    wait_seconds: Waits = Waits()


class AgentError(_Fact):
    """Why the agent's last look at the batch system failed, in the command's own words."""

    command: Word = ""
    message: Sentence = ""


class _Answer(_Fact):
    version: int = 1
    site: Word = ""
    scheduler: Word = ""
    now: Seconds | None = None
    collected_at: Seconds | None = None
    age_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    error: AgentError | None = None


class SiteAnswer(_Answer):
    """What ``GET /v1/site`` of an agent answers."""

    partitions: Annotated[list[Partition], Field(max_length=MAX_PARTITIONS)] = []
    # Some sites hide other people's jobs: then counts of jobs and waits are not the whole truth.
    sees_all_jobs: bool | None = None


class JobsAnswer(_Answer):
    """What ``GET /v1/jobs`` of an agent answers: every job that is a pod's."""

    jobs: Annotated[list[SiteJob], Field(max_length=MAX_JOBS)] = []


class SiteState(str, Enum):
    """What a site is for somebody who is about to choose it."""

    AVAILABLE = "available"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class SiteStatus(NamedTuple):
    """What is known of a profile's site. ``text`` is one short line, ``detail`` the numbers behind it.

    ``age_seconds`` is how old it is, ``since`` (seconds since the epoch, the hub's clock) how long a site has been
    unreachable, ``wait_seconds`` the typical wait when the site tells.
    """

    state: SiteState
    text: str
    detail: str = ""
    age_seconds: int | None = None
    since: float | None = None
    wait_seconds: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the status as the pages' live stream has it."""
        return {**self._asdict(), "state": self.state.value}


class HeardJob(NamedTuple):
    """What the agent of a pod's site says of its job, and how old that is (seconds, counted by the hub's own clock).

    ``is_fresh`` is false when the agent's last look failed or is too old to decide anything by.
    """

    job: SiteJob
    age_seconds: float
    is_fresh: bool
