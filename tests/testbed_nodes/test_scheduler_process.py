"""The scheduler process against the API server."""

from __future__ import annotations

import asyncio

from rayster_testbed.kube import path


async def scheduled_condition(cluster, name):
    conditions = (await cluster.pod(name))["status"].get("conditions") or []
    return next((c for c in conditions if c["type"] == "PodScheduled"), None)


async def test_a_pod_is_bound_and_an_event_says_so(cluster):
    await cluster.make_node("n1")
    cluster.start("scheduler")
    await cluster.create_pod("p", "true")

    async def bound():
        return (await cluster.pod("p"))["spec"].get("nodeName")

    assert await cluster.until(bound) == "n1"
    (event,) = await cluster.until(lambda: cluster.events("p"))
    assert (event["type"], event["reason"]) == ("Normal", "Scheduled")
    assert event["message"] == f"Successfully assigned {cluster.namespace}/p to n1"
    assert event["reportingComponent"] == "default-scheduler"
    assert (await scheduled_condition(cluster, "p"))["status"] == "True"


async def test_what_fits_nowhere_says_why_once_and_is_placed_when_a_node_comes(cluster):
    await cluster.make_node("small", cpu="1")
    cluster.start("scheduler")
    resources = {"requests": {"cpu": "2"}}
    await cluster.create_pod("big", containers=[{"name": "main", "image": "i", "resources": resources}])

    async def explained():
        condition = await scheduled_condition(cluster, "big")
        return condition if condition and condition["status"] == "False" else None

    condition = await cluster.until(explained)
    assert condition["reason"] == "Unschedulable"
    assert condition["message"].startswith("0/1 nodes are available: 1 Insufficient cpu.")
    # A change elsewhere makes the scheduler look again; the same answer is counted, not repeated.
    await cluster.make_node("small2", cpu="1")
    await cluster.make_node("large", cpu="8")

    async def bound():
        return (await cluster.pod("big"))["spec"].get("nodeName")

    assert await cluster.until(bound) == "large"
    events = await cluster.events("big")
    assert {e["reason"] for e in events} == {"FailedScheduling", "Scheduled"}
    messages = [e["message"] for e in events]
    assert len(messages) == len(set(messages))


async def test_a_claim_is_bound_with_the_first_pod_that_mounts_it(cluster):
    await cluster.make_node("n1")
    cluster.start("scheduler")
    volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "claim-ada"}}]
    await cluster.create_pod("ada", "true", volumes=volumes)

    async def explained():
        condition = await scheduled_condition(cluster, "ada")
        return condition["message"] if condition else None

    assert 'persistentvolumeclaim "claim-ada" not found' in await cluster.until(explained)
    claim = {
        "metadata": {"name": "claim-ada"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
    }
    await cluster.client.create(path("persistentvolumeclaims", cluster.namespace), claim)

    async def bound():
        return (await cluster.pod("ada"))["spec"].get("nodeName")

    assert await cluster.until(bound) == "n1"
    found = await cluster.client.get(path("persistentvolumeclaims", cluster.namespace, "claim-ada"))
    assert found["status"]["phase"] == "Bound"
    volume = await cluster.client.get(path("persistentvolumes", "", found["spec"]["volumeName"]))
    assert volume["spec"]["claimRef"]["name"] == "claim-ada"
    assert volume["spec"]["capacity"] == {"storage": "10Gi"}


async def test_pods_of_another_scheduler_and_pods_with_a_node_are_left_alone(cluster):
    await cluster.make_node("n1")
    cluster.start("scheduler", "--scheduler-name", "user-scheduler")
    await cluster.create_pod("foreign", "true", schedulerName="someone-else")
    await cluster.create_pod("fixed", "true", nodeName="elsewhere")
    await cluster.create_pod("ours", "true", schedulerName="user-scheduler")

    async def bound():
        return (await cluster.pod("ours"))["spec"].get("nodeName")

    await cluster.until(bound)
    await asyncio.sleep(0.2)
    assert not (await cluster.pod("foreign"))["spec"].get("nodeName")
    assert (await cluster.pod("fixed"))["spec"]["nodeName"] == "elsewhere"


async def test_a_full_node_takes_the_next_pod_when_one_has_ended_and_a_killed_scheduler_forgets_nothing(
    cluster,
):
    await cluster.make_node("n1", pods="1")
    scheduler = cluster.start("scheduler")
    await cluster.create_pod("first", "true")

    async def bound(name):
        return (await cluster.pod(name))["spec"].get("nodeName")

    await cluster.until(lambda: bound("first"))
    await cluster.create_pod("second", "true")
    await cluster.until(lambda: scheduled_condition(cluster, "second"))
    assert not await bound("second")
    scheduler.kill()
    scheduler.wait()
    await cluster.client.merge(
        path("pods", cluster.namespace, "first", "status"), {"status": {"phase": "Succeeded"}}
    )
    cluster.start("scheduler")
    assert await cluster.until(lambda: bound("second")) == "n1"
