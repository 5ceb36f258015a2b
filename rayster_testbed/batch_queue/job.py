"""What the queue knows of one job."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

STATES = {
    "PD": "PENDING",
    "R": "RUNNING",
    "CG": "COMPLETING",
    "CD": "COMPLETED",
    "F": "FAILED",
    "CA": "CANCELLED",
    "TO": "TIMEOUT",
    "NF": "NODE_FAIL",
}
ACTIVE = ("R", "CG")
LIVE = ("PD", *ACTIVE)


@dataclass
class Job:
    """A job as submitted, where it stands and how it ended. Times are seconds since the epoch, 0 = not yet.

    `cpus`, `memory_mib` and `gpus` are per node; `exit_status` is the raw wait status of the script.
    """

    id: int
    name: str
    uid: int
    user: str
    partition: str
    nodes: int
    cpus: int
    memory_mib: int
    gpus: int
    walltime_minutes: int
    submit_time: float
    submit_dir: str
    work_dir: str
    script: str
    arguments: list[str]
    environment: dict[str, str]
    output: str
    tasks: int = 1
    cpus_per_task: int = 1
    error: str = ""
    run_as: int | None = None
    account: str = ""
    qos: str = ""
    comment: str = ""
    constraint: str = ""
    gres: str = ""
    state: str = "PD"
    reason: str = "None"
    final_state: str = ""
    start_time: float = 0
    end_time: float = 0
    kill_time: float = 0
    node_names: list[str] = field(default_factory=list)
    exit_status: int = 0

    def to_json(self) -> str:
        """Return the job as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        return cls(**values)
