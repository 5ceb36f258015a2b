"""Tells any number of waiting streams that something is new, without a queue that could grow."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Change:
    """Rings the bells of all who wait. One that is busy meanwhile finds its bell rung once, and the newest state."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()

    def tell(self) -> None:
        """Ring."""
        for bell in self._bells:
            bell.set()

    @contextmanager
    def ringing(self, bell: asyncio.Event) -> Iterator[None]:
        """Ring ``bell``, too, at each change while the context lasts."""
        self._bells.add(bell)
        try:
            yield
        finally:
            self._bells.discard(bell)
