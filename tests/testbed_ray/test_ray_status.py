"""The status that the operator works out of pods, and what makes it replace one."""

from __future__ import annotations

import pytest

from rayster_testbed.ray_operator.expectations import Expectations
from rayster_testbed.ray_operator.keeper import free_indices, hash_of, reason_to_delete
from rayster_testbed.ray_operator.services import head_service
from rayster_testbed.ray_operator.status import desired_replicas, differs, head_condition, status_of

BEFORE, NOW = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def pod(node_type="worker", phase="Running", ready="True", **status):
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    return {
        "metadata": {"name": f"rc-{node_type}-x", "labels": {"ray.io/node-type": node_type}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "ray"}]},
        "status": {"phase": phase, "podIP": "127.9.0.5", "conditions": conditions, **status},
    }


HEAD = pod("head")


@pytest.fixture
def cluster(ray_cluster):
    """A cluster with one worker wanted and no status."""
    made = ray_cluster(replicas=1)
    made["metadata"] |= {"namespace": "lab", "uid": "u", "generation": 4}
    return made


def conditions(status):
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def after(cluster, pods, **more):
    """The status, put into the cluster as well."""
    cluster["status"] = status_of(cluster, pods, head_service(cluster), NOW, **more)
    return cluster["status"]


def test_a_new_cluster(cluster):
    assert after(cluster, []) | {"conditions": []} == {
        "conditions": [],
        "desiredWorkerReplicas": 1,
        "maxWorkerReplicas": 4,
        "desiredCPU": "2",
        "desiredMemory": "4Gi",
        "desiredGPU": "0",
        "desiredTPU": "0",
        "observedGeneration": 4,
        "head": {"serviceName": "rc-head-svc"},
        "endpoints": {
            "client": "10001",
            "dashboard": "8265",
            "gcs-server": "6379",
            "metrics": "8080",
            "serve": "8000",
        },
        "lastUpdateTime": NOW,
    }
    assert conditions(cluster["status"]) == {
        "HeadPodReady": ("False", "HeadPodNotFound"),
        "RayClusterProvisioned": ("False", "RayClusterPodsProvisioning"),
        "RayClusterSuspending": ("False", "RayClusterSuspending"),
        "RayClusterSuspended": ("False", "RayClusterSuspended"),
    }


@pytest.mark.parametrize(
    ("pods", "state"),
    [
        pytest.param([HEAD, pod()], "ready", id="all run"),
        pytest.param([HEAD, pod(ready=None)], "ready", id="nothing said of readiness"),
        pytest.param([HEAD, pod(ready="False")], None, id="one is not ready"),
        pytest.param([HEAD, pod(phase="Pending", ready=None)], None, id="one waits"),
        pytest.param([HEAD], None, id="one is missing"),
        pytest.param([HEAD, pod(), pod()], None, id="one too many"),
    ],
)
def test_when_a_cluster_becomes_ready(cluster, pods, state):
    assert after(cluster, pods).get("state") == state


def test_provisioned_is_said_as_soon_as_all_that_are_there_run(cluster):
    status = after(cluster, [HEAD])
    assert conditions(status)["RayClusterProvisioned"] == ("True", "AllPodRunningAndReadyFirstTime")
    assert "state" not in status


def test_ready_is_for_ever(cluster):
    after(cluster, [HEAD, pod()])
    status = after(cluster, [])
    assert status["state"] == "ready"
    assert conditions(status)["RayClusterProvisioned"][0] == "True"
    assert conditions(status)["HeadPodReady"] == ("False", "HeadPodNotFound")
    assert "readyWorkerReplicas" not in status


def test_not_ready_while_something_is_unfinished(cluster):
    assert "state" not in after(cluster, [HEAD, pod()], trouble=True)


def test_pods_that_are_being_deleted_count_still(cluster):
    ending = pod()
    ending["metadata"]["deletionTimestamp"] = BEFORE
    status = after(cluster, [HEAD, ending])
    assert (status["availableWorkerReplicas"], status["readyWorkerReplicas"]) == (1, 1)


def test_ready_asks_for_more_than_available(cluster):
    status = after(cluster, [HEAD, pod(ready=None)])
    assert status["availableWorkerReplicas"] == 1
    assert "readyWorkerReplicas" not in status


def test_suspending_goes_on_until_no_pod_is_left(cluster):
    after(cluster, [HEAD, pod()])
    cluster["spec"]["suspend"] = True
    assert conditions(after(cluster, [HEAD]))["RayClusterSuspending"][0] == "True"
    cluster["spec"]["suspend"] = False  # too late: it is finished first
    assert conditions(after(cluster, [HEAD]))["RayClusterSuspending"][0] == "True"
    said = conditions(after(cluster, []))
    assert (said["RayClusterSuspending"][0], said["RayClusterSuspended"][0]) == ("False", "True")
    assert said["RayClusterProvisioned"][0] == "False"
    assert conditions(after(cluster, []))["RayClusterSuspended"][0] == "False"


def test_a_failure_is_said_until_all_went_well(cluster):
    failure = ("FailedCreateWorkerPod", "exceeded quota")
    said = conditions(after(cluster, [], trouble=True, failure=failure))
    assert said["ReplicaFailure"] == ("True", "FailedCreateWorkerPod")
    assert "ReplicaFailure" in conditions(after(cluster, [], trouble=True))
    assert "ReplicaFailure" not in conditions(after(cluster, []))


