"""Finds SLURM's and munge's programs on this machine."""

from __future__ import annotations

import os
import shutil

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")


def find(program: str) -> str | None:
    """Return the absolute path of `program`; daemons stand in sbin, which users' PATH often lacks."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"))
    return shutil.which(program, path=path)


def missing() -> list[str]:
    """Return the names of the programs a private SLURM needs and this machine lacks."""
    return [program for program in (*DAEMONS, *COMMANDS) if find(program) is None]
