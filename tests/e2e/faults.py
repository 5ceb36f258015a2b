"""What tests that break the testbed share: kill and start parts, and see which jobs and pods there are."""

import contextlib
import re
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

from rayster_testbed import kube
from rayster_testbed.testbed import Testbed

from .hub_client import PADOVA, Server, wait_for

POD_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def server_jobs(testbed: Testbed, states: str = "PD,CF,R", partition: str | None = None) -> dict[str, str]:
    """Return the jobs that are servers: job id -> uid of its pod."""
    where = ["-p", partition] if partition else []
    lines = testbed.slurm("squeue", "-h", "-t", states, "-o", "%A %j", *where).splitlines()
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


def start_all(testbed: Testbed) -> None:
    """Start every part that does not run."""
    for part in testbed.parts.values():
        if not part.is_alive:
            part.start()
            part.wait_ready()


def submitted(server: Server, options: dict | None = None) -> dict[str, str]:
    """Ask for a server at Padova; return its job with the uid of its pod, as soon as there is one."""
    testbed = server.user.testbed
    before = server_jobs(testbed)
    answer = server.spawn(options or PADOVA)
    assert answer.status_code in (201, 202), answer.text

    def new_jobs() -> dict[str, str]:
        return {job: uid for job, uid in server_jobs(testbed).items() if job not in before}

    return wait_for(new_jobs, "the job is submitted", 30)


def stays(testbed: Testbed, job: dict[str, str], after: str) -> None:
    """Fail unless that job and its pod are there and no others."""
    assert wait_for(lambda: server_jobs(testbed), f"squeue has servers after {after}", 20) == job, after
    assert pods(testbed) == list(job.values()), after


def tainted_ago(testbed: Testbed, node: str, seconds: float) -> None:
    """Let the node's NoExecute taints have come so long ago: what a pod tolerates of them counts from then."""
    taints = testbed.cluster.node(node)["spec"]["taints"]
    came_at = f"{datetime.now(timezone.utc) - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
    taints = [
        {**taint, "timeAdded": came_at} if taint["effect"] == "NoExecute" else taint for taint in taints
    ]
    testbed.cluster.call(
        lambda client: client.merge(kube.path("nodes", name=node), {"spec": {"taints": taints}})
    )


@contextlib.contextmanager
def pod_of_default_patience(testbed: Testbed, node: str) -> Iterator[Callable[[], bool]]:
    """A pod on a node that is not there for it, with the tolerations that Kubernetes gives; yields whether it must go."""
    where = kube.path("pods", "default", "impatient")
    container = {"name": "main", "image": "none", "command": ["true"]}
    pod = {"metadata": {"name": "impatient"}, "spec": {"nodeName": node, "containers": [container]}}

    def is_evicted() -> bool:
        found = testbed.cluster.call(lambda client: client.find(where))
        return found is None or "deletionTimestamp" in found["metadata"]

    testbed.cluster.call(lambda client: client.create(kube.path("pods", "default"), pod))
    try:
        assert not is_evicted()
        yield is_evicted
    finally:
        if testbed.cluster.call(lambda client: client.find(where)) is not None:
            testbed.cluster.call(lambda client: client.delete(where, grace_seconds=0))
