"""What one look at a batch system tells, in the same plain types for SLURM and for HTCondor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rayster_spawner.site_facts import JobState

_POD_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def pod_uid_in(name: str) -> str | None:
    """Return the job's name when it is a pod's UID, as interLink names its jobs, else None."""
    return name if _POD_UID.fullmatch(name) else None


@dataclass(frozen=True, slots=True)
class Job:
    """One job. Times are seconds since the epoch by the site's clock.

    Args:
        id: the id that people see, `123`, `123_4`, `123+1`.
        key: the id that names exactly this job to the batch system's commands.
        owner: account of the job, as the batch system writes it (SLURM: the numeric uid). Never leaves the site.
        partitions: where it runs or may run.
        pod_uid: its name when that is a pod's UID; other names are not kept.
        is_in_line: whether it waits for its turn, and not for a release, a date or another job.
        tasks: how many tasks of an array this line stands for.
        priority: larger starts sooner; None when not told.
        node_list: nodes in the batch system's short form, `n[01-02]`.
    """

    id: str
    key: str
    owner: str
    partitions: tuple[str, ...]
    state: JobState
    raw_state: str
    raw_reason: str = ""
    pod_uid: str | None = None
    is_in_line: bool = True
    tasks: int = 1
    priority: float | None = None
    submitted_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    expected_start_at: float | None = None
    time_left_seconds: float | None = None
    node_list: str = ""
    exit_code: int | None = None
    signal: int | None = None


@dataclass
class GpuCount:
    """GPUs of one type."""

    free: int = 0
    total: int = 0


@dataclass
class PartitionFacts:
    """One partition: nodes by class (`idle`, `mixed`, `allocated`, `down`, `other`), cores, GPUs by type, limits.

    A limit is None where there is none or it is not told.
    """

    name: str
    is_default: bool = False
    state: str = "up"
    nodes: dict[str, int] = field(default_factory=dict)
    free_cores: int = 0
    total_cores: int = 0
    gpus: dict[str, GpuCount] = field(default_factory=dict)
    walltime_minutes: int | None = None
    cores_per_node: int | None = None
    memory_mib_per_node: int | None = None


@dataclass(frozen=True)
class Look:
    """What one look at the batch system told.

    Args:
        jobs: every job that the account may see, ended ones as long as the batch system shows them.
        partitions: every partition by name.
        sees_all_jobs: False when the site hides other people's jobs, None when that is not known.
    """

    jobs: tuple[Job, ...]
    partitions: Mapping[str, PartitionFacts]
    sees_all_jobs: bool | None


class Scheduler(Protocol):
    """A batch system."""

    name: str

    @property
    def own_account(self) -> str:
        """The agent's own account as `Job.owner` has it."""

    async def look(self) -> Look:
        """Ask the batch system once.

        Raises:
            CommandError: a command failed, or its output could not be understood.
        """

    async def cancel(self, job: Job) -> None:
        """Cancel a job of the agent's own account.

        Raises:
            CommandError: the command failed.
        """

    def reason_text(self, job: Job) -> str:
        """Return in a sentence why a job waits or how it ended; empty for one that simply runs."""

    def nodes_of(self, job: Job) -> list[str]:
        """Return the names of the nodes of a job."""
