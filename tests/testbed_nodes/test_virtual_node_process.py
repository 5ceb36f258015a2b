"""The virtual node process between the API server and a fake plugin, as found and ideal."""

from __future__ import annotations

import asyncio
import base64
import signal
import time

import aiohttp
import pytest

from rayster_testbed.kube import path

BOTH = pytest.mark.parametrize("mode", ["as-found", "ideal"])
FAST = ("--refresh-seconds", "0.1")
RUNNING = {"running": {"startedAt": "2026-11-21T00:00:00Z"}}
NEVER_TIMED = [
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
    {"key": "virtual-node.interlink/no-schedule", "operator": "Exists"},
]


async def bound_pod(cluster, name, **spec):
    return await cluster.create_pod(name, "jupyter", "lab", nodeName="padova", **spec)


def job_of(pod):
    return (pod["metadata"].get("annotations") or {}).get("JobID")


async def until_submitted(cluster, name):
    async def look():
        pod = await cluster.pod(name)
        return pod if job_of(pod) else None

    return await cluster.until(look, what=f"JobID of {name}")


async def test_the_node_is_not_ready_until_the_first_ping_and_after_each_failed_one(
    cluster, virtual_node, plugin
):
    virtual_node("as-found", "--ping-seconds", "2.5", "--accelerator", "nvidia.com/gpu=8:a100", "--cpu", "64")
    node = await cluster.until_ready("padova", "False")
    began = time.monotonic()
    assert plugin.pings == 0
    conditions = {c["type"]: (c["status"], c["reason"]) for c in node["status"]["conditions"]}
    assert conditions["Ready"] == ("False", "KubeletPending")
    assert conditions["NetworkUnavailable"][0] == "True"
    assert "InterlinkConnectivity" not in conditions

    node = await cluster.until_ready("padova")
    assert time.monotonic() - began > 1
    assert node["spec"]["providerID"] == "external:///padova"
    assert {"key": "virtual-node.interlink/no-schedule", "value": "true", "effect": "NoSchedule"} in node[
        "spec"
    ]["taints"]
    assert (node["status"]["nodeInfo"]["architecture"], node["status"]["nodeInfo"]["operatingSystem"]) == (
        "virtual-kubelet",
        "linux",
    )
    assert node["status"]["allocatable"] == {
        "cpu": "64",
        "memory": "1000Gi",
        "pods": "1000",
        "nvidia.com/gpu": "8",
    }
    assert node["metadata"]["annotations"]["interlink.virtual-kubelet.io/ping-response"] == "pong"

    await plugin.stop()
    node = await cluster.until_ready("padova", "False")
    conditions = {c["type"]: c for c in node["status"]["conditions"]}
    assert conditions["InterlinkConnectivity"]["reason"] == "InterlinkPingFailed"
    assert conditions["InterlinkConnectivity"]["message"] == "Ping failed with code 500. Response: 503"
    await plugin.start()
    await cluster.until_ready("padova")


async def test_a_ping_that_names_resources_overrides_the_capacity(cluster, virtual_node, plugin):
    plugin.ping_body = '{"status": "ok", "resources": {"cpu": "16", "memory": "1000Gi", "pods": "7"}}'
    virtual_node("as-found")
    node = await cluster.until_ready("padova")
    assert node["status"]["allocatable"] == {"cpu": "16", "memory": "1000Gi", "pods": "7"}
    assert node["status"]["capacity"] == node["status"]["allocatable"]


@BOTH
async def test_the_life_of_a_pod(cluster, virtual_node, plugin, mode):
    virtual_node(mode, *FAST)
    plugin.hold.clear()
    await bound_pod(cluster, "p")

    # Before the plugin has answered: an address and conditions, but no container status and no job
    async def accepted():
        pod = await cluster.pod("p")
        return pod if pod["status"].get("podIP") else None

    pod = await cluster.until(accepted)
    assert (pod["status"]["phase"], pod["status"]["podIP"]) == ("Pending", "127.0.0.1")
    assert "containerStatuses" not in pod["status"]
    assert job_of(pod) is None

    # Submitted, then queued, then running, then ended
    plugin.hold.set()
    pod = await until_submitted(cluster, "p")
    assert job_of(pod) == "1"

    async def queued():
        statuses = (await cluster.pod("p"))["status"].get("containerStatuses") or [{}]
        return statuses[0].get("state") == {"waiting": {}}

    await cluster.until(queued)
    plugin.set_state(pod, RUNNING)
    pod = await cluster.until_phase("p", "Running")
    assert pod["status"]["reason"] == "Running"
    assert [(c["type"], c["status"]) for c in pod["status"]["conditions"]] == [("Ready", "True")]
    assert pod["status"]["containerStatuses"][0]["ready"] is True
    plugin.set_state(pod, {"terminated": {"exitCode": 3}})
    pod = await cluster.until_phase("p", "Failed")
    assert pod["status"]["reason"] == "Error: 3"
    # The virtual kubelet records no events
    assert await cluster.events("p") == []


