"""What a user sees of a pod, by tables: every status that a virtual node was seen to give, and gaps."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_spawner.life.endings import EndCode
from rayster_spawner.life.pod_status import State, view_pod

SUBMITTED = {
    "waiting": {
        "reason": "Remote pod submitted",
        "message": "The pod has been submitted to the remote plugin",
    }
}


def pod(phase=None, *, job=None, state=None, ready=False, node=None, **status):
    """Return a pod as the API server sends it."""
    metadata = {"name": "p", "uid": "u", "annotations": {"JobID": job} if job else {}}
    if phase:
        status["phase"] = phase
    if state is not None:
        status["containerStatuses"] = [{"name": "notebook", "ready": ready, "state": state}]
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


RUNNING = {"running": {"startedAt": "2026-11-21T00:00:00Z"}}
UNSCHEDULED = [
    {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient cpu."}
]

OFFLOADED = {
    "not there yet": (None, State.SUBMITTED, ""),
    "no status at all": ({"metadata": {"name": "p"}}, State.SUBMITTED, ""),
    "scheduled, virtual node away": (pod("Pending", node="padova"), State.SUBMITTED, ""),
    "not scheduled": (
        pod("Pending", conditions=UNSCHEDULED),
        State.SUBMITTED,
        "0/3 nodes are available: 3 Insufficient cpu.",
    ),
    "submitted": (pod("Pending", job="42", state=SUBMITTED, podIP="127.0.0.1"), State.QUEUED, ""),
    "queued, refreshed": (pod("Pending", job="42", state={"waiting": {}}), State.QUEUED, ""),
    "waiting for volumes": (pod("Initializing", job="42"), State.QUEUED, ""),
    "unknown phase": (pod("Unknown", job="42"), State.QUEUED, ""),
    "running": (pod("Running", job="42", state=RUNNING, ready=True, podIP="127.0.0.1"), State.RUNNING, ""),
    "running, no address (K9)": (pod("Running", job="42", state=RUNNING, ready=True), State.STARTING, ""),
    "running, no containers (K9)": (pod("Running", job="42", podIP="127.0.0.1"), State.STARTING, ""),
    "running, empty containers (K9)": (
        pod("Running", podIP="1.2.3.4", containerStatuses=[]),
        State.STARTING,
        "",
    ),
    "configuring": (pod("Succeeded", job="42", reason="Completed"), State.ENDED, ""),
    "walltime": (
        pod(
            "Failed",
            job="42",
            reason="Error: 8",
            message="SLURM job reached its time limit and was terminated",
        ),
        State.FAILED,
        "The job reached its time limit.",
    ),
    "its node was lost while it queued": (
        pod("Pending", job="42", reason="NodeLost", conditions=[{"type": "Ready", "status": "False"}]),
        State.QUEUED,
        "",
    ),
    "its node was lost while it ran": (
        pod("Running", job="42", state=RUNNING, podIP="127.0.0.1", reason="NodeLost"),
        State.STARTING,
        "",
    ),
    "exit": (pod("Failed", job="42", reason="Error: 3"), State.FAILED, "The job ended with exit status 3."),
    "failed without a word": (pod("Failed"), State.FAILED, "The pod failed and does not say why."),
}
CLOUD = {
    "not scheduled": (
        pod("Pending", conditions=UNSCHEDULED),
        State.SUBMITTED,
        "0/3 nodes are available: 3 Insufficient cpu.",
    ),
    "creating": (
        pod("Pending", node="c", state={"waiting": {"reason": "ContainerCreating"}}),
        State.STARTING,
        "",
    ),
    "image cannot be pulled": (
        pod(
            "Pending",
            node="c",
            state={"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}},
        ),
        State.STARTING,
        "ImagePullBackOff: Back-off pulling image",
    ),
    "out of memory": (
        pod(
            "Running",
            node="c",
            state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            podIP="1.2.3.4",
        ),
        State.FAILED,
        "The server ran out of memory.",
    ),
    "ended by its user": (
        pod("Running", state={"terminated": {"exitCode": 0, "reason": "Completed"}}, podIP="1.2.3.4"),
        State.ENDED,
        "",
    ),
    "evicted": (
        pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
        State.FAILED,
        "Evicted: The node was low on resource: memory.",
    ),
}


ENDS = {
    "walltime": (
        pod("Failed", message="SLURM job reached its time limit and was terminated"),
        EndCode.WALLTIME,
    ),
    "deadline": (
        pod("Failed", reason="DeadlineExceeded", message="Pod was active too long"),
        EndCode.WALLTIME,
    ),
    "out of memory": (
        pod("Running", state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
        EndCode.OUT_OF_MEMORY,
    ),
    "node shut down": (pod("Failed", reason="NodeShutdown"), EndCode.NODE_FAILED),
    "refused": (pod("Failed", reason="ProviderFailed"), EndCode.START_FAILED),
    "exit": (pod("Failed", reason="Error: 3"), EndCode.FAILED),
    "complete": (pod("Succeeded"), EndCode.COMPLETED),
    "running": (pod("Running", job="42"), None),
}


@pytest.mark.parametrize(("given_pod", "end"), ENDS.values(), ids=ENDS)
def test_how_it_ended(given_pod, end):
    assert view_pod(given_pod, offloaded=True).end is end


@pytest.mark.parametrize(("given_pod", "state", "reason"), OFFLOADED.values(), ids=OFFLOADED)
def test_pod_of_a_virtual_node(given_pod, state, reason):
    view = view_pod(given_pod, offloaded=True)
    assert (view.state, view.reason) == (state, reason)


@pytest.mark.parametrize(("given_pod", "state", "reason"), CLOUD.values(), ids=CLOUD)
def test_pod_of_a_cloud_node(given_pod, state, reason):
    view = view_pod(given_pod, offloaded=False)
    assert (view.state, view.reason) == (state, reason)


def test_deleted_pod_is_deleted_whatever_its_phase():
    deleted = pod("Running", job="42", state=RUNNING, ready=True, podIP="1.2.3.4")
    deleted["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
    assert view_pod(deleted, offloaded=True).state is State.DELETED


@pytest.mark.parametrize(("code", "exit_code"), [(0, 0), (3, 3), (137, 137)])
def test_exit_code_is_that_of_the_notebook(code, exit_code):
    ended = pod("Running", state={"terminated": {"exitCode": code}})
    sidecar = {"name": "sidecar", "ready": True, "state": {"terminated": {"exitCode": 99}}}
    ended["status"]["containerStatuses"].insert(0, sidecar)
    assert view_pod(ended, offloaded=False).exit_code == exit_code


FULL = pod(
    "Running",
    job="42",
    node="padova",
    state={**RUNNING, "waiting": {"reason": "r", "message": "m"}},
    ready=True,
    podIP="1.2.3.4",
    reason="x",
    message="y",
    conditions=UNSCHEDULED + UNSCHEDULED,
)


@given(
    phase=st.sampled_from(["Pending", "Running", "Unknown", "Initializing", "Succeeded", "Failed", None]),
    gone=st.sets(st.sampled_from(["podIP", "containerStatuses", "conditions", "reason", "message"])),
    blank=st.sampled_from(["none", "null", "empty"]),
    offloaded=st.booleans(),
)
def test_no_gap_raises_or_counts_as_ended(phase, gone, blank, offloaded):
    gappy = copy.deepcopy(FULL)
    gappy["status"]["phase"] = phase
    for key in gone:
        if blank == "none":
            del gappy["status"][key]
        else:
            gappy["status"][key] = None if blank == "null" else type(FULL["status"][key])()
    view = view_pod(gappy, offloaded=offloaded)
    assert view.is_over == (phase in ("Succeeded", "Failed"))
