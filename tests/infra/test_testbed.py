"""Testbed: parts that start in order, say why they did not, and leave nothing behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rayster_testbed.leftovers import processes_of
from rayster_testbed.parts import PartError, held_file, read_records
from rayster_testbed.supervisor import Supervisor, restart_delay_seconds
from rayster_testbed.testbed import Testbed, TestbedError

REFUSES = "import sys; print('the port is taken', flush=True); sys.exit(3)"
# Starts a helper that makes itself a daemon, as a batch system does.
WITH_HELPER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("running", flush=True)
time.sleep(600)
"""


def test_parts_start_when_those_they_need_are_ready(state_dir, plan):
    said = []
    parts = [plan("last", needs=("middle",)), plan("middle", needs=("first",)), plan("first")]
    with Testbed(state_dir, plans=parts, say=lambda *what: said.append(what)):
        pass
    order = [name for name, what in said if what.startswith("ready")]
    assert order == ["first", "middle", "last"]


def test_parts_that_need_nothing_of_each_other_start_together(state_dir, plan):
    slow = "import time; time.sleep(2); print('running', flush=True); time.sleep(600)"
    said = []
    plans = [plan(f"part-{n}", slow) for n in range(4)]
    with Testbed(state_dir, plans=plans, say=lambda name, what: said.append(what)):
        pass
    assert said[:4] == ["starts"] * 4


def test_nothing_is_left_after_stop(state_dir, plan, stranger):
    with Testbed(state_dir, plans=[plan("one", WITH_HELPER), plan("two")]):
        assert len(processes_of(state_dir)) == 3
    assert processes_of(state_dir) == []
    assert stranger.poll() is None


def test_a_part_that_does_not_start_says_why_and_the_others_are_stopped(state_dir, plan):
    testbed = Testbed(state_dir, plans=[plan("good"), plan("bad", REFUSES), plan("after", needs=("bad",))])
    with pytest.raises(PartError, match=r"(?s)bad ended with exit status 3.*the port is taken.*bad\.log"):
        testbed.start()
    assert processes_of(state_dir) == []


def test_a_part_that_never_gets_ready_is_given_up_in_time(state_dir, plan):
    never = plan("never", is_ready=lambda: False, ready_timeout_seconds=0.5)
    with pytest.raises(PartError, match="never is not ready after"):
        Testbed(state_dir, plans=[never, plan("good")]).start()
    assert processes_of(state_dir) == []


def test_one_state_directory_is_for_one_testbed(state_dir, plan):
    with Testbed(state_dir, plans=[plan("one")]) as first:
        second = Testbed(state_dir, plans=[plan("one")])
        with pytest.raises(TestbedError, match=r"runs in .* already"):
            second.start()
        second.stop()
        assert first.parts["one"].is_alive


async def test_it_is_an_asynchronous_context_manager_too(state_dir, plan):
    async with Testbed(state_dir, plans=[plan("one")]) as testbed:
        assert testbed.parts["one"].is_alive
        await asyncio.to_thread(testbed.parts["one"].restart)
    assert processes_of(state_dir) == []


def test_what_a_killed_orchestrator_left_is_ended_by_the_next(state_dir, plan, stranger):
    code = f"""
import sys
from rayster_testbed.parts import PartPlan
from rayster_testbed.testbed import Testbed
part = PartPlan("one", (sys.executable, "-c", {WITH_HELPER!r}), is_ready=None)
Testbed({str(state_dir)!r}, plans=[part]).start()
print("up", flush=True)
sys.stdin.read()
"""
    orchestrator = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert orchestrator.stdout.readline() == b"up\n"
    orchestrator.kill()
    orchestrator.communicate()
    leftovers = processes_of(state_dir)
    assert len(leftovers) == 2

    said = []
    with Testbed(state_dir, plans=[plan("one")], say=lambda *what: said.append(what)) as testbed:
        assert not any(process.is_alive for process in leftovers)
        assert ("leftovers", "of an earlier run ended: 2 processes") in said
        assert testbed.parts["one"].is_alive
    assert stranger.poll() is None