async def test_the_plugin_gets_the_pod_with_literal_environment_and_its_objects(
    cluster, virtual_node, plugin
):
    virtual_node("as-found")
    secret = {"metadata": {"name": "s"}, "data": {"k": base64.b64encode(b"hidden").decode()}}
    await cluster.client.create(path("secrets", cluster.namespace), secret)
    container = {
        "name": "notebook",
        "image": "rayster/notebook:1",
        "env": [
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    annotations = {"interlink.eu/pod-ip": "127.0.50.7"}
    await bound_pod(cluster, "p", containers=[container], volumes=volumes, annotations=annotations)
    pod = await until_submitted(cluster, "p")
    (request,) = plugin.requests
    assert request["pod"]["metadata"]["uid"] == pod["metadata"]["uid"]
    assert request["pod"]["spec"]["containers"][0]["env"] == [
        {"name": "TOKEN", "value": "hidden"},
        {"name": "ME", "value": "p"},
    ]
    assert request["container"][0]["secrets"][0]["data"] == secret["data"]
    assert pod["status"]["podIP"] == pod["status"]["hostIP"] == "127.0.50.7"
    # The pod in Kubernetes keeps its references
    assert "valueFrom" in pod["spec"]["containers"][0]["env"][0]


async def test_a_refused_submission_fails_the_pod_with_the_batch_systems_words(cluster, virtual_node, plugin):
    virtual_node("as-found")
    plugin.create_status, plugin.create_text = 504, "sbatch: error: invalid partition specified: <nosuch>\n"
    await bound_pod(cluster, "p")
    pod = await cluster.until_phase("p", "Failed")
    status = pod["status"]
    assert status["reason"] == "ProviderFailed"
    assert "error: error creating pod (HTTP 504): HTTP InterLink session CreatePod#" in status["message"]
    assert status["message"].endswith(
        ":  call exit status: 500. Body: sbatch: error: invalid partition specified: &lt;nosuch&gt;\n"
    )
    assert status["containerStatuses"][0]["state"]["terminated"]["message"] == status["message"]
    assert {c["status"] for c in status["conditions"]} == {"False"}
    assert job_of(pod) is None
    assert len(plugin.requests) == 1  # a failed pod is final


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"fieldRef": {"fieldPath": "status.podIP"}}, id="pod address"),
        pytest.param({"secretKeyRef": {"name": "gone", "key": "k"}}, id="missing secret"),
    ],
)
async def test_an_environment_that_cannot_be_resolved_leaves_the_pod_without_status(
    cluster, virtual_node, plugin, env
):
    virtual_node("as-found")
    await cluster.until_ready("padova")
    container = {"name": "main", "image": "i", "env": [{"name": "V", "valueFrom": env}]}
    await bound_pod(cluster, "p", containers=[container])
    await asyncio.sleep(0.5)
    status = (await cluster.pod("p"))["status"]
    assert status["phase"] == "Pending"
    assert "podIP" not in status and "containerStatuses" not in status
    assert plugin.requests == []
    await cluster.client.delete(path("pods", cluster.namespace, "p"))
    await cluster.until_gone("p")


async def test_a_missing_volume_object_is_waited_for_in_the_phase_initializing(cluster, virtual_node, plugin):
    virtual_node("as-found")
    volumes = [{"name": "v", "configMap": {"name": "late"}}]
    await bound_pod(cluster, "p", volumes=volumes)
    await cluster.until_phase("p", "Initializing")
    await bound_pod(cluster, "other")
    await until_submitted(cluster, "other")  # others are not held up
    await cluster.client.create(
        path("configmaps", cluster.namespace), {"metadata": {"name": "late"}, "data": {}}
    )
    await until_submitted(cluster, "p")
    assert (await cluster.pod("p"))["status"]["phase"] == "Pending"


