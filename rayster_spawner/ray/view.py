"""What is told of a Ray cluster: by the REST interface, in its streams, to the client and the widget. Plain types."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_NOT_TOLD = ("extra", "workers_min", "workers_max")


class ClusterState(str, Enum):
    """What a cluster is, in one word."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPING = "stopping"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class RowState(str, Enum):
    """What the head or a worker is, in one word. *joined* is said by Ray alone."""

    SUBMITTED = "submitted"
    QUEUED = "queued"
    STARTING = "starting"
    JOINED = "joined"
    LOST = "lost"
    FAILED = "failed"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Row:
    """The head, a worker, or one that has ended.

    ``reason`` is a sentence for people, ``raw_reason`` the batch system's own word, ``position`` the place in the
    queue (1: next), ``address`` that of its Ray node, ``since_seconds`` how long it is in this state (an ended one:
    how long ago it ended), ``note`` a sentence where cluster, site and Ray differ.
    """

    pod: str
    uid: str
    state: RowState
    reason: str = ""
    raw_reason: str = ""
    job_id: str | None = None
    position: int | None = None
    expected_start_in_seconds: int | None = None
    address: str | None = None
    time_left_seconds: int | None = None
    cpus: float | None = None
    gpus: float | None = None
    since_seconds: int | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the row as the REST interface sends it."""
        return {**self.__dict__, "state": self.state.value}

    @property
    def key(self) -> tuple[Any, ...]:
        """What is worth an event at once when it changes."""
        return (
            self.uid,
            self.state,
            self.reason,
            self.raw_reason,
            self.job_id,
            self.position,
            self.address,
            self.note,
        )


@dataclass(frozen=True)
class Wanted:
    """What was asked for; the amounts are those of one worker."""

    workers: int
    cpus: float
    memory_mib: int
    gpus: int | None = None
    walltime_minutes: int | None = None
    image: str = ""


@dataclass(frozen=True)
class Resources:
    """What Ray has on all nodes of the cluster, and what of it is in use. None: Ray does not tell."""

    cpus_total: float
    cpus_used: float | None
    gpus_total: float
    gpus_used: float | None


@dataclass(frozen=True)
class Idle:
    """For how long no driver was there, and when that ends the cluster (None: never)."""

    idle_seconds: int
    stops_in_seconds: int | None
    warned: bool = False


@dataclass(frozen=True)
class Problem:
    """Something that a person should know: a code, a sentence, and what to do."""

    code: str
    message: str
    do: str = ""


@dataclass(frozen=True)
class ClusterView:
    """All that is told of one cluster. Times are seconds, ``requested_at`` since the epoch."""

    id: str
    name: str
    profile: str
    site: str
    network: str
    user: str
    server: str
    state: ClusterState
    message: str
    requested_at: float
    elapsed_seconds: int
    wanted: Wanted
    joined: int
    head: Row | None
    workers: tuple[Row, ...] = ()
    ended: tuple[Row, ...] = ()
    resources: Resources | None = None
    idle: Idle | None = None
    time_left_seconds: int | None = None
    problems: tuple[Problem, ...] = ()
    session: str | None = None
    ray_version: str = ""
    workers_min: int = 0
    workers_max: int = 0
    dashboard_url: str = ""
    heard_seconds_ago: int | None = None
    title: str | None = None
    python_version: str | None = None
    # Not told, but a reason for an event: what `key` counts beside the fields above.
    extra: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def is_ready(self) -> bool:
        """Whether a notebook can attach: the head answers."""
        return self.head is not None and self.head.state is RowState.JOINED

    @property
    def key(self) -> tuple[Any, ...]:
        """What is worth an event at once when it changes: whatever does not only count up or down."""
        rows = tuple(row.key for row in (*((self.head,) if self.head else ()), *self.workers, *self.ended))
        idle = None if self.idle is None else (self.idle.warned, self.idle.stops_in_seconds is None)
        return (
            self.id,
            self.name,
            self.state,
            self.message,
            self.wanted,
            self.joined,
            rows,
            self.resources,
            idle,
            self.problems,
            self.session,
            self.workers_min,
            self.workers_max,
            self.extra,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the view as the REST interface sends it."""
        # Not `asdict`, which copies deeply: a list of all clusters has thousands of rows.
        told = {name: value for name, value in self.__dict__.items() if name not in _NOT_TOLD}
        told["state"] = self.state.value
        told["wanted"] = dict(self.wanted.__dict__)
        told["head"] = self.head.as_json() if self.head is not None else None
        told["workers"] = [row.as_json() for row in self.workers]
        told["ended"] = [row.as_json() for row in self.ended]
        told["resources"] = dict(self.resources.__dict__) if self.resources is not None else None
        told["idle"] = dict(self.idle.__dict__) if self.idle is not None else None
        told["problems"] = [dict(problem.__dict__) for problem in self.problems]
        told["bounds"] = {"workers": {"min": self.workers_min, "max": self.workers_max}}
        return told
