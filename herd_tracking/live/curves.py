"""The curves in a notebook: a widget that is told each report while the cell of the training runs."""

import threading
import time
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from herd_tracking.live.picture import picture
from herd_tracking.live.story import Story

_STATIC = Path(__file__).parent / "static"
_BETWEEN_SECONDS = 0.2
"""A fast training reports more often than anybody can see."""


class Curves(anywidget.AnyWidget):
    """Loss, AUC and speed, as ``told`` says them (`Story.as_dict`, and ``title``, ``is_over``)."""

    _esm = (_STATIC / "curves.js").read_text(encoding="utf-8")
    _css = (_STATIC / "curves.css").read_text(encoding="utf-8")
    told = traitlets.Dict().tag(sync=True)


class NotebookView:
    """Shows a `Curves`, and at its end puts a picture into the notebook, which stays when the kernel is gone."""

    def __init__(self, title: str) -> None:
        from IPython.display import display

        self._title, self._story, self._lock = title, Story(), threading.Lock()
        self._sent_at = 0.0
        self._timer: threading.Timer | None = None
        self.curves = Curves(told=self._told(False))
        display(self.curves)
        self._saved = display({"text/plain": title}, raw=True, display_id=True)

    def report(self, report: dict[str, Any]) -> None:
        """Take a report; from any thread."""
        with self._lock:
            self._story.take(report)
            wait = self._sent_at + _BETWEEN_SECONDS - time.monotonic()
            if wait <= 0:
                self._send()
            elif self._timer is None:
                self._timer = threading.Timer(wait, self._send_late)
                self._timer.daemon = True
                self._timer.start()

    def finish(self, text: str = "") -> None:
        """Show the end, and leave the picture."""
        with self._lock:
            if text:
                self._story.said = text
            self._send(is_over=True)
        if self._saved is not None and (self._story.steps or self._story.epochs):
            image = picture(self._story, f"{self._title}. {self._story.said}".strip())
            self._saved.update({"image/png": image, "text/plain": self._title}, raw=True)

    def _send_late(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._send()

    def _send(self, is_over: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._sent_at = time.monotonic()
        self.curves.told = self._told(is_over)

    def _told(self, is_over: bool) -> dict[str, Any]:
        return {**self._story.as_dict(), "title": self._title, "is_over": is_over}
