"""A Ray cluster from the notebook: workers in real SLURM jobs, the kernel as their driver, nothing left behind."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from rayster_testbed.testbed import Testbed

from .faults import server_jobs
from .hub_client import ASK_SECONDS, PADOVA, HubUser, Kernel, wait_for

pytestmark = pytest.mark.timeout(400)

CLOUD = {"profile": "cloud", "cpu": 1, "memory": "2Gi"}
START = """
from rayster_lab import RayCluster
cluster = RayCluster(profile={profile!r}, workers=2, cpus=1, memory="1Gi", walltime="30m")
cluster.wait(workers=2, timeout=240)
cluster.attach()
import os, ray
@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def where():
    import time
    time.sleep(0.5)
    return os.environ.get("SLURM_JOB_ID")
def jobs(count):
    return sorted(set(ray.get([where.remote() for _ in range(4 * count)], timeout=120)))
print("CLUSTER", cluster.id)
print("JOBS", *jobs(2))
"""


def printed(output: str, word: str) -> list[str]:
    """Return the words after ``word`` in what a kernel printed."""
    found = re.search(rf"^{word} ?(.*)$", output, re.MULTILINE)
    assert found, output
    return found[1].split()


def ray_clusters(testbed: Testbed) -> dict[str, Any]:
    """Return all RayClusters by name."""
    path = "/apis/ray.io/v1/namespaces/rayster/rayclusters"
    return {one["metadata"]["name"]: one for one in testbed.cluster.call(lambda api: api.get(path))["items"]}


def worker_jobs(testbed: Testbed, cluster: str) -> dict[str, str]:
    """Return the jobs of a cluster's workers: job id -> name of the pod."""
    pods = {
        pod["metadata"]["uid"]: pod["metadata"]["name"]
        for pod in testbed.cluster.pods("rayster")
        if pod["metadata"]["labels"].get("ray.io/cluster") == cluster
        and pod["metadata"]["labels"].get("ray.io/node-type") == "worker"
    }
    return {job: pods[uid] for job, uid in server_jobs(testbed).items() if uid in pods}


def ray_processes(testbed: Testbed) -> list[str]:
    """Return the command lines of all Ray processes that belong to this testbed."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if ("raylet" in command or "gcs_server" in command) and str(
            testbed.layout.root
        ).encode() in environment:
            found.append(command[:120])
    return found


@pytest.fixture
def people(testbed: Testbed) -> Iterator[dict[str, HubUser]]:
    """Two users of Padova; whatever they have is gone afterwards."""
    people = {name: HubUser(testbed, name) for name in ("ada", "bruno")}
    yield people
    for person in people.values():
        for name in person.ask("GET", f"/users/{person.name}").json()["servers"]:
            person.server(name).stop()
    wait_for(lambda: not testbed.cluster.pods("rayster"), "all pods are gone")


def start(person: HubUser, options: dict[str, Any]) -> Kernel:
    """Start a server and a kernel in it."""
    server = person.server()
    assert server.spawn(options).status_code in (201, 202)
    server.wait_ready()
    return server.kernel()


def test_notebook_at_the_site_drives_workers_in_slurm_jobs(testbed, people):
    kernel = start(people["ada"], PADOVA)
    output = kernel.run(START.format(profile="padova-slurm"), 300)
    (cluster,) = printed(output, "CLUSTER")
    workers = worker_jobs(testbed, cluster)
    assert printed(output, "JOBS") == sorted(workers)