def test_the_time_of_a_condition_is_that_of_its_change(cluster):
    cluster["status"] = status_of(cluster, [HEAD, pod(phase="Pending", ready=None)], None, BEFORE)
    status = after(cluster, [HEAD, pod()])
    times = {c["type"]: c["lastTransitionTime"] for c in status["conditions"]}
    assert (times["HeadPodReady"], times["RayClusterProvisioned"]) == (BEFORE, NOW)
    assert status["stateTransitionTimes"] == {"ready": NOW}


def test_amounts_and_times_alone_are_not_written(cluster):
    old = after(cluster, [HEAD, pod()])
    assert not differs(old, {**old, "lastUpdateTime": "later", "observedGeneration": 9, "desiredCPU": "9"})
    assert differs(old, {**old, "desiredWorkerReplicas": 9})


@pytest.mark.parametrize(
    ("head", "said"),
    [
        pytest.param(pod("head"), ("True", "HeadPodRunningAndReady", ""), id="ready"),
        pytest.param(pod("head", ready=None), ("False", "Unknown", ""), id="nothing said"),
        pytest.param(
            pod(
                "head",
                conditions=[
                    {
                        "type": "Ready",
                        "status": "False",
                        "reason": "ContainersNotReady",
                        "message": "not ready: [ray]",
                    }
                ],
                containerStatuses=[
                    {"name": "ray", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
                ],
            ),
            ("False", "ErrImagePull", "not ready: [ray]; ray: no"),
            id="why its container is not",
        ),
    ],
)
def test_what_is_said_of_the_head(head, said):
    condition = head_condition(head)
    assert (condition["status"], condition["reason"], condition["message"]) == said


@pytest.mark.parametrize(
    ("group", "count"),
    [
        pytest.param({"replicas": 3, "minReplicas": 0, "maxReplicas": 8}, 3, id="within"),
        pytest.param({"replicas": 9, "minReplicas": 0, "maxReplicas": 8}, 8, id="above"),
        pytest.param({"replicas": 0, "minReplicas": 2, "maxReplicas": 8}, 2, id="below"),
        pytest.param({"replicas": 3, "minReplicas": 2, "maxReplicas": 8, "suspend": True}, 0, id="suspended"),
    ],
)
def test_desired_replicas(group, count):
    assert desired_replicas(group) == count


ENDED = [{"name": "ray", "state": {"terminated": {"exitCode": 1}}}]


@pytest.mark.parametrize(
    ("pod", "goes"),
    [
        pytest.param(pod(phase="Failed"), True, id="failed"),
        pytest.param(pod(phase="Succeeded"), True, id="succeeded"),
        pytest.param(pod(), False, id="runs"),
        pytest.param(pod(phase="Pending"), False, id="waits"),
        pytest.param(pod(containerStatuses=ENDED), True, id="ray has ended beside another container"),
        pytest.param(
            pod(containerStatuses=[{**ENDED[0], "name": "sidecar"}]), False, id="the other has ended"
        ),
        pytest.param(
            {**pod(containerStatuses=ENDED), "spec": {"restartPolicy": "Always"}}, False, id="starts again"
        ),
    ],
)
def test_which_pod_is_replaced(pod, goes):
    assert (reason_to_delete(pod) is not None) == goes


def test_free_numbers_are_the_lowest():
    taken = [{"metadata": {"labels": {"ray.io/worker-group-replica-index": n}}} for n in ("0", "2")]
    assert free_indices(taken, 3) == [1, 3, 4]
    assert free_indices(taken, 0) == free_indices(taken, -1) == []


def test_a_hash_is_another_only_for_what_needs_other_pods(cluster):
    first = hash_of(cluster["spec"])
    group = cluster["spec"]["workerGroupSpecs"][0]
    group |= {"replicas": 3, "maxReplicas": 9, "scaleStrategy": {"workersToDelete": ["x"]}}
    group["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
    assert hash_of(cluster["spec"]) == first
    group["template"]["spec"]["containers"][0]["image"] = "other"
    assert hash_of(cluster["spec"]) != first


CLUSTER, POD = ("lab", "rc"), ("lab", "p")


def test_a_group_waits_until_what_was_done_is_seen():
    pods: set = set()
    expectations = Expectations(pods)
    expectations.expect(CLUSTER, "w", POD, "create")
    assert not expectations.met(CLUSTER, "w")
    assert expectations.met(CLUSTER, "other")
    pods.add(POD)
    assert expectations.met(CLUSTER, "w")
    expectations.expect(CLUSTER, "w", POD, "delete")
    assert not expectations.met(CLUSTER, "w")
    pods.clear()
    assert expectations.met(CLUSTER, "w")


def test_a_pod_that_is_never_seen_is_waited_for_half_a_minute_but_one_that_does_not_end_for_ever():
    now = [0.0]
    pods = {POD}
    expectations = Expectations(pods, lambda: now[0])
    expectations.expect(CLUSTER, "w", ("lab", "unseen"), "create")
    expectations.expect(CLUSTER, "v", POD, "delete")
    now[0] = 31
    assert expectations.met(CLUSTER, "w")
    now[0] = 10000
    assert not expectations.met(CLUSTER, "v")
    expectations.forget(CLUSTER)
    assert expectations.met(CLUSTER, "v")
