"""Server-sent events to hundreds of pages: to each the newest state, however slowly it reads, and a bound on all."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any, NamedTuple

from tornado import iostream, web

from ..sites.change import Change

KEEPALIVE_SECONDS = 15.0
# A page that has not taken one event by then has gone without a word.
WRITE_SECONDS = 30.0


class Last(NamedTuple):
    """The last event of a stream, which has a name of its own."""

    name: str
    event: dict[str, Any]


Look = Callable[[], tuple[Any, dict[str, Any]] | Last | None]


class Streams:
    """Counts open streams, and ends them all with the service."""

    def __init__(self, max_streams: int, max_streams_of_user: int):
        self._max, self._max_of_user = max_streams, max_streams_of_user
        self._open: Counter[str] = Counter()
        self.closing = Change()
        self.is_closing = False
        self._all_ended = asyncio.Event()

    @property
    def open(self) -> int:
        """How many streams are open."""
        return self._open.total()

    @contextlib.contextmanager
    def counted(self, user: str) -> Iterator[None]:
        """Count a stream of ``user`` while the context lasts. Raises HTTPError 429 or 503 when there are too many."""
        if self._open[user] >= self._max_of_user:
            raise web.HTTPError(
                429, f"you have {self._max_of_user} live pages open, which is all that may be"
            )
        if self.open >= self._max or self.is_closing:
            raise web.HTTPError(503, "too many live pages are open; try again later")
        self._open[user] += 1
        try:
            yield
        finally:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]
            if not self._open:
                self._all_ended.set()

    async def close(self, seconds: float) -> None:
        """End all streams; wait for them, but not longer than ``seconds``."""
        self.is_closing = True
        self.closing.tell()
        self._all_ended.clear()
        if self._open:
            await _rang(self._all_ended, seconds)


class EventHandler(web.RequestHandler):
    """A handler that can send server-sent events."""

    _bell: asyncio.Event | None = None
    _is_gone = False

    def on_connection_close(self) -> None:
        """Let the stream end with its page."""
        self._is_gone = True
        if self._bell is not None:
            self._bell.set()

    async def send_events(
        self,
        name: str,
        look: Look,
        changes: Iterable[Change],
        streams: Streams,
        repeats: bool = False,
        pause_seconds: float = 0,
    ) -> None:
        """Send what ``look`` sees, at once and whenever its key is another, until the page or the service goes.

        Arguments: ``look`` returns a key and an event, None while there is nothing to tell yet, or the `Last` event;
        ``changes`` ring when it is worth a look. With ``repeats`` an unchanged event is sent again instead of a bare
        keepalive. At least ``pause_seconds`` lie between two looks.
        """
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        # An nginx in between would gather events for a while.
        self.set_header("X-Accel-Buffering", "no")
        bell = self._bell = asyncio.Event()
        with contextlib.ExitStack() as stack:
            for change in (*changes, streams.closing):
                stack.enter_context(change.ringing(bell))
            told: Any = None
            quiet_until = 0.0
            while not (self._is_gone or streams.is_closing):
                bell.clear()
                seen, is_due = look(), monotonic() >= quiet_until
                if isinstance(seen, Last):
                    await self._send(_event(*seen))
                    return
                text = ": nothing new\n\n" if is_due else ""
                if seen is not None and (seen[0] != told or (is_due and repeats)):
                    told, text = seen[0], _event(name, seen[1])
                if text:
                    await self._send(text)
                    # From the last word on: bells that ring for nothing must not put the next one off.
                    quiet_until = monotonic() + KEEPALIVE_SECONDS
                await _rang(bell, quiet_until - monotonic())
                if pause_seconds:
                    await asyncio.sleep(pause_seconds)

    async def _send(self, text: str) -> None:
        """Write and wait until it is taken: nothing piles up for a page that does not read."""
        self.write(text)
        try:
            await asyncio.wait_for(self.flush(), WRITE_SECONDS)
        except iostream.StreamClosedError:
            self._is_gone = True
        except asyncio.TimeoutError:
            self._is_gone = True
            self.request.connection.stream.close()  # type: ignore[union-attr]


def _event(name: str, event: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(event)}\n\n"


async def _rang(bell: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(bell.wait(), seconds)
