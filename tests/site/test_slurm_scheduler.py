"""How often SLURM is asked what, and what follows from its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rayster_site.commands import CommandError, CommandRunner
from rayster_site.slurm.scheduler import Slurm


class Commands:
    """SLURM's commands, which print the recorded outputs of a version and note that they were called."""

    def __init__(self, helpers: Any, directory: Path, version: str):
        self.helpers = helpers
        self.directory = directory
        self.clock = helpers.Clock()
        recorded = helpers.RECORDED / f"slurm-{version}"
        codes = (
            f'case "$*" in *exit_code*) cat {recorded}/exit_codes.txt;; *) cat {recorded}/squeue.txt;; esac'
        )
        self.put("squeue", codes)
        self.put("sinfo", f"cat {recorded}/sinfo.txt")
        self.put("scontrol", f"cat {recorded}/config.txt")
        self.slurm = Slurm(CommandRunner(directory), self.clock)

    def put(self, name: str, body: str) -> None:
        self.helpers.write_command(
            self.directory, name, f'echo "{name} $*" >> {self.directory}/calls\n{body}'
        )

    def calls(self) -> list[str]:
        """Return the calls since the last time this was asked."""
        path = self.directory / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return found


@pytest.fixture
def commands(site_helpers: Any, tmp_path: Path) -> Any:
    return lambda version="22.05": Commands(site_helpers, tmp_path, version)


async def test_each_command_is_called_once_per_look(commands: Any) -> None:
    site = commands()
    await site.slurm.look()
    site.calls()

    await site.slurm.look()

    assert [call.split()[0] for call in site.calls()] == ["sinfo", "squeue"]


async def test_exit_codes_are_asked_for_once_after_a_pods_job_has_ended(commands: Any) -> None:
    site = commands()

    look = await site.slurm.look()
    again = await site.slurm.look()

    assert sum("exit_code" in call for call in site.calls()) == 1
    for jobs in (look.jobs, again.jobs):
        codes = {job.id: (job.exit_code, job.signal) for job in jobs if job.exit_code is not None}
        assert codes == {"28": (7, None), "27": (0, 9)}


async def test_exit_codes_that_cannot_be_had_fail_nothing_else(commands: Any) -> None:
    site = commands()
    recorded = site.helpers.RECORDED / "slurm-22.05"
    site.put("squeue", f'case "$*" in *exit_code*) exit 1;; *) cat {recorded}/squeue.txt;; esac')

    look = await site.slurm.look()

    assert all(job.exit_code is None for job in look.jobs)


@pytest.mark.parametrize(
    ("version", "sees_all"), [("19.05", True), ("20.11", False), ("22.05", True), ("24.05", True)]
)
async def test_whether_the_site_hides_jobs_is_read_from_its_configuration(
    commands: Any, version: str, sees_all: bool
) -> None:
    assert (await commands(version).slurm.look()).sees_all_jobs is sees_all


async def test_a_configuration_without_the_word_tells_nothing(commands: Any) -> None:
    site = commands()
    site.put("scontrol", "echo ClusterName = x")

    assert (await site.slurm.look()).sees_all_jobs is None


async def test_the_configuration_is_read_once_an_hour(commands: Any) -> None:
    site = commands()
    counts = []
    for seconds in (0, 1800, 1801):
        site.clock.now += seconds
        await site.slurm.look()
        counts.append(sum(call.startswith("scontrol") for call in site.calls()))

    assert counts == [1, 0, 1]


async def test_a_configuration_that_cannot_be_read_is_asked_for_again_soon(commands: Any) -> None:
    site = commands()
    site.put("scontrol", "exit 1")
    assert (await site.slurm.look()).sees_all_jobs is None
    site.put("scontrol", "echo 'PrivateData = none'")
    site.clock.now += 61

    assert (await site.slurm.look()).sees_all_jobs is True


@pytest.mark.parametrize("name", ["sinfo", "squeue"])
async def test_a_command_that_fails_fails_the_look(commands: Any, name: str) -> None:
    site = commands()
    site.put(name, "echo 'slurm_load: Unable to contact slurm controller' >&2; exit 1")

    with pytest.raises(CommandError, match=f"{name}: slurm_load: Unable"):
        await site.slurm.look()


async def test_a_cancel_names_the_account_so_that_nothing_else_is_hit(
    commands: Any, site_helpers: Any
) -> None:
    site = commands()
    site.put("scancel", "true")

    await site.slurm.cancel(site_helpers.make_job(7))

    assert site.calls() == [f"scancel --user={site.slurm.own_account} -- 7"]