def test_a_killed_part_is_down_until_it_is_started(state_dir, plan):
    with Testbed(state_dir, plans=[plan("one"), plan("two")]) as testbed:
        one = testbed.parts["one"]
        pid = one.pid
        one.kill()
        assert (one.is_alive, one.is_held, one.exit_status) == (False, True, -signal.SIGKILL)
        one.start()
        one.wait_ready()
        assert one.is_alive and not one.is_held and one.pid != pid


def test_what_a_killed_run_wrote_does_not_make_the_next_one_ready(state_dir, plan, tmp_path):
    ready = tmp_path / "ready"
    code = f"import pathlib, time; time.sleep(0.5); pathlib.Path({str(ready)!r}).touch(); time.sleep(600)"
    with Testbed(state_dir, plans=[plan("one", code, is_ready=ready.exists, ready_file=ready)]) as testbed:
        one = testbed.parts["one"]
        one.kill()
        one.start()
        assert one.wait_ready() >= 0.5


def test_a_frozen_part_is_not_down(state_dir, plan):
    with Testbed(state_dir, plans=[plan("one")]) as testbed:
        testbed.parts["one"].kill(signal.SIGSTOP)
        assert testbed.parts["one"].is_alive and not testbed.parts["one"].is_held
        testbed.parts["one"].kill(signal.SIGCONT)


def test_a_part_that_does_not_listen_is_killed_after_its_grace(state_dir, plan):
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('running', flush=True); time.sleep(600)"
    with Testbed(state_dir, plans=[plan("deaf", deaf, stop_grace_seconds=0.3)]) as testbed:
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert testbed.parts["deaf"].exit_status == -signal.SIGKILL


def test_the_state_directory_tells_others_what_runs(state_dir, plan):
    with Testbed(state_dir, plans=[plan("one"), plan("two")]) as testbed:
        testbed.parts["two"].kill()
        records = {record.name: record for record in read_records(state_dir)}
        assert records["one"].process.pid == testbed.parts["one"].pid
        assert json.loads((state_dir / "testbed.json").read_text())["pid"] == os.getpid()
    assert not (state_dir / "testbed.json").exists()


def test_secrets_are_their_owners_only_and_stay(state_dir, plan):
    with Testbed(state_dir, plans=[plan("one")]) as testbed:
        password = testbed.password
        secrets = [state_dir / "password", state_dir / "pki/tokens.csv", testbed.kubeconfig("hub")]
        assert [oct(file.stat().st_mode & 0o777) for file in secrets] == ["0o600"] * 3
        assert (state_dir / "pki/server.key").stat().st_mode & 0o077 == 0
    with Testbed(state_dir, plans=[plan("one")]) as testbed:
        assert testbed.password == password


# The supervisor


@pytest.mark.parametrize(
    ("deaths", "seconds"), [(1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (1000, 30.0)], ids=str
)
def test_the_delay_before_another_start_grows_to_a_bound(deaths, seconds):
    assert restart_delay_seconds(deaths) == seconds


@pytest.fixture
def supervised(state_dir, plan):
    """A running testbed of one part, looked after; yields (testbed, what was said)."""
    said, ending = [], threading.Event()
    with Testbed(state_dir, plans=[plan("one")]) as testbed:
        keeper = Supervisor(testbed.parts, lambda *what: said.append(what))
        thread = threading.Thread(target=keeper.run, args=(ending,))
        thread.start()
        yield testbed, said
        ending.set()
        thread.join()


def wait_until(is_so, timeout_seconds=10):
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_part_that_dies_by_itself_is_started_again(supervised):
    testbed, said = supervised
    pid = testbed.parts["one"].pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: testbed.parts["one"].pid not in (None, pid))
    assert ("one", "ended with exit status -9; starts again in 0.5 s") in said


def test_a_part_that_was_killed_on_purpose_stays_down_until_the_hold_is_taken_away(supervised, state_dir):
    testbed, _ = supervised
    testbed.parts["one"].kill()
    time.sleep(1.2)
    assert not testbed.parts["one"].is_alive
    held_file(state_dir, "one").unlink()  # what `rayster testbed start` does
    wait_until(lambda: testbed.parts["one"].is_alive)
