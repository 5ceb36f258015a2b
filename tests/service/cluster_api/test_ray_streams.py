"""Clusters as they change: what pods, site and Ray say reaches open streams, and only those of who may see it."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator

import pytest

from ..conftest import Service
from .ray_stub import Head, KubeRay, eventually

ADA = "token of-ada"


@pytest.fixture
async def kuberay(cluster, rays) -> KubeRay:
    return KubeRay(cluster, rays)


@pytest.fixture
async def head(ada, kuberay) -> AsyncIterator[Head]:
    """The head of a cluster of ada's, which runs; `head.id` is the cluster."""
    cluster_id = (await ada.make(workers=2))["id"]
    head = await Head(cluster_id).start()
    head.id = cluster_id
    kuberay.reach(cluster_id, head)
    head.pod = kuberay.add(cluster_id, head=True)
    kuberay.run(head.pod)
    yield head
    await head.stop()


async def test_a_worker_goes_from_the_queue_to_ray_in_an_open_stream(
    service: Service, kuberay, head, agent, cluster
):
    async with service.stream(f"api/clusters/{head.id}/events", ADA) as stream:
        await stream.until(lambda view: view["head"] and view["head"]["state"] == "joined")
        # when it is made
        name = kuberay.add(head.id)
        view = await stream.until(lambda view: view["workers"])
        uid = view["workers"][0]["uid"]
        assert (view["workers"][0]["pod"], view["workers"][0]["state"]) == (name, "submitted")
        # when it waits
        cluster.annotate(name, JobID="12")
        agent.jobs = [{"id": "12", "pod_uid": uid, "state": "pending", "position": 3, "raw_reason": "Resources", "reason": "Waiting for free nodes."}]  # fmt: skip
        row = (await stream.until(lambda view: view["workers"][0]["position"] == 3))["workers"][0]
        assert (row["state"], row["reason"], row["raw_reason"]) == (
            "queued",
            "Waiting for free nodes.",
            "Resources",
        )
        # when its job runs, and its pod is ready
        agent.jobs = [{"id": "12", "pod_uid": uid, "state": "running", "time_left_seconds": 1800}]
        kuberay.run(name)
        await stream.until(lambda view: view["workers"][0]["state"] == "starting")
        # when Ray says so
        head.join(name)
        view = await stream.until(lambda view: view["joined"] == 1)
        assert (view["state"], view["workers"][0]["address"], view["message"]) == ("running", "127.60.0.2", "1 of 2 workers joined.")  # fmt: skip
        # when Ray loses it
        head.lose(name, "health check failed")
        view = await stream.until(lambda view: view["joined"] == 0)
        assert view["workers"][0]["state"] == "lost" and "health check failed" in view["workers"][0]["reason"]


async def test_a_refusal_is_in_the_row_in_slurms_words_and_stays(service: Service, kuberay, head):
    async with service.stream(f"api/clusters/{head.id}/events", ADA) as stream:
        name = kuberay.add(head.id)
        await stream.until(lambda view: view["workers"])
        # when
        words = "failed (HTTP 500): HTTP InterLink session 1: Body: sbatch: error: invalid partition specified: gpu"
        kuberay.fail(name, "ProviderFailed", words)
        kuberay.replace(head.id, name)
        # then
        view = await stream.until(
            lambda view: view["ended"] and view["workers"] and view["workers"][0]["pod"] != name
        )
        told = "SLURM refused the job: sbatch: error: invalid partition specified: gpu"
        assert (view["ended"][0]["state"], view["ended"][0]["reason"]) == ("failed", told)
        assert any(told in problem["message"] for problem in view["problems"])


async def test_a_stream_ends_with_its_cluster(service: Service, head, ada):
    async with service.stream(f"api/clusters/{head.id}/events", ADA) as stream:
        assert (await stream.next())[0] == "cluster"
        # when
        await ada.ask("DELETE", f"clusters/{head.id}")
        # then
        seen = []
        while (event := await asyncio.wait_for(stream.next(), 30)) is not None:
            seen.append(event)
        assert seen[-1] == ("gone", {"id": head.id})


async def test_a_list_shows_ones_own_clusters_only_as_they_come_and_go(service: Service, ada, bruno, admin):
    async with (
        service.stream("api/clusters/events", ADA) as mine,
        service.stream("api/clusters/events", "token of-admin") as all_of_them,
    ):
        assert await mine.until(lambda told: told["clusters"] == [])
        # when
        other, one = (await bruno.make())["id"], (await ada.make())["id"]
        # then
        told = await mine.until(lambda told: told["clusters"])
        assert [view["id"] for view in told["clusters"]] == [one]
        await all_of_them.until(lambda told: {view["id"] for view in told["clusters"]} == {one, other})
        # when
        await ada.ask("DELETE", f"clusters/{one}")
        await mine.until(lambda told: told["clusters"] == [])


REFUSED = [
    ("no-token", None, "api/clusters/events", 401),
    ("unknown-token", "token nobody", "api/clusters/events", 401),
    ("without-rights", "token without-rights", "api/clusters/events", 403),
    ("anothers-list", "token of-bruno", "api/clusters/events?user=ada", 403),
    ("anothers-cluster", "token of-bruno", "api/clusters/{id}/events", 404),
    ("no-cluster", ADA, "api/clusters/ray-0123456789/events", 404),
]  # fmt: skip


@pytest.mark.parametrize("header,path,status", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_a_stream_is_refused(service: Service, head, header, path, status):
    assert (await service.get(path.format(id=head.id), header))[0] == status


async def test_a_change_reaches_an_open_stream_in_less_than_a_second(service: Service, kuberay, head):
    async with service.stream(f"api/clusters/{head.id}/events", ADA) as stream:
        await stream.until(lambda view: view["head"])
        seconds = []
        for _ in range(5):
            began = time.monotonic()
            name = kuberay.add(head.id)
            await stream.until(lambda view, name=name: name in {row["pod"] for row in view["workers"]})
            seconds.append(time.monotonic() - began)
        # The median: on a machine that does other things, too, one look may come late.
        assert statistics.median(seconds) < 1, seconds


async def test_a_cluster_without_the_definition_has_no_ray_and_the_service_goes_on(
    own_cluster, users, start_service
):
    async with start_service(own_cluster) as service:

        async def is_told() -> bool:
            status, answer = await service.get("api/clusters", ADA)
            return status == 503 and answer["error"]["code"] == "not-served"

        await eventually(is_told)
        assert (await service.get("readyz"))[0] == 200
