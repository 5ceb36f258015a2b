"""Parts that are killed while a server queues or runs: the same job, the same notebook, nothing doubled or lost."""

import re
import signal
from collections.abc import Iterator

import pytest

from rayster_testbed.testbed import Testbed

from .conftest import jobs
from .hub_client import AWAY, HubUser, Kernel, Server, wait_for

pytestmark = pytest.mark.timeout(180)

PADOVA = {"profile": "padova-slurm", "cpu": 1, "memory": "1Gi", "walltime": "30m"}
PRINT_JOB = "import os; print(os.environ.get('SLURM_JOB_ID'), os.environ.get('SLURM_JOB_PARTITION'))"
POD_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")

PARTS = ("hub", "proxy", "apiserver", "scheduler", "kubelet", "padova", "padova-plugin", "slurm")


def server_jobs(testbed: Testbed) -> dict[str, str]:
    """Return the jobs that are servers: job id -> uid of its pod."""
    lines = testbed.slurm("squeue", "-h", "-t", "PD,R", "-o", "%A %j").splitlines()
    found = dict(line.split() for line in lines)
    return {job: name for job, name in found.items() if POD_UID.fullmatch(name)}


def pods(testbed: Testbed) -> list[str]:
    """Return the uids of all servers' pods."""
    return [pod["metadata"]["uid"] for pod in testbed.cluster.pods("rayster")]


def kill_and_start(testbed: Testbed, *names: str) -> None:
    """Kill parts as a crash does, start them again, and wait until they are of use."""
    for name in names:
        testbed.parts[name].kill(signal.SIGKILL)
    for name in names:
        testbed.parts[name].start()
    for name in names:
        testbed.parts[name].wait_ready()


def started_job(testbed: Testbed) -> str:
    """Wait until there is one job that is a server, and return its id."""
    (job,) = wait_for(lambda: server_jobs(testbed), "the job is submitted", 30)
    return job


def has_just(testbed: Testbed, job: str, pod: str) -> bool:
    """Whether that job and that pod are there, and no others. The batch system may be coming back."""
    return wait_for(lambda: server_jobs(testbed), "squeue answers with jobs", 20) == {job: pod} and pods(
        testbed
    ) == [pod]


@pytest.fixture
def ada(testbed: Testbed) -> Iterator[HubUser]:
    """A user of every site, logged in; nothing of hers is left afterwards."""
    person = HubUser(testbed, "ada")
    yield person
    for part in testbed.parts.values():
        if not part.is_alive:
            part.start()
            part.wait_ready()
    server = person.server()
    if server.model() is not None:
        server.stop()
    wait_for(lambda: not pods(testbed), "all pods are gone")
    for job in jobs(testbed):
        testbed.slurm("scancel", job)
    wait_for(lambda: not jobs(testbed), "all jobs are gone")


@pytest.mark.parametrize("part", PARTS)
def test_queued_server_survives(ada, full_padova, part):
    testbed, server = ada.testbed, ada.server()
    assert server.spawn(PADOVA).status_code in (201, 202)
    job = started_job(testbed)
    (pod,) = pods(testbed)
    server.told("ueued", 40)
    kill_and_start(testbed, part)
    assert server.pending == "spawn"
    assert server.told("ueued", 40)["job_id"] == job
    assert has_just(testbed, job, pod)
    testbed.slurm("scancel", full_padova[0])
    server.wait_ready()
    assert server.run(PRINT_JOB).split() == [job, "padova"]
    assert has_just(testbed, job, pod)
    server.stop()
    wait_for(lambda: not server_jobs(testbed), "the job is gone")


@pytest.mark.parametrize("part", PARTS)
def test_running_server_survives(ada, part):
    testbed, server = ada.testbed, ada.server()
    assert server.spawn(PADOVA).status_code in (201, 202)
    server.wait_ready()
    job = started_job(testbed)
    (pod,) = pods(testbed)
    kernel = server.kernel()
    kernel.run("x = 41")
    kill_and_start(testbed, part)
    wait_for(server.answers, "the server answers through the proxy", 20)
    assert kernel.run("print(x + 1)") == "42"
    wait_for(server.is_ready, "the hub says that it is ready", 20)
    assert HubUser(testbed, "ada").server().run(PRINT_JOB).split() == [job, "padova"]
    assert has_just(testbed, job, pod)
    server.stop()
    wait_for(lambda: not server_jobs(testbed), "the job is gone")
