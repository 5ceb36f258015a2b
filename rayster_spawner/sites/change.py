"""Tells any number of waiting streams that something is new, without a queue that could grow."""

import asyncio


class Change:
    """A version that grows; whoever was busy meanwhile finds the newest one only."""

    def __init__(self) -> None:
        self.version = 0
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Wake everybody who waits."""
        self.version += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int) -> int:
        """Return the version as soon as it is another than ``seen``."""
        while self.version == seen:
            await self._event.wait()
        return self.version
