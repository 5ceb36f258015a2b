"""What the agent takes for an answer of the hub's service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from rayster_site.live_pods import LivePodsClient, LivePodsError
from rayster_site.orphans import LivePods


class Service(RequestHandler):
    def initialize(self, stage: dict[str, Any]) -> None:
        self.stage = stage

    def get(self) -> None:
        self.stage["asked"] = dict(self.request.headers)
        self.set_status(self.stage.get("status", 200))
        for name, value in self.stage.get("headers", {}).items():
            self.set_header(name, value)
        self.write(self.stage["body"])


@pytest.fixture
async def service() -> AsyncIterator[Any]:
    stage: dict[str, Any] = {}
    routes = [(r"/services/rayster/api/live-pods", Service, {"stage": stage})]
    server = HTTPServer(Application(routes))
    socket, port = bind_unused_port()
    server.add_socket(socket)
    client = LivePodsClient(f"http://127.0.0.1:{port}/services/rayster/", "padova", "the-token-of-the-site")

    async def ask(body: Any, **changes: Any) -> LivePods:
        stage.update(changes, body=body if isinstance(body, (str, bytes)) else json.dumps(body))
        return await client.ask()

    ask.stage = stage  # type: ignore[attr-defined]
    yield ask
    client.close()
    server.stop()
    await server.close_all_connections()


@pytest.fixture
def good(site_helpers: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "site": "padova",
        "age_seconds": 1.5,
        "uids": [site_helpers.uid(1), site_helpers.uid(2)],
    }


async def test_pods_and_their_age_are_told(service: Any, good: Any, site_helpers: Any) -> None:
    live = await service(good)

    assert live.uids == {site_helpers.uid(1), site_helpers.uid(2)}
    assert 1.5 <= live.age_seconds < 30
    assert service.stage["asked"]["Authorization"] == "Bearer the-token-of-the-site"


async def test_jobs_that_pods_follow_are_told_when_the_service_knows(
    service: Any, good: Any, site_helpers: Any
) -> None:
    live = await service({**good, "job_ids": {site_helpers.uid(1): "25"}, "something": "new"})

    assert live.job_ids == {site_helpers.uid(1): "25"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version"),
        ({"site": "leonardo"}, "another site"),
        ({"age_seconds": -1}, "age_seconds"),
        ({"age_seconds": "new"}, "age_seconds"),
        ({"uids": None}, "uids"),
        ({"uids": ["x"]}, "uids.0"),
        ({"uids": {"a": 1}}, "uids"),
        ({"job_ids": {"x": "1"}}, "job_ids"),
    ],
)
async def test_an_answer_that_is_not_one_is_refused(service: Any, good: Any, change: Any, said: str) -> None:
    with pytest.raises(LivePodsError, match=said):
        await service({**good, **change})


@pytest.mark.parametrize("body", ["", "<html>", "[]", "null", '{"version": 1', "[" * 100_000, b"\xff\xfe"])
async def test_garbage_is_refused(service: Any, body: Any) -> None:
    with pytest.raises(LivePodsError, match="not understood"):
        await service(body)


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
async def test_an_error_of_the_service_is_told(service: Any, good: Any, status: int) -> None:
    with pytest.raises(LivePodsError, match=f"answered {status}"):
        await service(good, status=status)


async def test_the_token_is_not_carried_elsewhere(service: Any, good: Any) -> None:
    with pytest.raises(LivePodsError, match="302"):
        await service(good, status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"})


async def test_a_service_that_is_down_is_an_error(site_helpers: Any) -> None:
    client = LivePodsClient(f"http://127.0.0.1:{site_helpers.free_port()}", "padova", "the-token-of-the-site")

    with pytest.raises(LivePodsError, match="did not answer") as caught:
        await client.ask()

    client.close()
    assert "the-token" not in str(caught.value)
