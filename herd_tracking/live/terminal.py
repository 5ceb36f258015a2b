"""A training in a terminal: a line per epoch, and the newest step below."""

import threading
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from herd_tracking.live.story import Story

_SHOWN_EPOCHS = 12


class TerminalView:
    """A table that is drawn again with each report."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title, self._story, self._lock = title, Story(), threading.Lock()
        self._live = Live(self._table(), console=console or Console(stderr=True), refresh_per_second=4)
        self._live.start()

    def report(self, report: dict[str, Any]) -> None:
        """Take a report; from any thread."""
        with self._lock:
            self._story.take(report)
            self._live.update(self._table())

    def finish(self, text: str = "") -> None:
        """Show the end and leave the table where it is."""
        with self._lock:
            if text:
                self._story.say(text)
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def _table(self) -> Table:
        story = self._story
        caption = "\n".join([story.headline(), *story.messages])
        table = Table(title=self._title, caption=caption, title_justify="left", caption_justify="left")
        for name in ("epoch", "training loss", "validation loss", "AUC", "events/s"):
            table.add_column(name, justify="right")
        for one in story.epochs[-_SHOWN_EPOCHS:]:
            table.add_row(
                f"{one['epoch']:.0f}",
                _number(one.get("train_loss", one.get("loss")), ".4f"),
                _number(one.get("val_loss"), ".4f"),
                _number(one.get("val_auc"), ".4f"),
                _number(one.get("events_per_s"), ",.0f"),
            )
        if story.steps:
            now = story.steps[-1]
            table.add_row(
                f"step {now['step']:.0f}",
                _number(now["loss"], ".4f"),
                "",
                "",
                _number(now.get("events_per_s"), ",.0f"),
            )
        return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
