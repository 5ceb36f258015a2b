"""`AsyncRayCluster`: the same as `RayCluster` for code that awaits; nothing blocks the event loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from .attaching import driver
from .client.errors import ClusterError
from .client.feed import Snapshot
from .client.status import ClusterStatus
from .cluster import RayCluster
from .progress import lines_of, progress
from .waiting import Goal, too_long

_TICK_SECONDS = 1.0


class AsyncRayCluster:
    """A Ray cluster; made by `create` or by ``async with AsyncRayCluster.create(…)``, taken up by `connect`."""

    def __init__(self, cluster: RayCluster) -> None:
        self._cluster = cluster

    @classmethod
    def create(cls, *args: Any, **options: Any) -> "_Creation":
        """Make a cluster; the arguments are those of `RayCluster`. To be awaited, or entered by ``async with``."""
        return _Creation(args, options)

    @classmethod
    async def connect(cls, cluster_id: str) -> "AsyncRayCluster":
        """Return a cluster that exists. Raises ClusterError."""
        return cls(await asyncio.to_thread(RayCluster.connect, cluster_id))

    @classmethod
    async def list(cls) -> "list[AsyncRayCluster]":
        """Return all your clusters. Raises ClusterError."""
        return [cls(one) for one in await asyncio.to_thread(RayCluster.list)]

    @property
    def id(self) -> str:
        """The cluster's name for programs."""
        return self._cluster.id

    @property
    def is_attached(self) -> bool:
        """Whether this process is the cluster's driver."""
        return self._cluster.is_attached

    async def status(self) -> ClusterStatus:
        """Return what the cluster is now. Raises ClusterError."""
        return await asyncio.to_thread(lambda: self._cluster.status)

    async def dashboard_url(self) -> str:
        """Return where a browser finds Ray's dashboard. Raises ClusterError."""
        return await asyncio.to_thread(lambda: self._cluster.dashboard_url)

    async def wait(self, workers: int | None = None, timeout: float | None = None) -> None:
        """Wait as `RayCluster.wait` does."""
        await self._wait(Goal(workers), timeout)

    async def attach(self, share_cpus: int = 0, timeout: float | None = None) -> None:
        """Make this process the cluster's driver, as `RayCluster.attach` does."""
        if not (await self.status()).is_head_up:
            await asyncio.to_thread(driver.prepare, share_cpus)
            await self._wait(Goal(head_alone=True), timeout)
        await asyncio.to_thread(driver.attach, self._cluster._session.service, self.id, share_cpus)

    async def detach(self) -> None:
        """End this process's part in the cluster."""
        await asyncio.to_thread(self._cluster.detach)

    async def scale(self, workers: int) -> None:
        """Ask for ``workers`` in all. Raises ClusterError."""
        await asyncio.to_thread(self._cluster.scale, workers)

    async def restart(self) -> None:
        """Begin anew, with a new head. Raises ClusterError."""
        await asyncio.to_thread(self._cluster.restart)

    async def logs(self, pod: str | None = None, tail: int = 1000) -> str:
        """Return what the head or a worker has printed. Raises ClusterError."""
        text = await asyncio.to_thread(self._cluster.logs, pod, False, tail)
        assert isinstance(text, str)
        return text

    async def follow_logs(self, pod: str | None = None, tail: int = 1000) -> AsyncIterator[str]:
        """Yield the lines of a log as they come. Raises ClusterError."""
        lines = iter(self._cluster.logs(pod, True, tail))
        end = object()
        while (line := await asyncio.to_thread(next, lines, end)) is not end:
            assert isinstance(line, str)
            yield line

    async def close(self) -> None:
        """Stop the cluster. Raises ClusterError."""
        await asyncio.to_thread(self._cluster.close)

    async def _wait(self, goal: Goal, timeout: float | None) -> ClusterStatus:
        loop, started = asyncio.get_running_loop(), time.monotonic()
        heard: asyncio.Queue[Snapshot] = asyncio.Queue()

        def hear(news: Snapshot) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, news)

        stop = self._cluster._session.feed.listen(hear)
        snapshot = Snapshot()
        try:
            with progress() as shown:
                while True:
                    left = None if timeout is None else started + timeout - time.monotonic()
                    newest = await _newest(
                        heard, snapshot, _TICK_SECONDS if left is None else min(_TICK_SECONDS, left)
                    )
                    if newest is not snapshot:
                        snapshot = await asyncio.to_thread(self._cluster.checked, newest)
                    shown.show(lines_of(snapshot, self.id))
                    if (
                        reached := await asyncio.to_thread(self._cluster.outcome, snapshot, goal)
                    ) is not None:
                        return reached
                    if left is not None and left <= 0:
                        assert timeout is not None
                        raise too_long(snapshot, self.id, goal, timeout)
        finally:
            stop()

    async def __aenter__(self) -> "AsyncRayCluster":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except ClusterError:
            if error is None:
                raise

    def __repr__(self) -> str:
        return f'await AsyncRayCluster.connect("{self.id}")'

    def _ipython_display_(self) -> None:
        self._cluster._ipython_display_()


class _Creation:
    """A cluster that is being made: awaited, or entered."""

    def __init__(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._args, self._options = args, options
        self._made: AsyncRayCluster | None = None

    async def _make(self) -> AsyncRayCluster:
        return AsyncRayCluster(await asyncio.to_thread(RayCluster, *self._args, **self._options))

    def __await__(self) -> Any:
        return self._make().__await__()

    async def __aenter__(self) -> AsyncRayCluster:
        self._made = await self._make()
        return self._made

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._made is not None
        await self._made.__aexit__(kind, error, trace)


async def _newest(heard: "asyncio.Queue[Snapshot]", last: Snapshot, seconds: float) -> Snapshot:
    """Return the newest snapshot, after at most ``seconds`` the ``last`` one."""
    try:
        last = await asyncio.wait_for(heard.get(), max(0.0, seconds))
    except asyncio.TimeoutError:
        return last
    while not heard.empty():
        last = heard.get_nowait()
    return last
