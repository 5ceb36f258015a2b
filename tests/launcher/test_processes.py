"""Nothing that a node has started outlives it."""

import signal
import subprocess
import sys
import threading
import time

import pytest
from rayster_lab.attachment import interrupt
from rayster_lab.launcher import logs, processes

# A child that ends, and leaves behind one in a session of its own that ignores being told to end.
STUBBORN = """
import signal, subprocess, sys, time
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(float(sys.argv[1]))
"""
KEEPER = """
import os, subprocess, sys
from rayster_lab.launcher import processes
processes.adopt_orphans()
processes.end_on_signals()
child = processes.start([sys.executable, "-c", os.environ["STUBBORN"], sys.argv[1]], os.environ, subprocess.DEVNULL)
try:
    code = processes.wait(child, lambda: None)
except processes.Ended:
    code = 143
finally:
    processes.stop(child, 0.5)
sys.exit(code)
"""


@pytest.fixture
def keeper(site):
    def start(seconds: str) -> subprocess.Popen:
        process = site.start(
            [sys.executable, "-u", "-c", KEEPER, seconds], "keeper", site.environment(STUBBORN=STUBBORN)
        )
        site.wait_until(lambda: site.said("keeper").strip().isdigit(), 20, "the stubborn process is up")
        return process

    return start


def test_what_a_child_left_behind_ends_with_its_keeper(site, keeper):
    process = keeper("0")

    assert process.wait(timeout=20) == 0
    assert site.pids() == []


def test_a_keeper_that_is_told_to_end_leaves_nothing(site, keeper):
    process = keeper("600")

    process.terminate()

    assert process.wait(timeout=20) == 143
    assert site.pids() == []


def test_children_are_found_without_the_kernels_list_of_them(monkeypatch):
    child = subprocess.Popen(["sleep", "60"])
    try:
        monkeypatch.setattr(processes.Path, "glob", lambda self, pattern: iter(()))

        assert child.pid in processes.children()
    finally:
        child.kill()
        child.wait()


def test_a_process_that_is_not_there_has_no_parent():
    assert processes.parent_of(2**22 + 1) is None


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param(
            [("ray._private.worker", "get_objects"), ("__main__", "<module>")], True, id="ray.get in a cell"
        ),
        pytest.param(
            [("__main__", "f"), ("ray._private.worker", "get_objects")], False, id="code that Ray has called"
        ),
        pytest.param([("ray._private.worker", "shutdown"), ("__main__", "<module>")], False, id="a shutdown"),
        pytest.param(
            [("ray._private.worker", "get"), ("rayster_lab.attachment.driver", "connect")],
            False,
            id="our own",
        ),
        pytest.param([("rays", "get")], False, id="another package"),
        pytest.param([], False, id="no thread"),
    ],
)
def test_only_a_wait_inside_ray_is_interrupted(calls, expected):
    assert interrupt.waits_in_ray(calls) is expected


def test_what_must_be_whole_is_finished_although_it_is_interrupted():
    # What a shell starts in the background has its interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []

    def work() -> None:
        time.sleep(1)
        done.append(True)

    timer = threading.Timer(0.2, interrupt._thread.interrupt_main)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupt.uninterrupted(work)
    finally:
        signal.signal(signal.SIGINT, before)

    assert done == [True]


def test_an_error_of_what_must_be_whole_is_raised():
    with pytest.raises(ZeroDivisionError):
        interrupt.uninterrupted(lambda: 1 / 0)


def test_the_complaints_of_a_node_are_found_in_its_logs(tmp_path):
    directory = tmp_path / "session_2026-11-25_18-03-03_1_2" / "logs"
    directory.mkdir(parents=True)
    (directory / "raylet.out").write_text(
        "[2026-11-25 18:03:03,907 I 1 1] (raylet) all is well\n"
        "[2026-11-25 18:03:04,907 E 1 1] (raylet) agent has failed\n"
    )

    assert logs.last_faults(str(tmp_path)) == [
        "raylet.out: [2026-11-25 18:03:04,907 E 1 1] (raylet) agent has failed"
    ]
