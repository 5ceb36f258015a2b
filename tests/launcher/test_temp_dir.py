import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rayster_lab.launcher import temp_dir
from rayster_lab.launcher.failures import ExitCode, LaunchError
from rayster_lab.launcher.temp_dir import LONGEST_TEMP_DIR, TempDir, remove_abandoned, temp_dir_parents

OWNER = """
import os, signal, sys
from rayster_lab.launcher.temp_dir import TempDir
print(TempDir(os.environ).path, flush=True)
os.kill(os.getpid(), signal.SIGKILL) if sys.argv[1] == "killed" else sys.stdin.read()
"""


@pytest.fixture
def owner(site):
    """Starts a process that has a temp dir; returns it and the directory."""
    started = []

    def start(end: str) -> tuple[subprocess.Popen, Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, end],
            env=site.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.communicate(timeout=20)


def test_a_temp_dir_is_private_short_enough_for_rays_sockets_and_gone_in_the_end():
    with TempDir({}) as path:
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o700
        assert len(path) <= LONGEST_TEMP_DIR

    assert not Path(path).exists()


def test_a_long_tmpdir_is_passed_over():
    parents = temp_dir_parents({"TMPDIR": "/scratch/" + "x" * 60, "SLURM_TMPDIR": "/local/17"})

    assert parents == ["/local/17", "/tmp", "/var/tmp", "/dev/shm"]


def test_a_relative_tmpdir_is_passed_over():
    assert "here" not in temp_dir_parents({"TMPDIR": "here"})


def test_nothing_that_can_be_written_is_said_with_what_would_do(monkeypatch):
    monkeypatch.setattr(temp_dir, "temp_dir_parents", lambda environ: ["/proc/none"])

    with pytest.raises(LaunchError, match="TMPDIR") as error:
        TempDir({})

    assert error.value.code == ExitCode.NO_DIRECTORY


def test_what_a_killed_node_has_left_the_next_one_removes(site, owner, monkeypatch):
    process, path = owner("killed")
    process.wait(timeout=20)
    assert path.is_dir()

    remove_abandoned(site.tmp)
    assert path.is_dir(), "it may be one that is just being made"

    monkeypatch.setattr(temp_dir, "_ABANDONED_SECONDS", 0.0)
    remove_abandoned(site.tmp)
    assert not path.exists()


def test_the_directory_of_a_node_that_lives_is_left(site, owner, monkeypatch):
    _, path = owner("lives")
    monkeypatch.setattr(temp_dir, "_ABANDONED_SECONDS", 0.0)

    remove_abandoned(site.tmp)

    assert path.is_dir()


def test_a_directory_that_only_looks_like_a_nodes_is_left(site, monkeypatch):
    monkeypatch.setattr(temp_dir, "_ABANDONED_SECONDS", 0.0)
    other = site.tmp / "rayn-other"
    other.mkdir()
    (other / ".owner").symlink_to("/etc/hostname")

    remove_abandoned(site.tmp)

    assert other.is_dir()
