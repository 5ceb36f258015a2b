"""The operator as a process against the API server: clusters come, change and go."""

from __future__ import annotations

import asyncio
import base64

from rayster_testbed.kube import path


async def test_a_cluster_gets_its_service_and_its_pods_at_once(lab, ray_cluster):
    made = await lab.create(ray_cluster(replicas=2))
    (head,), workers = await lab.until_pods(1, "head"), await lab.until_pods(2, "worker")

    service = await lab.client.get(path("services", lab.namespace, "rc-head-svc"))
    assert service["spec"]["clusterIP"] == "None"
    owner = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "name": "rc",
        "uid": made["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    for obj in (service, head, *workers):
        assert obj["metadata"]["ownerReferences"] == [owner]
    assert head["metadata"]["name"].startswith("rc-head-")
    assert all(pod["metadata"]["name"].startswith("rc-w-worker-") for pod in workers)
    assert {pod["metadata"]["labels"]["ray.io/worker-group-replica-index"] for pod in workers} == {"0", "1"}


async def test_ready_once_all_run_and_ready_for_ever(lab, ray_cluster):
    await lab.create(ray_cluster(replicas=1))
    await lab.until_pods(2)

    async def provisioning():
        return (await lab.condition("HeadPodReady")).get("reason") == "Unknown"

    await lab.until(provisioning)
    assert "state" not in await lab.status()
    await lab.run_all()

    async def ready():
        status = await lab.status()
        return status if status.get("state") == "ready" else None

    status = await lab.until(ready)
    assert (status["desiredWorkerReplicas"], status["readyWorkerReplicas"]) == (1, 1)
    assert status["head"]["podIP"] == status["head"]["serviceIP"] == "127.9.0.5"
    assert status["endpoints"]["dashboard"] == "8265"
    assert (await lab.condition("HeadPodReady"))["reason"] == "HeadPodRunningAndReady"
    assert (await lab.condition("RayClusterProvisioned"))["status"] == "True"

    (worker,) = await lab.pods("worker")
    await lab.play(worker, "Failed")

    async def replaced():
        found = await lab.pods("worker")
        return found if found and found[0]["metadata"]["uid"] != worker["metadata"]["uid"] else None

    await lab.until(replaced)
    status = await lab.status()
    assert status["state"] == "ready"


async def test_a_pod_that_ends_is_replaced_again_and_again_without_delay(lab, ray_cluster):
    await lab.create(ray_cluster(replicas=1))
    seen: set[str] = set()
    for _ in range(4):

        async def another():
            return next((p for p in await lab.pods("worker") if p["metadata"]["uid"] not in seen), None)

        pod = await lab.until(another, seconds=5)
        seen.add(pod["metadata"]["uid"])
        await lab.play(pod, "Failed")


async def test_a_head_that_ends_is_replaced(lab, ray_cluster):
    await lab.create(ray_cluster(replicas=0))
    (head,) = await lab.until_pods(1, "head")
    await lab.play(head, "Failed")

    async def replaced():
        found = await lab.pods("head")
        return found and found[0]["metadata"]["uid"] != head["metadata"]["uid"]

    await lab.until(replaced)


async def test_the_named_worker_goes_and_no_other(lab, ray_cluster):
    await lab.create(ray_cluster(replicas=3))
    workers = await lab.until_pods(3, "worker")
    victim = workers[1]["metadata"]["name"]

    await lab.scale(2, victim)

    left = await lab.until_pods(2, "worker")
    assert victim not in {pod["metadata"]["name"] for pod in left}
    # Not replaced, and the list stays as it is.
    await asyncio.sleep(0.3)
    assert len(await lab.pods("worker")) == 2
    assert (await lab.get())["spec"]["workerGroupSpecs"][0]["scaleStrategy"]["workersToDelete"] == [victim]


async def test_a_group_stands_still_while_one_of_its_pods_ends(lab, ray_cluster):
    await lab.create(ray_cluster(replicas=2))
    workers = await lab.until_pods(2, "worker")
    for pod in workers:
        await lab.bind(pod)
    await lab.scale(1, workers[0]["metadata"]["name"])

    async def ending():
        return any("deletionTimestamp" in pod["metadata"] for pod in await lab.pods("worker"))

    await lab.until(ending)
    await lab.scale(4)
    await asyncio.sleep(0.5)
    assert len(await lab.pods("worker")) == 2

    await lab.gone(workers[0])
    await lab.until_pods(4, "worker")


async def test_more_than_the_most_is_silently_the_most(lab, ray_cluster):
    await lab.create(ray_cluster(replicas=9))
    await lab.until_pods(4, "worker")
    assert (await lab.status())["desiredWorkerReplicas"] == 4


async def test_suspending_removes_all_pods_and_resuming_brings_them_back(lab, ray_cluster):
    await lab.create(ray_cluster(replicas=1))
    await lab.until_pods(2)
    await lab.run_all()
    await lab.patch({"suspend": True})
    await lab.until_pods(0)

    async def suspended():
        return (await lab.condition("RayClusterSuspended")).get("status") == "True"

    await lab.until(suspended)
    assert (await lab.status())["state"] == "suspended"
    assert (await lab.condition("RayClusterProvisioned"))["status"] == "False"

    await lab.patch({"suspend": False})
    await lab.until_pods(2)
    # Still said to be, until all run.
    assert (await lab.status())["state"] == "suspended"


async def test_a_token_is_made_when_there_is_none(lab, ray_cluster):
    await lab.create(ray_cluster(authOptions={"mode": "token"}))
    await lab.until_pods(3)
    secret = await lab.client.get(path("secrets", lab.namespace, "rc"))
    assert len(base64.b64decode(secret["data"]["auth_token"])) == 44
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "RayCluster"


async def test_a_token_that_somebody_made_before_is_taken(lab, ray_cluster):
    secret = {"metadata": {"name": "rc"}, "stringData": {"auth_token": "own"}}
    await lab.client.create(path("secrets", lab.namespace), secret)
    await lab.create(ray_cluster(authOptions={"mode": "token"}))
    (head, *_) = await lab.until_pods(3)
    kept = await lab.client.get(path("secrets", lab.namespace, "rc"))
    assert base64.b64decode(kept["data"]["auth_token"]) == b"own"
    env = {item["name"]: item for item in head["spec"]["containers"][0]["env"]}
    assert env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "rc", "key": "auth_token"}


