"""HTCondor as the agent sees it: one `condor_status` and one `condor_q` per look, as an ordinary user."""

from __future__ import annotations

import asyncio
import os
import pwd

import structlog

from rayster_site.commands import CommandError, CommandRunner
from rayster_site.facts import Job, Look
from rayster_site.htcondor.ads import JOB_ATTRIBUTES, SLOT_ATTRIBUTES, JobAd, SlotAd, job_of, parse_ads
from rayster_site.htcondor.pool import POOL, pool_of
from rayster_spawner.site_facts import JobState

log = structlog.get_logger(__name__)

# condor_history reads its file from the end; a long list of ids would make it read all of it.
_MAX_HISTORY_JOBS = 50
_REASONS = {
    JobState.COMPLETED: "The job ended normally.",
    JobState.FAILED: "The job failed.",
    JobState.CANCELLED: "The job was cancelled at the site.",
    JobState.OUT_OF_MEMORY: "The job used more memory than it had asked for and was ended.",
    JobState.TIMEOUT: "The job reached its time limit.",
    JobState.SUSPENDED: "Suspended by the site.",
    JobState.COMPLETING: "The job is ending.",
}


class HtCondor:
    """HTCondor.

    Args:
        runner: runs the commands.
    """

    name = "htcondor"

    def __init__(self, runner: CommandRunner):
        self._run = runner.run
        self._live: dict[str, Job] = {}

    @property
    def own_account(self) -> str:
        """The agent's user name, as condor_q prints it."""
        return pwd.getpwuid(os.getuid()).pw_name

    async def look(self) -> Look:
        """Ask HTCondor once.

        Raises:
            CommandError: a command failed, or its output could not be understood.
        """
        status = await self._run("condor_status", "-json", "-attributes", SLOT_ATTRIBUTES)
        queue = await self._run("condor_q", "-allusers", "-json", "-attributes", JOB_ATTRIBUTES)
        # Ten thousand jobs take some tenths of a second: in a thread, requests are answered meanwhile.
        pool = pool_of(await asyncio.to_thread(parse_ads, SlotAd, "condor_status", status))
        jobs = [job_of(ad) for ad in await asyncio.to_thread(parse_ads, JobAd, "condor_q", queue)]
        jobs += await self._left_jobs({job.key for job in jobs})
        self._live = {job.key: job for job in jobs if job.pod_uid and not job.state.is_over}
        return Look(tuple(jobs), {POOL: pool}, sees_all_jobs=True)

    async def cancel(self, job: Job) -> None:
        """Cancel a job; HTCondor refuses one of somebody else.

        Raises:
            CommandError: condor_rm failed.
        """
        await self._run("condor_rm", job.key)

    def reason_text(self, job: Job) -> str:
        """Return why a job waits or how it ended, in a sentence."""
        if job.raw_state == "Held" and not job.state.is_over:
            return f"On hold: {job.raw_reason[:300] or 'the batch system does not say why.'}"
        if job.state is JobState.PENDING:
            return "Waiting for a machine that fits."
        return _REASONS.get(job.state, "")

    def nodes_of(self, job: Job) -> list[str]:
        """Return the machine of a job."""
        return [job.node_list] if job.node_list else []

    async def _left_jobs(self, queued: set[str]) -> list[Job]:
        """Return how pods' jobs ended that have just left the queue, which forgets at once who was removed."""
        left = [key for key in self._live if key not in queued][:_MAX_HISTORY_JOBS]
        if not left:
            return []
        options = ("-json", "-attributes", JOB_ATTRIBUTES, "-limit", str(len(left)))
        try:
            output = await self._run("condor_history", *options, *left)
            return [job_of(ad) for ad in parse_ads(JobAd, "condor_history", output)]
        except CommandError as error:
            log.warning("cannot tell how jobs ended", error=str(error), jobs=left)
            return []
