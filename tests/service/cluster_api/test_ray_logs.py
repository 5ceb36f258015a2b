"""What pods print, to who may see it."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from rayster_spawner.ray import names

from .ray_stub import KubeRay

ADA = {"Authorization": "token of-ada"}


class Kubelet:
    """The kubelet of node `padova`: a log that grows while somebody follows it."""

    def __init__(self):
        self.lines, self.grown, self.asked = [b"first\n"], asyncio.Event(), []
        self.status = 200

    async def answer(self, request):
        self.asked.append(request)
        if self.status != 200:
            return web.Response(status=self.status, text="Error: job 12 has not started")
        response = web.StreamResponse()
        await response.prepare(request)
        sent = 0
        while True:
            for line in self.lines[sent:]:
                await response.write(line)
            sent = len(self.lines)
            if request.query.get("follow") != "true":
                return response
            self.grown.clear()
            await self.grown.wait()

    def grow(self, line: bytes):
        self.lines.append(line)
        self.grown.set()


@pytest.fixture
async def kubelet(cluster) -> AsyncIterator[Kubelet]:
    kubelet = Kubelet()
    app = web.Application()
    app.router.add_get("/{path:.*}", kubelet.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cluster.add_node("padova")
    port = runner.addresses[0][1]
    address = {"type": "InternalIP", "address": "127.0.0.1"}
    told = {"status": {"addresses": [address], "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}}
    cluster._merge(f"{cluster.url}/api/v1/nodes/padova/status", told)
    yield kubelet
    await runner.cleanup()


@pytest.fixture
async def clustered(ada, cluster, rays, kubelet):
    """A cluster of ada's with a head and a worker: its id, and their names."""
    kuberay = KubeRay(cluster, rays)
    cluster_id = (await ada.make(workers=1))["id"]
    pods = kuberay.add(cluster_id, head=True, node="padova"), kuberay.add(cluster_id, node="padova")
    for _ in range(200):
        view = (await ada.ask("GET", f"clusters/{cluster_id}"))[1]
        if view["head"] and view["workers"]:
            return cluster_id, *pods
        await asyncio.sleep(0.05)
    raise AssertionError("the service does not see the pods")


def url(service, cluster_id: str, query: str = "") -> str:
    return f"{service.url}/services/rayster/api/clusters/{cluster_id}/logs{query}"


async def test_a_log_is_text(service, clustered, kubelet):
    cluster_id, _, worker = clustered
    async with service.session.get(url(service, cluster_id, f"?pod={worker}&tail=7"), headers=ADA) as answer:
        assert (answer.status, await answer.text()) == (200, "first\n")
        assert answer.headers["Content-Type"].startswith("text/plain")
    assert kubelet.asked[0].path.endswith(f"/{worker}/{names.WORKER_CONTAINER}")
    assert kubelet.asked[0].query["tailLines"] == "7"


async def test_without_a_name_it_is_the_heads(service, clustered, kubelet):
    cluster_id, head, _ = clustered
    async with service.session.get(url(service, cluster_id), headers=ADA) as answer:
        assert answer.status == 200
    assert kubelet.asked[0].path.endswith(f"/{head}/{names.HEAD_CONTAINER}")


async def test_a_log_is_followed_until_the_reader_goes(service, clustered, kubelet):
    cluster_id = clustered[0]
    timeout = aiohttp.ClientTimeout(total=30)
    async with service.session.get(
        url(service, cluster_id, "?follow=true"), headers=ADA, timeout=timeout
    ) as answer:
        assert await answer.content.readline() == b"first\n"
        kubelet.grow(b"second\n")
        assert await answer.content.readline() == b"second\n"
        answer.close()
    for _ in range(100):
        if (await service.get("readyz"))[1]["streams"] == 0:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the stream is still counted")


async def test_a_job_that_has_not_begun_has_no_log_yet(service, clustered, kubelet):
    kubelet.status = 500
    status, answer = await service.get(f"api/clusters/{clustered[0]}/logs", "token of-ada")
    assert (status, answer["error"]["code"]) == (409, "no-log")
    assert "job 12 has not started" in answer["error"]["message"]


REFUSED = [
    ("anothers", "token of-bruno", "", 404),
    ("nobodys", None, "", 401),
    ("no-such-pod", "token of-ada", "?pod=jupyter-ada", 404),
    ("a-path", "token of-ada", "?pod=../x", 404),
    ("tail-too-long", "token of-ada", "?tail=99999999999", 400),
    ("tail-no-number", "token of-ada", "?tail=x", 400),
    ("tail-none", "token of-ada", "?tail=0", 400),
    ("follow-what", "token of-ada", "?follow=maybe", 400),
]  # fmt: skip


@pytest.mark.parametrize("header,query,status", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_a_log_is_refused(service, clustered, kubelet, header, query, status):
    found, answer = await service.get(f"api/clusters/{clustered[0]}/logs{query}", header)
    assert found == status and answer["error"]["message"]
    assert kubelet.asked == []