async def test_a_spec_that_cannot_be_is_only_told_in_an_event(lab, ray_cluster):
    await lab.create(ray_cluster(rayVersion="2.51.0", authOptions={"mode": "token"}))
    (event,) = await lab.until(lab.events)
    assert event["reason"] == "InvalidRayClusterSpec"
    assert "minimum Ray version is 2.52.0" in event["message"]
    assert await lab.pods() == []
    assert await lab.status() == {}


async def test_what_another_controller_manages_is_left_alone(lab, ray_cluster):
    await lab.create(ray_cluster("theirs", managedBy="kueue.x-k8s.io/multikueue"))
    await lab.create(ray_cluster("ours"))
    pods = await lab.until_pods(3)
    assert {pod["metadata"]["labels"]["ray.io/cluster"] for pod in pods} == {"ours"}


async def test_a_pod_that_may_not_be_made_is_told_in_a_condition(lab, ray_cluster):
    cluster = ray_cluster(replicas=1)
    cluster["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["name"] = "Not_A_Name"
    await lab.create(cluster)

    async def failed():
        return await lab.condition("ReplicaFailure")

    condition = await lab.until(failed)
    assert (condition["status"], condition["reason"]) == ("True", "FailedCreateWorkerPod")
    assert "Not_A_Name" in condition["message"]
    assert len(await lab.pods("head")) == 1


async def test_with_its_owner_a_cluster_goes_and_takes_all_with_it(lab, ray_cluster):
    owner = {
        "metadata": {"name": "notebook"},
        "spec": {"containers": [{"name": "notebook", "image": "rayster/notebook:1"}]},
    }
    pod = await lab.client.create(path("pods", lab.namespace), owner)
    cluster = ray_cluster(authOptions={"mode": "token"})
    reference = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "notebook",
        "uid": pod["metadata"]["uid"],
        "controller": False,
        "blockOwnerDeletion": True,
    }
    cluster["metadata"]["ownerReferences"] = [reference]
    await lab.create(cluster)
    await lab.until_pods(2, "worker")

    await lab.gone(pod)

    async def nothing_left():
        left = [await lab.get(), *await lab.pods()]
        for plural in ("services", "secrets"):
            left += (await lab.client.get(path(plural, lab.namespace)))["items"]
        return not [item for item in left if item]

    await lab.until(nothing_left)


async def test_with_recreate_another_spec_brings_other_pods(lab, ray_cluster):
    await lab.create(ray_cluster(replicas=1, upgradeStrategy={"type": "Recreate"}))
    before = {pod["metadata"]["uid"] for pod in await lab.until_pods(2)}
    spec = (await lab.get())["spec"]
    (group,) = spec["workerGroupSpecs"]
    group["template"]["spec"]["containers"][0]["image"] = "rayster/ray:2"

    await lab.patch({"workerGroupSpecs": [group]})

    async def all_new():
        found = await lab.pods()
        return len(found) == 2 and not before & {pod["metadata"]["uid"] for pod in found}

    await lab.until(all_new)


async def test_an_operator_that_was_away_finds_its_pods_again(lab, ray_cluster, start_part, operator):
    await lab.create(ray_cluster(replicas=1))
    before = {pod["metadata"]["uid"] for pod in await lab.until_pods(2)}
    second = start_part("ray_operator")
    await lab.until_pods(2)
    await asyncio.sleep(1)
    assert second.poll() is None
    assert {pod["metadata"]["uid"] for pod in await lab.pods()} == before