async def test_as_found_one_random_pod_is_refreshed_at_a_time(cluster, virtual_node, plugin):
    virtual_node("as-found", "--refresh-seconds", "0.8")
    pods = [await bound_pod(cluster, f"p{n}") for n in range(4)]
    for pod in pods:
        await until_submitted(cluster, pod["metadata"]["name"])
        plugin.set_state(pod, RUNNING)
    plugin.asked.clear()
    began = time.monotonic()

    async def asked_often():
        return len(plugin.asked) >= 4

    await cluster.until(asked_often)
    # One question may have been on its way when counting began.
    assert len(plugin.asked) <= (time.monotonic() - began) / 0.8 + 2
    assert {len(uids) for uids in plugin.asked} == {1}


async def test_ideal_all_pods_are_refreshed_at_each_look(cluster, virtual_node, plugin):
    virtual_node("ideal")
    for n in range(4):
        await bound_pod(cluster, f"p{n}")
        plugin.set_state(await until_submitted(cluster, f"p{n}"), RUNNING)
    plugin.asked.clear()
    for n in range(4):
        await cluster.until_phase(f"p{n}", "Running")

    async def asked_of_all():
        return len(plugin.asked) >= 12

    await cluster.until(asked_of_all)
    # No pod is asked about again before the others were; the first look may have begun before all were submitted.
    for first in (4, 8):
        assert len({uid for (uid,) in plugin.asked[first : first + 4]}) == 4


async def test_a_plugin_that_knows_nothing_more_of_a_job_leaves_the_pod_as_it_was(
    cluster, virtual_node, plugin
):
    virtual_node("as-found", *FAST)
    await bound_pod(cluster, "p")
    await until_submitted(cluster, "p")
    plugin.status_code = 500
    plugin.asked.clear()

    async def asked():
        return len(plugin.asked) > 3

    await cluster.until(asked)
    assert (await cluster.pod("p"))["status"]["phase"] == "Pending"


@BOTH
async def test_deletion_ignores_the_grace_period_and_cancels_the_job(cluster, virtual_node, plugin, mode):
    virtual_node(mode, *FAST)
    pod = await bound_pod(cluster, "p")
    await until_submitted(cluster, "p")
    await cluster.client.delete(path("pods", cluster.namespace, "p"), grace_seconds=100)
    await cluster.until_gone("p", 50)

    async def cancelled():
        return pod["metadata"]["uid"] in plugin.deleted

    await cluster.until(cancelled)


@BOTH
async def test_a_force_deleted_pod_is_cancelled_too(cluster, virtual_node, plugin, mode):
    virtual_node(mode, *FAST)
    pod = await bound_pod(cluster, "p")
    await until_submitted(cluster, "p")
    await cluster.client.delete(path("pods", cluster.namespace, "p"), grace_seconds=0)

    async def cancelled():
        return pod["metadata"]["uid"] in plugin.deleted

    await cluster.until(cancelled)


async def test_as_found_a_job_outlives_its_pod_when_the_plugin_is_away_at_the_delete(
    cluster, virtual_node, plugin
):
    virtual_node("as-found")
    await bound_pod(cluster, "p")
    await until_submitted(cluster, "p")
    await plugin.stop()
    await cluster.client.delete(path("pods", cluster.namespace, "p"))
    await cluster.until_gone("p")
    await plugin.start()
    await cluster.until_ready("padova")
    await asyncio.sleep(0.5)
    assert plugin.deleted == []


async def test_ideal_a_pod_goes_when_its_job_is_cancelled(cluster, virtual_node, plugin):
    virtual_node("ideal")
    pod = await bound_pod(cluster, "p")
    await until_submitted(cluster, "p")
    await plugin.stop()
    await cluster.client.delete(path("pods", cluster.namespace, "p"))
    await asyncio.sleep(0.6)
    assert "deletionTimestamp" in (await cluster.pod("p"))["metadata"]
    await plugin.start()
    await cluster.until_gone("p")
    assert plugin.deleted == [pod["metadata"]["uid"]]


