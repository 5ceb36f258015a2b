"""Commands are bounded, and what they print depends on nothing around the agent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from rayster_site.commands import CommandError, CommandRunner, command_environment, printable


@pytest.fixture
def runner(tmp_path: Path, site_helpers: Any) -> Any:
    def make(body: str, **options: Any) -> CommandRunner:
        site_helpers.write_command(tmp_path, "squeue", body)
        return CommandRunner(tmp_path, **options)

    return make


async def test_output_is_returned(runner: Any) -> None:
    assert await runner('printf "%s\\n" "$@"').run("squeue", "a b", "$HOME;ls") == b"a b\n$HOME;ls\n"


async def test_what_a_failing_command_says_is_the_error(runner: Any) -> None:
    with pytest.raises(CommandError, match="squeue: slurm_load_jobs error: Unable to contact") as caught:
        await runner('echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1').run(
            "squeue"
        )

    assert caught.value.command == "squeue"


async def test_a_silent_failure_is_told_by_its_status(runner: Any) -> None:
    with pytest.raises(CommandError, match="exit status 3"):
        await runner("exit 3").run("squeue")


async def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be started"):
        await CommandRunner(tmp_path).run("squeue")


@pytest.mark.parametrize("last", ["sleep 300", "exit 0"], ids=["waits", "has ended itself"])
async def test_a_command_that_hangs_is_ended_with_its_children(
    runner: Any, tmp_path: Path, site_helpers: Any, last: str
) -> None:
    began = time.monotonic()
    with pytest.raises(CommandError, match=r"no answer within 0.5 s"):
        await runner(f"sleep 300 & echo $! > {tmp_path}/child; {last}", timeout_seconds=0.5).run("squeue")

    assert time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    site_helpers.wait_until(lambda: not is_running(child), what="child ended")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_too_much_output_is_an_error(runner: Any) -> None:
    with pytest.raises(CommandError, match="more than 100000 bytes"):
        await runner("yes", max_output_bytes=100_000).run("squeue")


async def test_much_on_standard_error_blocks_nobody(runner: Any) -> None:
    body = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo ok"

    assert await runner(body, timeout_seconds=60).run("squeue") == b"ok\n"


async def test_much_on_standard_error_is_cut(runner: Any) -> None:
    with pytest.raises(CommandError) as caught:
        await runner("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1", timeout_seconds=60).run("squeue")

    assert len(caught.value.message) <= 900


def test_the_environment_keeps_where_slurm_is_and_drops_what_changes_its_output() -> None:
    given = {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "SQUEUE_FORMAT": "%i",
        "SQUEUE_PARTITION": "p",
        "SINFO_SORT": "x",
        "SLURM_TIME_FORMAT": "relative",
        "SLURM_CLUSTERS": "all",
        "RAYSTER_SITE_TOKEN_FILE": "/secret",
        "TZ": "Europe/Rome",
        "LC_ALL": "de_DE",
    }

    assert command_environment(given) == {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "TZ": "UTC",
        "LC_ALL": "C",
        "SLURM_TIME_FORMAT": "standard",
        "SLURM_BITSTR_LEN": "0",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\nb\tc", "a b c"), ("\x1b[31mred\x07", "[31mred"), ("x" * 20, "xxxxxxxxx…"), ("", "")],
)
def test_messages_are_one_printable_line(text: str, expected: str) -> None:
    assert printable(text, 10) == expected
