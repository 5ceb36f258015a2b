"""What end-to-end tests of Ray clusters share: what is there of one, in Kubernetes, in SLURM and as processes."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import requests

from rayster_testbed.testbed import Testbed

from .faults import server_jobs
from .hub_client import ASK_SECONDS, HubUser, Kernel, wait_for

CLUSTERS = "/apis/ray.io/v1/namespaces/rayster/rayclusters"
# Head, workers and the notebook's node start on the same two cores.
JOINED_SECONDS = 240


def start(person: HubUser, options: dict[str, Any]) -> Kernel:
    """Start a server and a kernel in it."""
    server = person.server()
    answer = server.spawn(options)
    assert answer.status_code in (201, 202), answer.text
    server.wait_ready()
    return server.kernel()


def printed(output: str, word: str) -> list[str]:
    """Return the words after ``word`` in what a kernel printed."""
    found = re.search(rf"^{word} ?(.*)$", output, re.MULTILINE)
    assert found, output
    return found[1].split()


def ray_clusters(testbed: Testbed) -> list[str]:
    """Return the names of all RayClusters."""
    return [one["metadata"]["name"] for one in testbed.cluster.call(lambda api: api.get(CLUSTERS))["items"]]


def worker_jobs(testbed: Testbed, cluster: str) -> dict[str, str]:
    """Return the jobs of a cluster's workers: job id -> name of the pod."""
    pods = {
        pod["metadata"]["uid"]: pod["metadata"]["name"]
        for pod in testbed.cluster.pods("rayster")
        if pod["metadata"]["labels"].get("ray.io/cluster") == cluster
        and pod["metadata"]["labels"].get("ray.io/node-type") == "worker"
    }
    return {job: pods[uid] for job, uid in server_jobs(testbed).items() if uid in pods}


class Process(NamedTuple):
    """A process of this machine."""

    pid: int
    command: str


def ray_processes(testbed: Testbed) -> list[Process]:
    """Return all processes of Ray that come from this testbed: the GCS of heads, the raylets of all nodes."""
    ours = str(testbed.layout.root).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if ("raylet" in command or "gcs_server" in command) and ours in (
                process / "environ"
            ).read_bytes():
                found.append(Process(int(process.name), command[:150]))
        except OSError:
            continue  # it has ended meanwhile
    return found


def nothing_is_left(testbed: Testbed) -> None:
    """Fail unless pods, jobs, clusters and Ray's processes are gone in time."""
    wait_for(lambda: not testbed.cluster.pods("rayster"), "all pods are gone")
    wait_for(lambda: not server_jobs(testbed, "PD,CF,R,CG"), "all jobs are gone")
    wait_for(lambda: not ray_clusters(testbed), "all RayClusters are gone")
    wait_for(lambda: not ray_processes(testbed), f"all of Ray is gone, but: {ray_processes(testbed)}", 30)


class ServiceUser:
    """Somebody who asks the service with a token of the hub, as a notebook does."""

    def __init__(self, person: HubUser):
        answer = person.ask("POST", f"/users/{person.name}/tokens", {"note": "end-to-end"})
        assert answer.status_code == 201, answer.text
        self.url = person.url("/services/rayster/api")
        self.headers = {"Authorization": f"token {answer.json()['token']}"}

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Send a request."""
        return requests.request(
            method, f"{self.url}{path}", json=body, headers=self.headers, timeout=ASK_SECONDS
        )

    def view(self, cluster: str) -> dict[str, Any]:
        """Return what is told of a cluster."""
        answer = self.ask("GET", f"/clusters/{cluster}")
        assert answer.ok, answer.text
        return answer.json()
