"""Calls the batch system's own commands, and nothing else of it."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path

_SUBMITTED = re.compile(r"Submitted batch job (\d+)")


class BatchError(RuntimeError):
    """A command failed; the text is what it said on standard error."""


@dataclass(frozen=True)
class Answer:
    """Exit status and output of one command."""

    status: int
    out: str
    err: str


class Batch:
    """The commands `sbatch`, `squeue` and `scancel` of one batch system.

    Args:
        bin_dir: directory with the commands.
        slurm_conf: put into SLURM_CONF for them when given.
        working_directory: where jobs are submitted from.
    """

    def __init__(self, bin_dir: Path, slurm_conf: Path | None, working_directory: Path):
        self._bin_dir = bin_dir
        self._cwd = working_directory
        self._env = dict(os.environ) | ({"SLURM_CONF": str(slurm_conf)} if slurm_conf else {})

    async def submit(self, script: Path) -> str:
        """Submit a script and return the job id.

        Raises:
            BatchError: sbatch wrote to standard error. As found this counts as a failure even when the
                job was accepted.
        """
        answer = await self._run("sbatch", str(script))
        if answer.err:
            raise BatchError(answer.err)
        if not (submitted := _SUBMITTED.search(answer.out)):
            raise BatchError(f"sbatch said neither a job id nor an error: {answer.out!r}")
        return submitted.group(1)

    async def reachable(self) -> None:
        """Ask squeue for anything at all.

        Raises:
            BatchError: the batch system does not answer.
        """
        answer = await self._run("squeue", "--me")
        if answer.err:
            raise BatchError(answer.err)

    async def state(self, job_id: str) -> Answer:
        """Return squeue's raw wait status and compact state of a job."""
        options = ("--noheader", "-a", "--states=all", "-O", "exit_code,StateCompact")
        return await self._run("squeue", *options, "-j", job_id)

    async def cancel(self, job_id: str) -> None:
        """Cancel a job.

        Raises:
            BatchError: scancel failed, also for a job that SLURM has forgotten.
        """
        answer = await self._run("scancel", job_id)
        if answer.status:
            raise BatchError(f"exit status {answer.status}: {answer.err}")

    async def _run(self, command: str, *arguments: str) -> Answer:
        process = await asyncio.create_subprocess_exec(
            str(self._bin_dir / command),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._env,
            cwd=self._cwd,
        )
        out, err = await process.communicate()
        return Answer(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))