async def test_a_killed_virtual_node_takes_its_jobs_up_again(cluster, virtual_node, plugin):
    node = virtual_node("as-found", *FAST)
    await bound_pod(cluster, "p")
    pod = await until_submitted(cluster, "p")
    node.send_signal(signal.SIGKILL)
    node.wait()
    plugin.set_state(pod, RUNNING)
    virtual_node("as-found", *FAST)
    await cluster.until_phase("p", "Running")
    assert len(plugin.requests) == 1
    await cluster.client.delete(path("pods", cluster.namespace, "p"))
    await cluster.until_gone("p")

    async def cancelled():
        return plugin.deleted == [pod["metadata"]["uid"]]

    await cluster.until(cancelled)


@pytest.mark.parametrize(
    ("mode", "jobs"),
    [
        pytest.param("as-found", 2, id="as found the pod is submitted again"),
        pytest.param("ideal", 1, id="ideally the job is found again"),
    ],
)
async def test_a_kill_between_submission_and_job_id(cluster, virtual_node, plugin, mode, jobs):
    # Given a plugin that has submitted the job but has not answered yet
    node = virtual_node(mode, *FAST)
    plugin.hold.clear()
    await bound_pod(cluster, "p")

    async def submitted():
        return plugin.jobs

    await cluster.until(submitted)
    # When the virtual node is killed there and started again
    node.send_signal(signal.SIGKILL)
    node.wait()
    plugin.hold.set()
    virtual_node(mode, *FAST)
    # Then
    pod = await until_submitted(cluster, "p")
    assert len(plugin.jobs) == jobs
    assert job_of(pod) == str(jobs)


async def test_a_pod_deleted_while_the_virtual_node_is_away_is_cancelled_when_it_is_back(
    cluster, virtual_node, plugin
):
    node = virtual_node("as-found")
    pod = await bound_pod(cluster, "p")
    await until_submitted(cluster, "p")
    node.send_signal(signal.SIGKILL)
    node.wait()
    await cluster.client.delete(path("pods", cluster.namespace, "p"))
    assert "deletionTimestamp" in (await cluster.pod("p"))["metadata"]
    virtual_node("as-found")
    await cluster.until_gone("p")

    async def cancelled():
        return plugin.deleted == [pod["metadata"]["uid"]]

    await cluster.until(cancelled)


async def test_logs_come_from_the_plugin_and_exec_does_not_exist(cluster, virtual_node):
    virtual_node("as-found")
    node = await cluster.until_ready("padova")
    await bound_pod(cluster, "p")
    await until_submitted(cluster, "p")
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    base = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/containerLogs/{cluster.namespace}/p/main?tailLines=5") as response:
            assert (response.status, await response.text()) == (200, "main of p, tail 5\n")
        async with session.post(f"{base}/exec/{cluster.namespace}/p/main") as response:
            assert response.status == 501


async def test_with_scheduler_and_lifecycle_a_pod_waits_for_the_first_ping_and_survives_an_outage(
    cluster, virtual_node, plugin
):
    for part in ("scheduler", "node_lifecycle"):
        cluster.start(part)
    virtual_node("as-found", *FAST)
    selector = {"kubernetes.io/hostname": "padova"}
    await cluster.create_pod("p", "jupyter", nodeSelector=selector, tolerations=NEVER_TIMED)
    pod = await until_submitted(cluster, "p")
    assert (await cluster.client.get(path("nodes", "", "padova")))["status"]["conditions"][0][
        "status"
    ] == "True"
    plugin.set_state(pod, RUNNING)
    await cluster.until_phase("p", "Running")
    await plugin.stop()

    async def tainted():
        taints = (await cluster.client.get(path("nodes", "", "padova")))["spec"]["taints"]
        return {"not-ready", "network-unavailable"} <= {t["key"].split("/")[1] for t in taints}

    await cluster.until(tainted)
    assert "deletionTimestamp" not in (await cluster.pod("p"))["metadata"]
    await plugin.start()

    async def untainted():
        taints = (await cluster.client.get(path("nodes", "", "padova")))["spec"]["taints"]
        return [t["key"] for t in taints] == ["virtual-node.interlink/no-schedule"]

    await cluster.until(untainted)
    assert (await cluster.pod("p"))["status"]["phase"] == "Running"
