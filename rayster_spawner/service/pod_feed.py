"""Keeps a cache up with the API server: a list, then a watch from there, and again after any outage."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from logging import Logger
from typing import Any, Protocol

from .pod_cache import PodCache, trim

# A watch ends this often by itself, so that an API server that has gone without a word is noticed.
WATCH_SECONDS = 20
ANSWER_SECONDS = 10
_PAGE = 250
_MAX_LINE_BYTES = 16 * 2**20
# Between two watches, in case they end at once.
_PAUSE_SECONDS = 0.2
_WAIT_SECONDS = (0.5, 1, 2, 5, 10)
# Somebody installs what defines them now and then, not every second.
_NOT_SERVED_SECONDS = 15

Item = dict[str, Any]


class Expired(Exception):
    """The version that a watch began from is too old; a list is needed."""


class NoAnswer(Exception):
    """The API server answered with an error; the text says which."""


class NotServed(Exception):
    """The API server does not have this kind of object, or lets nobody here see it; the text says which."""


class Cache(Protocol):
    """What a feed keeps up."""

    def hear(self) -> None:
        """Note that the API server spoke."""

    def replace(self, items: Iterable[Item], /) -> None:
        """Take ``items`` for all there are."""

    def put(self, item: Item, /) -> None:
        """Add an object, or what is new of one."""

    def remove(self, item: Item, /) -> None:
        """Forget an object that is gone."""


class Feed:
    """Follows all objects of one kind.

    Arguments: ``ask`` asks the API server for them with the query of a list, and returns the unread answer; ``trim``
    returns what is worth keeping of one; ``noun`` is what they are called in the log. ``not_served`` is told why when
    the API server does not have them (without it, that is an outage like any other).
    """

    def __init__(
        self,
        ask: Callable[..., Awaitable[Any]],
        cache: Cache,
        trim: Callable[[Item], Item],
        noun: str,
        log: Logger,
        watch_seconds: int = WATCH_SECONDS,
        not_served: Callable[[str], None] | None = None,
    ):
        self._ask_for, self._cache, self._trim, self._noun, self._log = ask, cache, trim, noun, log
        self._watch_seconds, self._not_served = watch_seconds, not_served
        self._failures = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow()
            except Expired:
                self._log.info("The watch of %s has to begin anew", self._noun)
                await asyncio.sleep(_WAIT_SECONDS[0])
            except NotServed as error:
                if not self._failures:
                    self._log.warning("There are no %s: %s", self._noun, error)
                self._failures += 1
                assert self._not_served is not None
                self._not_served(str(error))
                await asyncio.sleep(_NOT_SERVED_SECONDS)
            except Exception as error:
                if not self._failures:
                    self._log.warning(
                        "%s cannot be followed: %s", self._noun.capitalize(), error or type(error).__name__
                    )
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
        items: list[Item] = []
        page = ""
        while True:
            answer = await self._ask(limit=_PAGE, _continue=page or None, _request_timeout=ANSWER_SECONDS)
            async with answer:
                content = json.loads(await answer.read())
            items += map(self._trim, content["items"])
            page = content["metadata"].get("continue") or ""
            if not page:
                break
        self._cache.replace(items)
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
            self._log.info("%s are followed again", self._noun.capitalize())
            self._failures = 0

    def _take(self, event: dict[str, Any]) -> str:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == 410:
                raise Expired
            raise NoAnswer(f"the watch ended: {item.get('message') or item.get('reason')}")
        if kind in ("ADDED", "MODIFIED"):
            self._cache.put(self._trim(item))
        elif kind == "DELETED":
            self._cache.remove(self._trim(item))
        else:  # a bookmark
            self._cache.hear()
        return item["metadata"]["resourceVersion"]

    async def _ask(self, **query: Any) -> Any:
        """Return the answer, unread: models of a thousand objects would hold the streams up."""
        query = {name: value for name, value in query.items() if value is not None}
        answer = await self._ask_for(_preload_content=False, **query)
        if answer.status == 200:
            return answer
        async with answer:
            if answer.status == 410:
                raise Expired
            said = f"HTTP {answer.status}: {(await answer.text())[:300]}"
            if answer.status in (403, 404) and self._not_served is not None:
                raise NotServed(said)
            raise NoAnswer(said)


class PodFeed(Feed):
    """Follows all pods of ``namespace`` through ``api``, a CoreV1Api of kubernetes_asyncio.

    Not only the spawner's pods: another pod on a site's virtual node is a live job there, too.
    """

    def __init__(
        self, api: Any, namespace: str, cache: PodCache, log: Logger, watch_seconds: int = WATCH_SECONDS
    ):
        async def ask(**query: Any) -> Any:
            return await api.list_namespaced_pod(namespace, **query)

        super().__init__(ask, cache, trim, "pods", log, watch_seconds)


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
