"""Level-triggered control loops: a cache kept current by list and watch, and a queue that calls a handler per key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

import structlog

from rayster_testbed.kube import TROUBLE, KubeClient, Obj

log = structlog.get_logger()

Key = tuple[str, str]
# Called with (old, new): old is None for a new object, new is None for one that is gone.
OnChange = Callable[[Obj | None, Obj | None], None]

_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 3.0


class Informer:
    """The current objects of one collection, by (namespace, name), with a callback for each change."""

    def __init__(
        self,
        client: KubeClient,
        url_path: str,
        *,
        field_selector: str = "",
        label_selector: str = "",
        on_change: OnChange | None = None,
    ) -> None:
        self.items: dict[Key, Obj] = {}
        self.synced = asyncio.Event()
        self._client = client
        self._path = url_path
        selectors = {"fieldSelector": field_selector, "labelSelector": label_selector}
        self._selector = {name: text for name, text in selectors.items() if text}
        self._on_change = on_change

    async def run(self) -> None:
        """Follow the collection for ever; an outage is waited out, then everything is listed again."""
        delay = _FIRST_RETRY_SECONDS
        while True:
            try:
                version = await self._list()
                delay = _FIRST_RETRY_SECONDS
                while True:
                    version = await self._watch(version)
            except (*TROUBLE, ValueError) as error:
                log.info("watch interrupted", path=self._path, error=str(error) or type(error).__name__)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LAST_RETRY_SECONDS)

    async def _list(self) -> str:
        answer = await self._client.get(self._path, **self._selector)
        listed = {_key(item): item for item in answer.get("items") or []}
        for key in set(self.items) - set(listed):
            self._apply(key, None)
        for key, item in listed.items():
            old = self.items.get(key)
            if old is not None and old["metadata"].get("uid") != item["metadata"].get("uid"):
                self._apply(key, None)
            self._apply(key, item)
        self.synced.set()
        return answer["metadata"]["resourceVersion"]

    async def _watch(self, version: str) -> str:
        stream = self._client.watch(
            self._path, {"resourceVersion": version, "allowWatchBookmarks": "true", **self._selector}
        )
        async for kind, item in stream:
            version = item["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                self._apply(_key(item), None if kind == "DELETED" else item)
        return version

    def _apply(self, key: Key, new: Obj | None) -> None:
        old = self.items.pop(key, None)
        if new is not None:
            self.items[key] = new
        if self._on_change is not None and (old is not None or new is not None):
            self._on_change(old, new)


def _key(item: Obj) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


# A handler looks at the world, does what is needed now, and says in how many seconds it wants to look again.
Handler = Callable[[Hashable], Awaitable[float | None]]


class Reconciler:
    """Calls a handler for each key that was added: never twice at once for a key, again later when it fails."""

    def __init__(
        self, handler: Handler, *, first_retry_seconds: float = 0.5, last_retry_seconds: float = 30
    ) -> None:
        self._handler = handler
        self._first_retry_seconds = first_retry_seconds
        self._last_retry_seconds = last_retry_seconds
        self._running: set[Hashable] = set()
        self._again: set[Hashable] = set()
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._failures: dict[Hashable, int] = {}
        self._tasks: set[asyncio.Task] = set()
        self._closed = False

    def add(self, key: Hashable) -> None:
        """Look at *key* as soon as possible; if it is being looked at, once more after that."""
        if self._closed:
            return
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._running:
            self._again.add(key)
            return
        self._running.add(key)
        task = asyncio.ensure_future(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Forget every key, end what runs, and take no more."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, key: Hashable) -> None:
        delay: float | None
        try:
            delay = await self._handler(key)
            self._failures.pop(key, None)
        except Exception as error:  # a key that fails must neither stop the others nor be forgotten
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = min(self._first_retry_seconds * 2 ** (failures - 1), self._last_retry_seconds)
            expected = isinstance(error, TROUBLE)
            log.warning("will retry", key=key, in_seconds=delay, error=repr(error), exc_info=not expected)
        finally:
            self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif delay is not None:
            self._timers[key] = asyncio.get_running_loop().call_later(delay, self.add, key)
