"""The partitions and nodes of the testbed's batch system, in one place for SLURM and for the built-in queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """One (virtual) compute node; nothing of it has to exist on this machine."""

    name: str
    cpus: int
    memory_mib: int
    gpu_type: str = ""
    gpu_count: int = 0


@dataclass(frozen=True)
class Partition:
    """One partition: its nodes and its walltime limits in minutes."""

    name: str
    nodes: tuple[Node, ...]
    max_walltime_minutes: int
    default_walltime_minutes: int
    default: bool = False


_BOOSTER_MEMORY_MIB = 494_000

PARTITIONS: tuple[Partition, ...] = (
    Partition(
        name="boost_usr_prod",
        nodes=tuple(
            Node(f"lrdn{n:04}", cpus=32, memory_mib=_BOOSTER_MEMORY_MIB, gpu_type="a100", gpu_count=4)
            for n in (1, 2)
        ),
        max_walltime_minutes=24 * 60,
        default_walltime_minutes=30,
    ),
    Partition(
        name="dcgp_usr_prod",
        nodes=tuple(Node(f"lrdn{n:04}", cpus=112, memory_mib=_BOOSTER_MEMORY_MIB) for n in (4001, 4002)),
        max_walltime_minutes=24 * 60,
        default_walltime_minutes=30,
    ),
    Partition(
        name="padova",
        nodes=tuple(Node(f"pd-wn{n:02}", cpus=16, memory_mib=64_000) for n in (1, 2)),
        max_walltime_minutes=48 * 60,
        default_walltime_minutes=60,
        default=True,
    ),
)

# A job that names no memory gets this much per core, as on most sites; without it SLURM gives it the whole node.
DEFAULT_MEMORY_PER_CPU_MIB = 2_000
# Seconds between SIGTERM and SIGKILL when a job is cancelled or reaches its walltime.
KILL_WAIT_SECONDS = 3
# Seconds an ended job stays visible to squeue; SLURM's default, which interLink's status handling leans on.
MIN_JOB_AGE_SECONDS = 300
