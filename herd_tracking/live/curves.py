"""The curves in a notebook: a widget that is told each report while the cell of the training runs."""

import threading
import time
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from herd_tracking.live.picture import page
from herd_tracking.live.story import Story

_STATIC = Path(__file__).parent / "static"
_BETWEEN_SECONDS = 0.4
"""A fast training reports more often than anybody can see."""


class Curves(anywidget.AnyWidget):
    """Loss, AUC and speed, as ``told`` says them (`Story.as_dict`, and ``title``, ``headline``)."""

    _esm = (_STATIC / "curves.js").read_text(encoding="utf-8")
    _css = (_STATIC / "curves.css").read_text(encoding="utf-8")
    told = traitlets.Dict().tag(sync=True)


class NotebookView:
    """Shows a `Curves`, and at the end pictures in its place: a notebook that is opened again has no live widgets."""

    def __init__(self, title: str) -> None:
        from IPython.display import display

        self._title, self._story, self._lock = title, Story(), threading.Lock()
        self._sent_at = 0.0
        self._timer: threading.Timer | None = None
        self._is_over = False
        self.curves = Curves(told=self._told())
        self._shown = display(self.curves, display_id=True)

    def report(self, report: dict[str, Any]) -> None:
        """Take a report; from any thread."""
        with self._lock:
            self._story.take(report)
            wait = self._sent_at + _BETWEEN_SECONDS - time.monotonic()
            if self._is_over or self._timer is not None:
                return
            if wait <= 0:
                self._send()
            else:
                self._timer = threading.Timer(wait, self._send_late)
                self._timer.daemon = True
                self._timer.start()

    def finish(self, text: str = "") -> None:
        """Leave the pictures, or only the last words of a training that had no point of a curve."""
        with self._lock:
            self._is_over = True
            if self._timer is not None:
                self._timer.cancel()
            if text:
                self._story.say(text)
            story = self._story
            left = {
                "text/plain": "\n".join([f"{self._title}: {story.headline(is_over=True)}", *story.messages]),
                "text/html": page(story, self._title),
            }
        if self._shown is not None:
            self._shown.update(left, raw=True)
        self.curves.close()

    def _send_late(self) -> None:
        with self._lock:
            if not self._is_over:
                self._send()

    def _send(self) -> None:
        self._timer = None
        self._sent_at = time.monotonic()
        self.curves.told = self._told()

    def _told(self) -> dict[str, Any]:
        return {**self._story.as_dict(), "title": self._title, "headline": self._story.headline()}
