"""Writes slurm.conf and gres.conf for a SLURM whose nodes all live on this machine's loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rayster_testbed.partitions import (
    DEFAULT_MEMORY_PER_CPU_MIB,
    KILL_WAIT_SECONDS,
    MIN_JOB_AGE_SECONDS,
    Node,
    Partition,
)


def nodes_of(partitions: Sequence[Partition]) -> list[Node]:
    """Return every node once, in the order of the partitions."""
    return list({node.name: node for partition in partitions for node in partition.nodes}.values())


def slurm_conf(
    state_dir: Path, *, hostname: str, user: str, ports: Mapping[str, int], partitions: Sequence[Partition]
) -> str:
    """Return the text of slurm.conf.

    Args:
        state_dir: short absolute directory without special characters that holds everything.
        hostname: this machine's short host name, which slurmctld and slurmd compare with their own.
        user: account that runs the daemons (root, or the user, who can then run only own jobs).
        ports: TCP port of `slurmctld` and of each node's slurmd, by name.
        partitions: partitions with their nodes.
    """
    lines = [
        "ClusterName=rayster",
        f"SlurmctldHost={hostname}(127.0.0.1)",
        f"SlurmctldPort={ports['slurmctld']}",
        f"SlurmUser={user}",
        f"SlurmdUser={user}",
        # Without these two both daemons listen on every interface.
        "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny",
        "AuthType=auth/munge",
        "CredType=cred/munge",
        f"AuthInfo=socket={state_dir}/munge/socket",
        f"StateSaveLocation={state_dir}/ctld",
        f"SlurmdSpoolDir={state_dir}/spool/%n",
        f"SlurmctldPidFile={state_dir}/run/slurmctld.pid",
        f"SlurmdPidFile={state_dir}/run/%n.pid",
        f"SlurmctldLogFile={state_dir}/log/slurmctld.log",
        f"SlurmdLogFile={state_dir}/log/%n.log",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "MpiDefault=none",
        "SwitchType=switch/none",
        "JobAcctGatherType=jobacct_gather/none",
        "AccountingStorageType=accounting_storage/none",
        "JobCompType=jobcomp/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "GresTypes=gpu",
        # The nodes' sizes are those of this file, whatever this machine has.
        "SlurmdParameters=config_overrides",
        "ReturnToService=2",
        "EnforcePartLimits=ALL",
        f"KillWait={KILL_WAIT_SECONDS}",
        f"MinJobAge={MIN_JOB_AGE_SECONDS}",
        "InactiveLimit=0",
        "SlurmctldTimeout=30",
        # A laptop that slept must not lose its nodes: their daemons are supervised anyway.
        "SlurmdTimeout=0",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=1,bf_interval=1",
        f"DefMemPerCPU={DEFAULT_MEMORY_PER_CPU_MIB}",
    ]
    for node in nodes_of(partitions):
        gres = f" Gres=gpu:{node.gpu_type}:{node.gpu_count}" if node.gpu_count else ""
        lines.append(
            f"NodeName={node.name} NodeHostname={hostname} NodeAddr=127.0.0.1 Port={ports[node.name]}"
            f" CPUs={node.cpus} RealMemory={node.memory_mib}{gres} State=UNKNOWN"
        )
    for partition in partitions:
        lines.append(
            f"PartitionName={partition.name} Nodes={','.join(node.name for node in partition.nodes)}"
            f" MaxTime={partition.max_walltime_minutes} DefaultTime={partition.default_walltime_minutes}"
            f"{' Default=YES' if partition.default else ''} State=UP"
        )
    return "\n".join(lines) + "\n"


def gres_conf(state_dir: Path, partitions: Sequence[Partition]) -> str:
    """Return the text of gres.conf.

    SLURM discards a GPU without a device file, so each one names an empty file (`gpu_files`) as its device.
    """
    return "".join(
        f"NodeName={node.name} Name=gpu Type={node.gpu_type}"
        f" File={state_dir}/gpus/{node.name}-[0-{node.gpu_count - 1}]\n"
        for node in nodes_of(partitions)
        if node.gpu_count
    )


def gpu_files(state_dir: Path, partitions: Sequence[Partition]) -> list[Path]:
    """Return the files that stand for GPU devices in `gres_conf`."""
    return [
        state_dir / "gpus" / f"{node.name}-{index}"
        for node in nodes_of(partitions)
        for index in range(node.gpu_count)
    ]
