"""A job's log, followed over a WebSocket by way of the service."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from .test_ray_dashboard import ADA, head, url

__all__ = ["head"]  # the fixture
WITHIN_SECONDS = 20


@pytest.fixture
def closed() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture(autouse=True)
def follows(head, closed) -> None:
    async def answer(request: web.Request) -> web.StreamResponse | None:
        if request.path == "/api/jobs/over/logs/tail":
            log = web.WebSocketResponse()
            await log.prepare(request)
            for line in ("hi\n", "hi2\n"):
                await log.send_str(line)
            return log
        if request.path == "/api/jobs/runs/logs/tail":
            log = web.WebSocketResponse()
            await log.prepare(request)
            await log.send_str("begun\n")
            await log.receive()
            closed.set()
            return log
        if request.path == "/api/jobs/cut/logs/tail":
            log = web.WebSocketResponse()
            await log.prepare(request)
            request.transport.abort()
            return log
        return web.Response(status=404, text="does not exist")

    head.spoil = answer


def tail(service, head, job: str, **headers: str) -> aiohttp.client._WSRequestContextManager:
    return service.session.ws_connect(url(service, head, f"api/jobs/{job}/logs/tail"), headers=headers)


async def test_log_comes_line_by_line_and_ends_as_the_head_ends_it(service, head):
    async with tail(service, head, "over", **ADA) as log:
        assert [message.data async for message in log] == ["hi\n", "hi2\n"]
        assert log.close_code == 1000
    asked = next(one for one in reversed(head.asked) if one.path.endswith("/logs/tail"))
    assert asked.headers["Authorization"] == f"Bearer {head.token}"


async def test_head_is_told_when_nobody_follows_any_more(service, head, closed):
    async with tail(service, head, "runs", **ADA) as log:
        assert (await log.receive(WITHIN_SECONDS)).data == "begun\n"
    await asyncio.wait_for(closed.wait(), WITHIN_SECONDS)


async def test_connection_of_the_head_that_breaks_is_no_good_end(service, head):
    async with tail(service, head, "cut", **ADA) as log:
        assert [message async for message in log] == []
        assert log.close_code == 1011


@pytest.mark.parametrize(
    ("job", "headers", "status"),
    [
        pytest.param("none", ADA, 404, id="no such job"),
        pytest.param("over", {}, 401, id="no token"),
        pytest.param("over", {"Authorization": "token of-bruno"}, 404, id="somebody else's"),
        pytest.param("over", {**ADA, "Origin": "https://evil.example"}, 403, id="a page from elsewhere"),
    ],
)
async def test_refused_before_it_is_a_websocket(service, head, job, headers, status):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await tail(service, head, job, **headers)
    assert refused.value.status == status


async def test_plain_request_is_told_what_to_ask_for(service, head):
    async with service.session.get(url(service, head, "api/jobs/over/logs/tail"), headers=ADA) as answer:
        assert answer.status == 400
        assert "WebSocket" in (await answer.json())["error"]["message"]
