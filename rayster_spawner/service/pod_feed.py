"""Keeps the pod cache up with the API server: a list, then a watch from there, and again after any outage."""

import asyncio
import json
from collections.abc import AsyncIterator
from logging import Logger
from typing import Any

from ..life.pod_status import Pod
from .pod_cache import PodCache, trim

# A watch ends this often by itself, so that an API server that has gone without a word is noticed.
WATCH_SECONDS = 20
ANSWER_SECONDS = 10
_PAGE = 250
_MAX_LINE_BYTES = 16 * 2**20
# Between two watches, in case they end at once.
_PAUSE_SECONDS = 0.2
_WAIT_SECONDS = (0.5, 1, 2, 5, 10)


class Expired(Exception):
    """The version that a watch began from is too old; a list is needed."""


class NoAnswer(Exception):
    """The API server answered with an error; the text says which."""


class PodFeed:
    """Follows all pods of ``namespace`` through ``api``, a CoreV1Api of kubernetes_asyncio.

    Not only the spawner's pods: another pod on a site's virtual node is a live job there, too.
    """

    def __init__(
        self, api: Any, namespace: str, cache: PodCache, log: Logger, watch_seconds: int = WATCH_SECONDS
    ):
        self._api, self._namespace, self._cache, self._log = api, namespace, cache, log
        self._watch_seconds = watch_seconds
        self._failures = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow()
            except Expired:
                self._log.info("The watch of pods has to begin anew")
                await asyncio.sleep(_WAIT_SECONDS[0])
            except Exception as error:
                if not self._failures:
                    self._log.warning("Pods cannot be followed: %s", error or type(error).__name__)
                wait_seconds = _WAIT_SECONDS[min(self._failures, len(_WAIT_SECONDS) - 1)]
                self._failures += 1
                await asyncio.sleep(wait_seconds)

    async def _follow(self) -> None:
        version = await self._list()
        while True:
            version = await self._watch(version)
            self._recovered()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _list(self) -> str:
        pods: list[Pod] = []
        page = ""
        while True:
            answer = await self._ask(limit=_PAGE, _continue=page or None, _request_timeout=ANSWER_SECONDS)
            async with answer:
                content = json.loads(await answer.read())
            pods += map(trim, content["items"])
            page = content["metadata"].get("continue") or ""
            if not page:
                break
        self._cache.replace(pods)
        return content["metadata"]["resourceVersion"]

    async def _watch(self, version: str) -> str:
        """Take what is new since ``version``. Returns the version to go on from."""
        answer = await self._ask(
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=self._watch_seconds,
            _request_timeout=self._watch_seconds + ANSWER_SECONDS,
        )
        async with answer:
            self._cache.hear()
            async for line in _lines(answer.content.iter_any()):
                version = self._take(json.loads(line))
                self._recovered()
        self._cache.hear()
        return version

    def _recovered(self) -> None:
        if self._failures:
            self._log.info("Pods are followed again")
            self._failures = 0

    def _take(self, event: dict[str, Any]) -> str:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == 410:
                raise Expired
            raise NoAnswer(f"the watch ended: {item.get('message') or item.get('reason')}")
        if kind in ("ADDED", "MODIFIED"):
            self._cache.put(trim(item))
        elif kind == "DELETED":
            self._cache.remove(trim(item))
        else:  # a bookmark
            self._cache.hear()
        return item["metadata"]["resourceVersion"]

    async def _ask(self, **query: Any) -> Any:
        """Return the answer, unread: models of a thousand pods would hold the streams up."""
        query = {name: value for name, value in query.items() if value is not None}
        answer = await self._api.list_namespaced_pod(self._namespace, _preload_content=False, **query)
        if answer.status == 200:
            return answer
        async with answer:
            if answer.status == 410:
                raise Expired
            raise NoAnswer(f"HTTP {answer.status}: {(await answer.text())[:300]}")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        if b"\n" not in chunk:
            if len(rest) > _MAX_LINE_BYTES:
                raise NoAnswer(f"an event of more than {_MAX_LINE_BYTES} bytes")
            continue
        *lines, last = bytes(rest).split(b"\n")
        rest = bytearray(last)
        for line in lines:
            if line.strip():
                yield line
