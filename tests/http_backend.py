"""A small HTTP server on a test's own loop, to stand for a hub or an agent, and the wait for what it brings about."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from aiohttp import web


class Backend(ABC):
    """Answers every GET as a subclass says; can go down and come back at the same address."""

    def __init__(self) -> None:
        self.url, self.port = "", 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve, at the same port as before."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Be down."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @abstractmethod
    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""


async def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first true answer of ``what``, on the loop."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        await asyncio.sleep(0.02)
    return answer
