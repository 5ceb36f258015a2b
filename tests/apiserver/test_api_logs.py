"""Pod logs, proxied to a kubelet that the test plays."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web


@pytest.fixture
async def kubelet(api):
    """A kubelet on a free port with its node; `answers` maps a container to (status, text)."""
    answers: dict[str, tuple[int, str]] = {"main": (200, "one\ntwo\n")}
    seen: list[str] = []
    proceed = asyncio.Event()

    async def logs(request: web.Request) -> web.StreamResponse:
        seen.append(request.path_qs)
        status, text = answers[request.match_info["container"]]
        if "follow" not in request.query:
            return web.Response(status=status, text=text)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await proceed.wait()
        await response.write(b"two\n")
        return response

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    node = f"node-{api.namespace}"
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    await api("POST", "/api/v1/nodes", {"metadata": {"name": node}, "status": status})
    yield node, answers, seen, proceed, runner
    await runner.cleanup()


async def test_log_of_a_container(api, pod, kubelet):
    node, _, seen, *_ = kubelet
    await api.create("pods", pod(nodeName=node))

    answer = await api("GET", api.path("pods", "a/log"), tailLines=2, container="main", timestamps="true")

    assert (answer.status, answer.body) == (200, "one\ntwo\n")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert seen == [f"/containerLogs/{api.namespace}/a/main?tailLines=2&timestamps=true"]


async def test_words_of_the_question_stay_one_value_each(api, pod, kubelet):
    node, _, seen, *_ = kubelet
    await api.create("pods", pod(nodeName=node))

    await api(
        "GET", api.path("pods", "a/log"), sinceTime="2026-01-01T00:00:00+01:00", tailLines="2&follow=true"
    )

    assert seen == [
        f"/containerLogs/{api.namespace}/a/main?sinceTime=2026-01-01T00%3A00%3A00%2B01%3A00&tailLines=2%26follow%3Dtrue"
    ]


async def test_followed_log_comes_as_it_is_written(api, pod, kubelet, session):
    node, _, _, proceed, _ = kubelet
    await api.create("pods", pod(nodeName=node))

    async with session.get(f"{api.url}{api.path('pods', 'a/log')}?follow=true") as answer:
        assert await asyncio.wait_for(answer.content.readline(), 5) == b"one\n"
        proceed.set()
        assert await asyncio.wait_for(answer.content.read(), 5) == b"two\n"


async def test_unscheduled_pod_has_an_empty_204(api, pod):
    await api.create("pods", pod())

    answer = await api("GET", api.path("pods", "a/log"))

    assert (answer.status, answer.body) == (204, "")


async def test_kubelet_that_is_away_is_an_error_status(api, pod, kubelet):
    node, *_, runner = kubelet
    await api.create("pods", pod(nodeName=node))
    port = runner.addresses[0][1]
    await runner.cleanup()

    answer = await api("GET", api.path("pods", "a/log"))

    assert (answer.status, answer.body["reason"]) == (500, "InternalError")
    assert answer.body["message"] == (
        f'Get "http://127.0.0.1:{port}/containerLogs/{api.namespace}/a/main": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )


async def test_kubelets_refusal_is_passed_on(api, pod, kubelet):
    node, answers, *_ = kubelet
    words = 'container "main" in pod "a" is waiting to start: ContainerCreating'
    answers["main"] = (400, words)
    await api.create("pods", pod(nodeName=node))

    answer = await api("GET", api.path("pods", "a/log"))

    assert (answer.status, answer.body["reason"], answer.body["message"]) == (400, "BadRequest", words)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param({}, "a container name must be specified for pod a, choose one of: [main side] or one of the init containers: [first]", id="several"),
        pytest.param({"container": "none"}, "container none is not valid for pod a", id="unknown"),
    ],
)  # fmt: skip
async def test_unclear_container_is_400(api, pod, asked, message):
    body = pod()
    body["spec"]["containers"].append({"name": "side", "image": "x"})
    body["spec"]["initContainers"] = [{"name": "first", "image": "x"}]
    await api.create("pods", body)

    answer = await api("GET", api.path("pods", "a/log"), **asked)

    assert (answer.status, answer.body["message"]) == (400, message)


async def test_log_of_a_missing_pod_is_404(api):
    assert (await api("GET", api.path("pods", "a/log"))).body["message"] == 'pods "a" not found'
