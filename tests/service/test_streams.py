"""Streams to pages that read slowly, or not at all."""

import asyncio
import socket
from typing import Any

import pytest
from tornado import web
from tornado.httpserver import HTTPServer

from rayster_spawner.service import streams as module
from rayster_spawner.service.streams import EventHandler, Streams
from rayster_spawner.sites.change import Change

from ..http_backend import until

MEBIBYTE = 2**20


class Endless(EventHandler):
    """Sends whatever the test's source has."""

    def initialize(self, streams: Streams, source: dict[str, Any]) -> None:
        self.streams, self.source = streams, source

    async def get(self) -> None:
        with self.streams.counted("ada"):
            await self.send_events("x", self.look, [self.source["change"]], self.streams)

    def look(self) -> Any:
        self.source["looks"] += 1
        return self.source["version"], {"text": self.source["text"]}


@pytest.fixture
async def source():
    """What is streamed; `port` is where."""
    streams = Streams(10, 10)
    source = {"change": Change(), "version": 0, "text": "", "looks": 0, "streams": streams}
    app = web.Application([("/", Endless, {"streams": streams, "source": source})])
    server = HTTPServer(app)
    server.listen(0, "127.0.0.1")
    source["port"] = next(iter(server._sockets.values())).getsockname()[1]
    yield source
    server.stop()
    await streams.close(2)
    await server.close_all_connections()


def connect(port: int) -> socket.socket:
    """Ask for the stream, and read nothing of it."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


async def test_a_page_that_never_reads_is_let_go(source, monkeypatch):
    # given: more than what the kernel takes for a page that does not read
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.5)
    source["text"] = "x" * 32 * MEBIBYTE
    client = connect(source["port"])
    await until(lambda: source["looks"])
    # then
    await until(lambda: source["streams"].open == 0)
    client.close()


async def test_a_page_that_reads_slowly_finds_the_newest_state_only(source):
    # given
    source["text"] = "x" * 16 * MEBIBYTE
    client = connect(source["port"])
    await until(lambda: source["looks"] == 1)
    # when
    for version in range(1, 1001):
        source["version"] = version
        source["change"].tell()
        await asyncio.sleep(0)
    # then: nothing piled up
    assert source["looks"] == 1
    # when
    source["text"] = "the newest"
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    tail = b""
    while b"the newest" not in tail:
        tail = (tail + await asyncio.wait_for(loop.sock_recv(client, MEBIBYTE), 30))[-100:]
    # then
    assert source["looks"] == 2
    client.close()


async def test_a_page_that_is_closed_ends_its_stream(source):
    # given
    client = connect(source["port"])
    await until(lambda: source["streams"].open == 1)
    # when
    client.close()
    # then
    await until(lambda: source["streams"].open == 0)
    assert not source["change"]._bells


async def test_streams_are_ended_in_time(source):
    # given
    client = connect(source["port"])
    await until(lambda: source["streams"].open == 1)
    # when
    await source["streams"].close(10)
    # then
    assert source["streams"].open == 0
    client.close()
