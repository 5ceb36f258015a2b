"""The logs that open panels show: each follows its pod in a thread, in bounded portions, until the panel goes."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from ..client.errors import ClusterError
from ..client.logs import follow_log
from ..client.service import Service

# A page that has gone says nothing; one that is there says so every 30 s.
_PATIENCE_SECONDS = 100.0
_PORTION_SECONDS = 0.2
_TAIL_LINES = 500
_MAX_LINES, _MAX_LINE_CHARACTERS = 1000, 4000
_MAX_STREAMS = 8

Send = Callable[[dict[str, Any]], None]


class LogStreams:
    """At most one log for each view of a panel; ``send`` sends a message to all of them."""

    def __init__(self, service: Service, send: Send) -> None:
        self._service, self._send = service, send
        self._lock = threading.Lock()
        self._open: dict[str, _Stream] = {}

    def open(self, view: str, cluster_id: str, pod: str | None) -> None:
        """Show a pod's log in ``view``, instead of what it shows."""
        self.close(view)
        with self._lock:
            while len(self._open) >= _MAX_STREAMS:
                self._open.pop(next(iter(self._open))).stop()
            stream = self._open[view] = _Stream(view, self._send)
        lines = follow_log(self._service, cluster_id, pod, _TAIL_LINES)
        threading.Thread(target=stream.read, args=(lines,), name="rayster-log", daemon=True).start()
        threading.Thread(target=stream.pass_on, name="rayster-log-out", daemon=True).start()

    def keep(self, view: str) -> None:
        """Note that ``view`` is still there."""
        with self._lock:
            if view in self._open:
                self._open[view].seen_at = time.monotonic()

    def close(self, view: str) -> None:
        """End the log of ``view``."""
        with self._lock:
            stream = self._open.pop(view, None)
        if stream is not None:
            stream.stop()


class _Stream:
    def __init__(self, view: str, send: Send) -> None:
        self._view, self._send = view, send
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)
        self._left_out = 0
        self._end: str | None = None
        self._bell = threading.Condition()
        self._is_stopped = False
        self.seen_at = time.monotonic()

    def stop(self) -> None:
        with self._bell:
            self._is_stopped = True
            self._bell.notify_all()

    def read(self, lines: Iterator[str]) -> None:
        """Read the log; ends at the next line after `stop`."""
        end = "The log has ended."
        try:
            for line in lines:
                with self._bell:
                    if self._is_stopped:
                        return
                    self._left_out += len(self._lines) == _MAX_LINES
                    self._lines.append(line[:_MAX_LINE_CHARACTERS])
                    self._bell.notify_all()
        except ClusterError as error:
            end = str(error)
        with self._bell:
            self._end = end
            self._bell.notify_all()

    def pass_on(self) -> None:
        """Send what was read, in portions, until the log or the panel ends."""
        while True:
            with self._bell:
                if not (self._lines or self._end or self._is_stopped):
                    self._bell.wait(timeout=_PATIENCE_SECONDS)
                if time.monotonic() - self.seen_at > _PATIENCE_SECONDS:
                    self._is_stopped = True
                if self._is_stopped:
                    return
                lines, left_out, end = list(self._lines), self._left_out, self._end
                self._lines.clear()
                self._left_out = 0
            if left_out:
                lines.insert(0, f"… {left_out} lines left out: the log is faster than this panel …")
            self._send({"kind": "log", "view": self._view, "lines": lines, "end": end})
            if end is not None:
                return
            time.sleep(_PORTION_SECONDS)
