"""A Ray cluster from a notebook in the cloud: workers in SLURM jobs, the kernel as driver, and nobody else's business."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from rayster_testbed.testbed import Testbed

from .clusters import JOINED_SECONDS, ServiceUser, nothing_is_left, printed, ray_processes, start, worker_jobs
from .hub_client import HubUser, Kernel, wait_for

pytestmark = pytest.mark.timeout(500)

CLOUD = {"profile": "cloud", "cpu": 1, "memory": "2Gi"}
MAKE = """
import os, time, ray
from rayster_lab import RayCluster
cluster = RayCluster(profile="padova-direct", workers=2, cpus=1, memory="1Gi", walltime="30m")
print("CLUSTER", cluster.id)
cluster.wait(workers=2, timeout=240)
cluster.attach()
"""
# Every worker has one core, so tasks that are under way at the same time are on different ones.
JOBS = """
@ray.remote(num_cpus=1)
def where():
    time.sleep(2)
    return os.environ.get("SLURM_JOB_ID")
print("JOBS", *sorted(set(ray.get([where.remote() for _ in range({count})], timeout=120))))
"""
DIAL = """
import json, os, subprocess, sys
from rayster_lab.attachment import AttachTarget, TokenRefused, attach
try:
    attach(AttachTarget(cluster={cluster!r}, network="direct", token="a-guess", address={address!r}))
except TokenRefused as error:
    print("REFUSED", error)
"""


@pytest.fixture(scope="module")
def ada(testbed: Testbed) -> Iterator[HubUser]:
    """A user of Padova; all of hers is gone afterwards."""
    person = HubUser(testbed, "ada")
    yield person
    if person.server().model() is not None:
        person.server().stop()
    nothing_is_left(testbed)


@pytest.fixture(scope="module")
def kernel(ada: HubUser) -> Kernel:
    """The kernel of a notebook in the cloud."""
    return start(ada, CLOUD)


@pytest.fixture(scope="module")
def cluster(kernel: Kernel) -> str:
    """A cluster with two workers at Padova, which the kernel drives."""
    (name,) = printed(kernel.run(MAKE, JOINED_SECONDS), "CLUSTER")
    return name


def states(view: dict[str, Any]) -> list[str]:
    return sorted(row["state"] for row in view["workers"])


def view_pods(view: dict[str, Any]) -> list[str]:
    return [row["pod"] for row in view["workers"]]


def test_tasks_run_in_the_workers_slurm_jobs(testbed, kernel, cluster):
    assert printed(kernel.run(JOBS.format(count=2), 120), "JOBS") == sorted(worker_jobs(testbed, cluster))


def test_nobody_else_sees_stops_or_dials_it(testbed, kernel, cluster, ada):
    mine, bruno = ServiceUser(ada), HubUser(testbed, "bruno")
    other = ServiceUser(bruno)
    assert [one["id"] for one in mine.ask("GET", "/clusters").json()["clusters"]] == [cluster]
    assert other.ask("GET", "/clusters").json()["clusters"] == []
    unknown = other.ask("GET", "/clusters/ray-0000000000")
    assert unknown.status_code == 404
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/restart"),
        ("GET", "/attach"),
        ("GET", "/events"),
        ("GET", "/logs"),
        ("GET", "/dashboard/api/version"),
    ):
        answer = other.ask(
            method, f"/clusters/{cluster}{path}", {"workers": 0} if method == "PATCH" else None
        )
        assert answer.status_code == 404, (method, path, answer.text)
    attach = mine.ask("GET", f"/clusters/{cluster}/attach").json()
    assert attach["token"] not in mine.ask("GET", f"/clusters/{cluster}").text
    # He knows where it is; Ray does not let him in.
    theirs = start(bruno, {**CLOUD, "memory": "1Gi"})
    assert printed(theirs.run(DIAL.format(cluster=cluster, address=attach["address"]), 90), "REFUSED")
    bruno.server().stop()
    assert states(mine.view(cluster)) == ["joined", "joined"]


def test_more_workers_join_and_one_that_is_cancelled_at_the_site_is_told_and_replaced(
    testbed, kernel, cluster, ada
):
    mine = ServiceUser(ada)
    kernel.run("cluster.scale(3); cluster.wait(workers=3, timeout=200)", 220)
    before = worker_jobs(testbed, cluster)
    assert len(before) == 3
    assert printed(kernel.run(JOBS.format(count=3), 120), "JOBS") == sorted(before)

    victim = sorted(before)[0]
    testbed.slurm("scancel", victim)
    # The pod may be gone before the site has said why: the row says it as soon as it has.
    wait_for(
        lambda: [
            row
            for row in mine.view(cluster)["ended"]
            if row["job_id"] == victim and row["state"] == "lost" and "cancelled at the site" in row["reason"]
        ],
        "the row of the cancelled job says so",
        180,
    )
    wait_for(
        lambda: states(mine.view(cluster)) == ["joined"] * 3, "three workers are there again", JOINED_SECONDS
    )
    after = worker_jobs(testbed, cluster)
    assert victim not in after and len(after) == 3
    assert printed(kernel.run(JOBS.format(count=3), 120), "JOBS") == sorted(after)


def test_service_killed_meanwhile_loses_nothing(testbed, kernel, cluster, ada):
    before = worker_jobs(testbed, cluster)
    testbed.parts["service"].kill()
    kernel.run("assert ray.get(where.remote(), timeout=60)", 90)
    testbed.parts["service"].start()
    testbed.parts["service"].wait_ready()
    mine = ServiceUser(ada)
    wait_for(lambda: states(mine.view(cluster)) == ["joined"] * 3, "the service knows the workers again", 60)
    assert worker_jobs(testbed, cluster) == before


def test_lost_head_is_told_and_after_it_workers_join_and_the_same_kernel_attaches_again(
    testbed, kernel, cluster, ada
):
    mine = ServiceUser(ada)
    lost = set(view_pods(mine.view(cluster)))
    (head,) = [pod for pod in ray_processes(testbed) if "gcs_server" in pod.command]
    os.kill(head.pid, signal.SIGKILL)
    told = wait_for(
        lambda: [one for one in mine.view(cluster)["problems"] if one["code"] == "head-lost"],
        "the head is said to be lost",
        60,
    )
    assert "Attach again" in told[0]["do"]
    # Its workers end with it, which is no failure of theirs: none is given up.
    wait_for(
        lambda: (
            ((view := mine.view(cluster))["head"] or {}).get("state") == "joined"
            and states(view) == ["joined"] * 3
            and not set(view_pods(view)) & lost
        ),
        "three workers of the new head",
        JOINED_SECONDS,
    )
    kernel.run("cluster.attach()", 120)
    assert printed(kernel.run(JOBS.format(count=3), 120), "JOBS") == sorted(worker_jobs(testbed, cluster))


def test_nothing_is_left_when_the_server_stops(testbed, kernel, cluster, ada):
    ada.server().stop()
    nothing_is_left(testbed)
