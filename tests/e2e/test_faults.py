"""Parts that are killed while a server queues or runs: the same job, the same notebook, nothing doubled or lost."""

import signal
import threading
from collections.abc import Iterator

import pytest

from rayster_testbed.testbed import Testbed

from .conftest import jobs
from .faults import (
    kill_and_start,
    pod_of_default_patience,
    pods,
    server_jobs,
    start_all,
    stays,
    submitted,
    tainted_ago,
)
from .hub_client import AWAY, PADOVA, PRINT_JOB, HubUser, wait_for

pytestmark = pytest.mark.timeout(180)

PARTS = (
    "hub", "proxy", "service", "padova-agent", "apiserver", "scheduler", "kubelet", "padova", "padova-plugin", "slurm",
)  # fmt: skip


@pytest.fixture
def ada(testbed: Testbed) -> Iterator[HubUser]:
    """A user of every site, logged in; nothing of hers is left afterwards."""
    person = HubUser(testbed, "ada")
    yield person
    start_all(testbed)
    if person.server().model() is not None:
        person.server().stop()
    wait_for(lambda: not pods(testbed), "all pods are gone")
    for job in jobs(testbed):
        testbed.slurm("scancel", job)
    wait_for(lambda: not jobs(testbed), "all jobs are gone")


def test_queued_server_survives_the_death_of_each_part(ada, full_padova):
    testbed, server = ada.testbed, ada.server()
    job = submitted(server)
    (number,) = job
    for part in PARTS:
        kill_and_start(testbed, part)
        assert server.pending == "spawn", part
        assert server.told(f"Queued at padova as job {number}", 20), part
        stays(testbed, job, part)
    testbed.slurm("scancel", full_padova[0])
    server.wait_ready()
    assert server.run(PRINT_JOB).split() == [number, "padova"]
    stays(testbed, job, "all of it")


def test_running_server_survives_the_death_of_each_part(ada):
    testbed, server = ada.testbed, ada.server()
    job = submitted(server)
    server.wait_ready()
    kernel = server.kernel()
    kernel.run("x = 41")
    for part in PARTS:
        kill_and_start(testbed, part)
        wait_for(server.answers, f"the server answers through the proxy after {part}", 20)
        assert kernel.run("print(x + 1)") == "42", part
        wait_for(server.is_ready, f"the hub says that it is ready after {part}", 20)
        stays(testbed, job, part)
    # Also for somebody with a new browser, by way of the hub.
    assert HubUser(testbed, "ada").server().run(PRINT_JOB).split() == [*job, "padova"]
    server.stop()
    wait_for(lambda: not server_jobs(testbed), "the job is gone", 20)


@pytest.mark.parametrize("seconds", [0.02, 0.06, 0.15, 1.0], ids=lambda seconds: f"{seconds} s")
def test_hub_killed_in_a_spawn_goes_on_with_it_or_has_nothing_of_it(ada, seconds):
    testbed, server = ada.testbed, ada.server()
    answers = []

    def spawn() -> None:
        try:
            answers.append(server.spawn(PADOVA).status_code)
        except AWAY:
            answers.append(503)

    asking = threading.Thread(target=spawn)
    asking.start()
    asking.join(seconds)
    kill_and_start(testbed, "hub")
    asking.join()
    if server.model() is None:
        assert answers != [202], "it was promised"
        assert (server_jobs(testbed), pods(testbed)) == ({}, [])
        return
    server.wait_ready()
    (number,) = job = server_jobs(testbed)
    stays(testbed, job, "the restart")
    assert server.run(PRINT_JOB).split() == [number, "padova"]


def test_api_server_away_while_the_hub_restarts_costs_no_place_in_the_queue(ada, full_padova):
    testbed, server = ada.testbed, ada.server()
    job = submitted(server)
    (number,) = job
    testbed.parts["apiserver"].kill(signal.SIGKILL)
    kill_and_start(testbed, "hub")
    assert server.pending == "spawn"
    # Longer than the hub's request to it may take.
    assert [event for event in server.progress(8) if event.get("failed")] == []
    assert server.pending == "spawn"
    testbed.parts["apiserver"].start()
    testbed.parts["apiserver"].wait_ready()
    assert server.told(f"Queued at padova as job {number}", 30)
    testbed.slurm("scancel", full_padova[0])
    server.wait_ready()
    stays(testbed, job, "the outage")


def test_node_that_is_not_ready_for_an_hour_evicts_nobody(ada, full_padova):
    testbed, server = ada.testbed, ada.server()
    job = submitted(server)
    testbed.parts["padova-plugin"].kill(signal.SIGKILL)
    wait_for(lambda: not testbed.cluster.node_is_ready("padova"), "the node is not ready", 20)

    def is_tainted() -> bool:
        node = testbed.cluster.node("padova")
        return any(taint["effect"] == "NoExecute" for taint in node["spec"].get("taints") or [])

    wait_for(is_tainted, "the node evicts those who do not tolerate it", 20)
    with pod_of_default_patience(testbed, "padova") as is_evicted:
        tainted_ago(testbed, "padova", 3600)
        wait_for(is_evicted, "a pod that tolerates Kubernetes' 300 s is evicted", 20)
    assert server.pending == "spawn"
    testbed.parts["padova-plugin"].start()
    wait_for(lambda: testbed.cluster.node_is_ready("padova"), "the node is ready again", 40)
    stays(testbed, job, "the outage")


def test_job_that_is_cancelled_at_the_site_ends_the_server_and_its_page_says_why(ada):
    testbed, server = ada.testbed, ada.server()
    job = submitted(server)
    server.wait_ready()
    testbed.slurm("scancel", *job)
    wait_for(lambda: server.model() is None, "the hub has noticed", 60)
    # The virtual node would have said an exit status, or that all is well.
    assert "The job was cancelled at the site." in ada.page("/user/ada/lab").text
    assert pods(testbed) == []


def test_refused_job_tells_over_rest_what_sbatch_said(ada):
    server = ada.server()
    assert server.spawn({"profile": "wrong-partition"}).status_code in (201, 202)
    last = server.progress(30)[-1]
    assert last["failed"] and "Invalid partition name specified" in last["message"]
    assert (server.model(), server_jobs(ada.testbed)) == (None, {})
