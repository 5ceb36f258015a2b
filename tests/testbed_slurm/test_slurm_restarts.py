"""Parts that are killed and started again: no job is lost and none runs twice."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rayster_testbed.slurm.programs import missing

QUEUES = ["batch_queue", *([] if missing() else [pytest.param("slurm", marks=pytest.mark.slurm)])]
WHOLE_PADOVA = ("-p", "padova", "-N", "2", "-c", "16", "--mem=100", "--time=30")


def pids_of(*words: str) -> list[int]:
    """Return processes whose command line holds all words; those of a test all hold its own directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if all(word in command for word in words):
                found.append(int(entry.name))
    return found


def wait_until_saved(state_dir: Path, helpers: Any) -> None:
    """Wait until slurmctld has written the queue down; it does so some seconds after each change."""
    saved = state_dir / "ctld/job_state"
    if (state_dir / "ctld").exists():
        now = time.time()
        helpers.wait_until(lambda: saved.exists() and saved.stat().st_mtime > now, 20, what="job_state saved")


@pytest.mark.parametrize("kind", QUEUES)
def test_jobs_survive_sigkill_of_the_batch_system(
    kind: str, helpers: Any, short_dir: Callable[[], Path]
) -> None:
    state_dir = short_dir()
    with helpers.batch_system_in(kind, state_dir) as system:
        (process,) = pids_of(f"rayster_testbed.{kind}", str(state_dir))
        ending = system.submit("sleep 3; echo done; exit 4", "-p", "dcgp_usr_prod", "--mem=100")
        running = system.submit("sleep 120", *WHOLE_PADOVA)
        system.wait_for(running, "R")
        system.wait_for(ending, "R", "F")
        waiting = system.submit("echo started later", *WHOLE_PADOVA)
        wait_until_saved(state_dir, helpers)
        for pid in [process, *pids_of("slurmctld", str(state_dir))]:
            os.kill(pid, signal.SIGKILL)
    with helpers.batch_system_in(kind, state_dir, "--cancel-jobs-on-exit") as system:
        assert [system.squeue(job_id) for job_id in (running, waiting)] == ["R", "PD"]
        system.wait_for(ending, "F")
        done = system.call("squeue", "-h", "-a", "--states=all", "-O", "exit_code", "-j", ending)
        assert (done.stdout.strip(), system.output(ending)) == ("1024", "done\n")
        system.call("scancel", running)
        system.wait_for(waiting, "CD")
        assert system.output(waiting) == "started later\n"
        assert int(system.submit("true")) == int(waiting) + 1


@pytest.mark.parametrize("kind", QUEUES)
@pytest.mark.parametrize("cancel", [True, False], ids=["cancels its jobs", "leaves its jobs"])
def test_sigterm_ends_exactly_its_own_processes(
    kind: str, cancel: bool, helpers: Any, short_dir: Callable[[], Path]
) -> None:
    state_dir = short_dir()
    with helpers.batch_system_in(kind, state_dir, *(["--cancel-jobs-on-exit"] if cancel else [])) as system:
        job_id = system.submit("echo $$; exec sleep 120", "-p", "padova", "--mem=100")
        system.wait_for(job_id, "R")
        pid = int(helpers.wait_until(lambda: system.output(job_id)))
    assert Path(f"/proc/{pid}").exists() is not cancel
    daemons = [
        found for found in pids_of(str(state_dir)) if found != pid and not pids_of("slurmstepd", str(found))
    ]
    assert [found for found in daemons if "shim.py" not in Path(f"/proc/{found}/cmdline").read_text()] == []
    if not cancel:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slurm
@pytest.mark.skipif(bool(missing()), reason="without SLURM there is no daemon to supervise")
@pytest.mark.parametrize("daemon", ["slurmctld -D", "slurmd -D -N pd-wn01", "munged --foreground"])
def test_a_daemon_that_dies_is_started_again(daemon: str, supervised: Any, helpers: Any) -> None:
    (pid,) = pids_of(daemon, str(supervised.bin_dir.parent))
    os.kill(pid, signal.SIGKILL)
    helpers.wait_until(
        lambda: (found := pids_of(daemon, str(supervised.bin_dir.parent))) and found != [pid],
        what="new process",
    )
    job_id = supervised.submit("true", "-p", "padova")
    supervised.wait_for(job_id, "CD", timeout_seconds=30)


@pytest.fixture(scope="module")
def supervised(helpers: Any, short_dir: Callable[[], Path]) -> Any:
    with helpers.batch_system_in("slurm", short_dir(), "--cancel-jobs-on-exit") as system:
        yield system


def test_a_directory_has_one_master(batch_system: Any) -> None:
    state_dir = str(batch_system.bin_dir.parent)
    argv = [sys.executable, "-m", f"rayster_testbed.{batch_system.kind}", "--state-dir", state_dir]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert re.search("another (supervisor|batch queue) runs in", second.stderr)
    assert batch_system.call("sinfo").returncode == 0


@pytest.mark.slurm
@pytest.mark.skipif(bool(missing()), reason="the built-in queue opens no port at all")
def test_slurm_listens_on_loopback_only(supervised: Any) -> None:
    ports = set(json.loads((supervised.bin_dir.parent / "ports.json").read_text()).values())
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {(row[1].split(":")[0], int(row[1].split(":")[1], 16)) for row in rows if row[3] == "0A"}
    assert {(address, port) for address, port in listening if port in ports} == {
        ("0100007F", port) for port in ports
    }


def test_walltime_ends_a_job(helpers: Any, short_dir: Callable[[], Path]) -> None:
    """On the built-in queue, whose minutes can be short; SLURM itself looks only every 30 s."""
    with helpers.batch_system_in("batch_queue", short_dir(), "--seconds-per-minute=1") as system:
        job_id = system.submit("echo up; sleep 60; echo never", "--time=1")
        system.wait_for(job_id, "TO")
        assert system.squeue(job_id, "%r") == "TimeLimit"
        assert system.output(job_id) == "up\n"


def test_processes_that_left_the_job_s_session_end_with_it(
    helpers: Any, short_dir: Callable[[], Path]
) -> None:
    with helpers.batch_system_in("batch_queue", short_dir()) as system:
        job_id = system.submit("setsid -f sh -c 'echo $$; exec sleep 60'; sleep 60")
        pid = helpers.wait_until(lambda: system.squeue(job_id) == "R" and system.output(job_id).strip())
        system.call("scancel", job_id)
        system.wait_for(job_id, "CA")
        assert not Path(f"/proc/{pid}").exists()


def test_jobs_survive_sigkill_of_the_plugin(
    batch_system: Any, helpers: Any, short_dir: Callable[[], Path]
) -> None:
    data_dir = short_dir()
    with helpers.plugin_in(data_dir, batch_system.bin_dir) as plugin:
        pod = helpers.make_pod(["bash", "-c", "sleep 0.5; exit 6"])
        job_id = plugin.create(pod)
        helpers.kill(plugin.process.pid)
    batch_system.wait_for(job_id, "F")
    with helpers.plugin_in(data_dir, batch_system.bin_dir) as plugin:
        assert plugin.state(pod)["terminated"]["exitCode"] == 6
        assert plugin.call("POST", "/delete", pod)[0] == 200
