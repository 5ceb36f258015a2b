"""The client of an interLink plugin; its errors read as they do after interLink's API server has passed them on."""

from __future__ import annotations

import asyncio
import html
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp

from rayster_testbed.kube import Obj

_SUBMIT_SECONDS = 300.0
_ANSWER_SECONDS = 30.0
_AWAY = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


class PluginError(Exception):
    """The plugin refused or is away; `status` and `text` are those of interLink's API server."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status
        self.text = text


def creation_error(failure: PluginError) -> str:
    """`status.message` of a pod whose creation failed (`RemoteExecution` of interLink's virtual kubelet)."""
    plain = f"error creating pod (HTTP {failure.status}): {failure.text}"
    quoted = json.dumps(plain, ensure_ascii=False)  # Go's %#v quotes as JSON does for the text seen here
    detail = f"&errors.errorString{{s:{quoted}}}"
    return (
        f"error doing createRequest() in RemoteExecution() return value  error detail {detail} error: {plain}"
    )


def passed_on(session: str, body: str) -> str:
    """The body that interLink's API server makes of a plugin's refusal (`ReqWithError`): wrapped and HTML-escaped."""
    return (
        html.escape(f"HTTP InterLink session {session}:  call exit status: 500. Body: {body}")
        .replace("&#x27;", "&#39;")
        .replace("&quot;", "&#34;")
    )


class Plugin:
    """One plugin. Use as an async context manager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Plugin:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def create(self, request: Obj) -> Obj:
        """Submit a pod: `{"pod", "container", "jobConfig"}` in, `{"PodUID", "PodJID"}` out. Raises: PluginError."""
        text = await self._call("POST", "/create", request, "CreatePod", timeout_seconds=_SUBMIT_SECONDS)
        try:
            return json.loads(text)
        except ValueError as error:
            raise PluginError(200, text) from error

    async def delete(self, pod: Obj) -> None:
        """Raises: PluginError."""
        await self._call("POST", "/delete", pod, "DeletePod")

    async def status(self, pods: Sequence[Obj]) -> list[Obj]:
        """The plugin's status of each pod. Raises: PluginError, also for an answer that is no list."""
        text = await self._call("GET", "/status", list(pods), "GetStatus")
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise PluginError(200, text) from error
        return answer or []

    async def ping(self) -> str:
        """The body of the answer to a ping. Raises: PluginError."""
        return await self._call("GET", "/status", [], "Ping")

    async def logs(self, request: Obj) -> AsyncIterator[bytes]:
        """A container's log in pieces, for as long as the plugin sends. Raises: PluginError."""
        assert self._session is not None, "use Plugin as an async context manager"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_ANSWER_SECONDS)
        try:
            async with self._session.get(self._url + "/getLogs", json=request, timeout=timeout) as response:
                if response.status != 200:
                    raise PluginError(response.status, await response.text())
                async for piece in response.content.iter_any():
                    yield piece
        except _AWAY as error:
            raise PluginError(500, str(error)) from error

    async def _call(
        self, method: str, path: str, body: Any, session: str, timeout_seconds: float = _ANSWER_SECONDS
    ) -> str:
        assert self._session is not None, "use Plugin as an async context manager"
        name = f"{session}#{random.randrange(100000)}"  # noqa: S311  (a label for logs)
        headers: Mapping[str, str] = {"InterLink-Http-Session": name}
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            async with self._session.request(
                method, self._url + path, json=body, headers=headers, timeout=timeout
            ) as response:
                text = await response.text()
        except _AWAY as error:
            # interLink's API server answers 500 without a body when it cannot reach its plugin.
            raise PluginError(500, "") from error
        if response.status != 200:
            raise PluginError(response.status, passed_on(name, text))
        return text
