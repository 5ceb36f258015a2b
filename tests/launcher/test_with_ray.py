"""The launcher and the attachment with real Ray, each node with an address of its own on loopback."""

import json
import signal
import subprocess
import time
from contextlib import suppress

import pytest

# A node needs some 5 s of a CPU to come up, a head more; three times that on a machine that does other things too.
UP_SECONDS = 90
END_SECONDS = 15

PRELUDE = """
import json, os, signal, sys, threading, time
from rayster_lab.attachment import AttachTarget, attach, detach, current, prepare

# As a kernel does while a cell runs: what a shell starts in the background has its interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def say(**what):
    print("RESULT " + json.dumps(what), flush=True)

def target(path):
    cluster = os.path.basename(path).removesuffix(".json")
    return AttachTarget(cluster, "site", "T" * 44, rendezvous=path, node_network="127.66.0.0/16")

def pods(ray, count):
    @ray.remote(num_cpus=1)
    def where():
        time.sleep(0.2)
        return os.environ.get("RAY_CLOUD_INSTANCE_ID", "notebook")
    return sorted(set(ray.get([where.remote() for _ in range(count)])))
"""

TWO_CLUSTERS = (
    PRELUDE
    + """
prepare()
first = attach(target(sys.argv[1]))
import ray
deadline = time.monotonic() + 60
while (found := pods(ray, 8)) != ["a-worker-1", "a-worker-2"] and time.monotonic() < deadline:
    pass
say(first=found, node=first.node.address, driver=ray.util.get_node_ip_address(), temp_dir=first.node.temp_dir)
# As a button of a panel does it, whose thread ends.
thread = threading.Thread(target=lambda: attach(target(sys.argv[2]), share_cpus=1))
thread.start()
thread.join()
second = current()
time.sleep(1)
say(second=pods(ray, 2), first_attached=first.is_attached, second_attached=second.is_attached)
detach()
say(connected=ray.is_initialized(), current=current() is not None, token="RAY_AUTH_TOKEN" in os.environ)
"""
)

HELD = (
    PRELUDE
    + """
attachment = attach(target(sys.argv[1]))
say(temp_dir=attachment.node.temp_dir)
time.sleep(600)
"""
)

LOSES_ITS_HEAD = (
    PRELUDE
    + """
told = []
attachment = attach(target(sys.argv[1]), on_lost=told.append)
import ray

@ray.remote(num_cpus=1)
def never():
    pass

say(attached=True)
try:
    # There is no worker.
    ray.get(never.remote())
except KeyboardInterrupt:
    say(interrupted=True, told=told, attached=attachment.is_attached)
sys.stdin.readline()
again = attach(target(sys.argv[1]), share_cpus=1)
say(again=pods(ray, 2))
"""
)


class Driver:
    """A process that stands for a kernel; it says what it found as lines of JSON."""

    def __init__(self, site, script: str, *arguments: str) -> None:
        import sys

        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", script, *arguments],
            env=site.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=site.log("driver").open("ab"),
            text=True,
            start_new_session=True,
        )
        site.started.append(self.process)

    def result(self) -> dict:
        for line in self.process.stdout:
            if line.startswith("RESULT "):
                return json.loads(line.removeprefix("RESULT "))
        raise AssertionError(f"the driver ended with {self.process.wait(timeout=5)}")


@pytest.fixture
def driver(site):
    started = []

    def start(script: str, *clusters: str) -> Driver:
        # A notebook attaches to clusters that the service calls ready.
        deadline = time.monotonic() + 90
        while not all(site.rendezvous(one).exists() for one in clusters) and time.monotonic() < deadline:
            time.sleep(0.2)
        started.append(Driver(site, script, *(str(site.rendezvous(cluster)) for cluster in clusters)))
        return started[-1]

    yield start
    for one in started:
        with suppress(OSError):
            one.process.stdin.close()
        one.process.stdout.close()


@pytest.mark.timeout(300)
def test_a_notebook_computes_on_the_workers_of_one_cluster_and_then_on_another(site, driver):
    site.node("a", "--head", pod="a-head")
    for number in (1, 2):
        site.node("a", "--cpus", "1", pod=f"a-worker-{number}")
    site.node("b", "--head", pod="b-head")
    notebook = driver(TWO_CLUSTERS, "a", "b")

    first, second, after = notebook.result(), notebook.result(), notebook.result()

    assert first["first"] == ["a-worker-1", "a-worker-2"]
    assert first["driver"] == first["node"]
    assert second == {"second": ["notebook"], "first_attached": False, "second_attached": True}
    assert after == {"connected": False, "current": False, "token": False}
    assert notebook.process.wait(timeout=END_SECONDS) == 0
    # The four nodes of the clusters are left, the notebook's two are gone.
    assert len(site.temp_dirs()) == 4

    for process in site.started[:4]:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(timeout=END_SECONDS) for process in site.started[:4]] == [143] * 4
    assert site.pids() == []
    assert site.temp_dirs() == []
    assert not site.rendezvous("a").exists()


@pytest.mark.timeout(300)
def test_a_kernel_that_loses_its_head_lives_and_attaches_to_the_next_one(site, driver):
    head = site.node("c", "--head", pod="c-head-1")
    notebook = driver(LOSES_ITS_HEAD, "c")
    assert notebook.result() == {"attached": True}

    head.kill()
    lost = notebook.result()

    assert lost["interrupted"] and not lost["attached"]
    assert len(lost["told"]) == 1 and "head of cluster c does not answer" in lost["told"][0]

    site.node("c", "--head", pod="c-head-2")
    site.wait_until(lambda: "c-head-2" in _read(site.rendezvous("c")), UP_SECONDS, "the next head is open")
    notebook.process.stdin.write("\n")
    notebook.process.stdin.flush()
    assert notebook.result() == {"again": ["notebook"]}


@pytest.mark.timeout(300)
def test_a_kernel_that_is_killed_takes_its_node_with_it_and_nothing_else(site, driver):
    head = site.node("d", "--head", pod="d-head")
    notebook = driver(HELD, "d")
    temp_dir = notebook.result()["temp_dir"].rpartition("/")[2]
    assert temp_dir in site.temp_dirs()

    notebook.process.kill()

    site.wait_until(lambda: temp_dir not in site.temp_dirs(), END_SECONDS, "the notebook's node is gone")
    assert head.poll() is None
    assert len(site.temp_dirs()) == 1


@pytest.mark.timeout(120)
def test_a_worker_whose_head_never_comes_ends_in_time_with_its_own_status(site):
    began = time.monotonic()
    worker = site.node("e", pod="e-worker", RAYSTER_RAY_HEAD_WAIT_SECONDS="2")

    assert worker.wait(timeout=60) == 41
    assert time.monotonic() - began >= 2
    assert "e.json was not written" in site.said("e-worker")
    assert site.pids() == [] and site.temp_dirs() == []


@pytest.mark.timeout(120)
def test_a_worker_that_is_told_to_end_while_it_waits_leaves_nothing(site):
    worker = site.node("f", pod="f-worker")
    site.wait_until(site.temp_dirs, UP_SECONDS, "the worker has begun")

    worker.terminate()

    assert worker.wait(timeout=END_SECONDS) == 143
    assert site.pids() == [] and site.temp_dirs() == []


@pytest.mark.timeout(60)
def test_a_worker_with_wrong_settings_says_so_at_once(site):
    worker = site.node("g", pod="g-worker", RAYSTER_RAY_CPUS="many")

    assert worker.wait(timeout=40) == 2
    assert "'many'" in site.said("g-worker")


def _read(path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""
