"""A job that has outlived its pod, as the real parts leave some: the site's agent finds it by the service, and ends it."""

import json
import signal
from collections.abc import Iterator

import pytest

from rayster_testbed import kube
from rayster_testbed.testbed import Testbed

from .conftest import jobs
from .faults import pods, server_jobs, start_all, submitted
from .hub_client import HubUser, wait_for

pytestmark = pytest.mark.timeout(240)

LIGHT = {"profile": "light", "cpu": 1, "memory": "512Mi"}


@pytest.fixture
def ada(testbed: Testbed) -> Iterator[HubUser]:
    """A user, logged in; nothing of hers is left afterwards."""
    person = HubUser(testbed, "ada")
    yield person
    start_all(testbed)
    for name in person.ask("GET", "/users/ada").json()["servers"]:
        person.server(name).stop()
    for job in jobs(testbed):
        testbed.slurm("scancel", job)
    wait_for(lambda: not pods(testbed) and not jobs(testbed), "all pods and jobs are gone")


def has_seen(testbed: Testbed, pod_uid: str) -> bool:
    """Whether Padova's agent keeps in mind that the pod has lived."""
    file = testbed.layout.data("padova-agent") / "padova.json"
    return file.exists() and pod_uid in str(json.loads(file.read_text()).get("seen_live"))


def test_job_whose_pod_is_gone_is_cancelled_by_the_agent_and_no_other(ada):
    testbed = ada.testbed
    # Two of three stay: an answer that lists only half of the pods that there were is not believed.
    kept = submitted(ada.server("kept"), LIGHT) | submitted(ada.server("kept-too"), LIGHT)
    lost = submitted(ada.server("lost"), LIGHT)
    for name in ("kept", "kept-too", "lost"):
        ada.server(name).wait_ready()
    # A pod that the agent has never seen may be another cluster's.
    wait_for(lambda: has_seen(testbed, *lost.values()), "the agent knows that the pod has lived", 60)
    # With the plugin away nobody ends the job of a pod that is deleted for good.
    testbed.parts["padova-plugin"].kill(signal.SIGKILL)
    (name,) = [
        pod["metadata"]["name"]
        for pod in testbed.cluster.pods("rayster")
        if pod["metadata"]["uid"] in lost.values()
    ]
    testbed.cluster.call(lambda api: api.delete(kube.path("pods", "rayster", name), grace_seconds=0))
    testbed.parts["padova-plugin"].start()
    testbed.parts["padova-plugin"].wait_ready()
    wait_for(lambda: server_jobs(testbed) == kept, "the agent has cancelled it", 90)
    assert sorted(pods(testbed)) == sorted(kept.values())
    assert ada.server("kept").is_ready() and ada.server("kept-too").is_ready()
