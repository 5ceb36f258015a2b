"""SLURM as the agent sees it: one `sinfo` and one `squeue` per look, as an ordinary user."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from rayster_site.commands import CommandError, CommandRunner
from rayster_site.facts import Job, Look
from rayster_site.slurm import reasons
from rayster_site.slurm.sinfo import SINFO_ARGUMENTS, parse_sinfo
from rayster_site.slurm.squeue import (
    EXIT_CODE_ARGUMENTS,
    SQUEUE_ARGUMENTS,
    parse_exit_codes,
    parse_squeue,
)
from rayster_site.slurm.values import expand_nodes
from rayster_spawner.site_facts import JobState

log = structlog.get_logger(__name__)

_CONFIG_SECONDS = 3600
_CONFIG_RETRY_SECONDS = 60
_PRIVATE_DATA = re.compile(rb"^PrivateData\s*=\s*(\S+)", re.MULTILINE)
_HAS_EXIT_CODE = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.OUT_OF_MEMORY})


class Slurm:
    """SLURM.

    Args:
        runner: runs the commands.
        clock: seconds that only grow.
    """

    name = "slurm"

    def __init__(self, runner: CommandRunner, clock: Callable[[], float] = time.monotonic):
        self._run = runner.run
        self._clock = clock
        self._sees_all_jobs: bool | None = None
        self._config_read_at: float | None = None
        self._exit_codes: dict[str, tuple[int, int]] = {}

    @property
    def own_account(self) -> str:
        """The agent's user number, as squeue prints it."""
        return str(os.getuid())

    async def look(self) -> Look:
        """Ask SLURM once.

        Raises:
            CommandError: a command failed, or its output could not be understood.
        """
        nodes_output = await self._run("sinfo", *SINFO_ARGUMENTS)
        jobs_output = await self._run("squeue", *SQUEUE_ARGUMENTS)
        # Ten thousand jobs take a tenth of a second: in a thread, requests are answered meanwhile.
        partitions = await asyncio.to_thread(parse_sinfo, nodes_output)
        jobs = await asyncio.to_thread(parse_squeue, jobs_output)
        await self._read_config()
        return Look(tuple(await self._with_exit_codes(jobs)), partitions, self._sees_all_jobs)

    async def cancel(self, job: Job) -> None:
        """Cancel a job. `--user` makes scancel refuse one that is not the agent's own.

        Raises:
            CommandError: scancel failed.
        """
        await self._run("scancel", f"--user={self.own_account}", "--", job.key)

    def reason_text(self, job: Job) -> str:
        """Return why a job waits or how it ended, in a sentence."""
        return reasons.reason_text(job.state, job.raw_state, job.raw_reason)

    def nodes_of(self, job: Job) -> list[str]:
        """Return the names of a job's nodes; none when SLURM's list cannot be understood."""
        try:
            return expand_nodes(job.node_list)
        except ValueError:
            log.warning("node list not understood", job=job.id, nodes=job.node_list[:200])
            return []

    async def _read_config(self) -> None:
        """Find out, once an hour, whether this site hides other people's jobs."""
        now = self._clock()
        if self._config_read_at is not None and now - self._config_read_at < _CONFIG_SECONDS:
            return
        self._config_read_at = now
        try:
            output = await self._run("scontrol", "show", "config")
        except CommandError as error:
            log.warning("cannot tell whether jobs of others are hidden", error=str(error))
            self._config_read_at = now - _CONFIG_SECONDS + _CONFIG_RETRY_SECONDS
            return
        match = _PRIVATE_DATA.search(output)
        private = match.group(1).decode(errors="replace").lower().split(",") if match else None
        self._sees_all_jobs = None if private is None else not {"jobs", "all"} & set(private)

    async def _with_exit_codes(self, jobs: list[Job]) -> list[Job]:
        """Add the exit codes of pods' ended jobs.

        squeue tells them only in another format, so a second call is made, but only when a pod's job has just ended.
        """
        wanted = {job.key for job in jobs if job.pod_uid and job.state in _HAS_EXIT_CODE}
        self._exit_codes = {key: code for key, code in self._exit_codes.items() if key in wanted}
        if wanted - self._exit_codes.keys():
            try:
                told = parse_exit_codes(await self._run("squeue", *EXIT_CODE_ARGUMENTS))
            except CommandError as error:
                log.warning("no exit codes", error=str(error))
                return jobs
            self._exit_codes.update((key, code) for key, code in told.items() if key in wanted)
        return [
            replace(job, exit_code=code[0], signal=code[1] or None)
            if job.key in wanted and (code := self._exit_codes.get(job.key))
            else job
            for job in jobs
        ]
