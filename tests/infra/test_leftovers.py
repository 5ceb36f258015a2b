"""Which processes belong to a testbed, and that only those are ended."""

import os
import subprocess
import sys
import time

import pytest

from rayster_testbed.leftovers import MARK, Process, end_processes, mark, processes_of

SLEEP = "import time; time.sleep(600)"
# Makes itself a daemon: its parent is gone, its session and its group are its own.
DAEMON = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
"""
IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def start(state_dir, code, **options):
    environment = {**os.environ, **mark(state_dir)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True, **options)


def test_a_daemon_that_left_its_parent_is_found_and_ended(state_dir):
    start(state_dir, DAEMON).wait()
    found = processes_of(state_dir)
    assert len(found) == 1
    assert end_processes(state_dir, 5) == found
    assert processes_of(state_dir) == []


def test_other_processes_are_left_alone(state_dir, stranger, tmp_path):
    other = start(tmp_path / "other", SLEEP)
    start(state_dir, SLEEP)
    end_processes(state_dir, 5)
    assert stranger.poll() is None
    assert other.poll() is None
    end_processes(tmp_path / "other", 5)
    other.wait()


def test_a_child_that_cleaned_its_environment_is_found_by_its_parent(state_dir):
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], env={{}}); {SLEEP}"
    parent = start(state_dir, code)
    deadline = time.monotonic() + 30
    while len(processes_of(state_dir)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    found = processes_of(state_dir)
    assert len(found) == 2
    end_processes(state_dir, 5)
    parent.wait()
    assert not any(process.is_alive for process in found)


def test_what_ignores_the_request_is_killed_after_the_grace(state_dir):
    process = start(state_dir, IGNORES_SIGTERM, stdout=subprocess.PIPE)
    process.stdout.readline()
    began = time.monotonic()
    end_processes(state_dir, 0.3)
    process.wait()
    assert 0.3 <= time.monotonic() - began < 30
    process.stdout.close()


def test_the_one_who_asks_is_never_among_them(state_dir, monkeypatch):
    code = f"""
import os
from pathlib import Path
from rayster_testbed.leftovers import processes_of
print(os.getpid() in [p.pid for p in processes_of(Path({str(state_dir)!r}))])
"""
    process = start(state_dir, code, stdout=subprocess.PIPE)
    assert process.communicate()[0].strip() == b"False"


def test_a_pid_that_passed_on_gets_no_signal(stranger):
    now = Process.read(stranger.pid)
    earlier = Process(now.pid, now.parent, now.session, now.start_ticks - 1, now.command)
    assert not earlier.is_alive
    earlier.send(9)
    with pytest.raises(subprocess.TimeoutExpired):
        stranger.wait(0.3)


def test_the_mark_names_the_directory_whatever_way_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "state").mkdir()
    monkeypatch.chdir(tmp_path)
    assert mark(tmp_path / "state") == mark(tmp_path / "x" / ".." / "state")
    assert mark(tmp_path / "state")[MARK] == str(tmp_path / "state")
