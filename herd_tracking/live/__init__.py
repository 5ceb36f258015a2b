"""What a person sees while a network trains: curves in a notebook, a table in a terminal, nothing elsewhere."""

import sys
from typing import Any

from herd_tracking.live.places import is_notebook
from herd_tracking.live.story import Story

__all__ = ["Story", "live_view"]


def live_view(kind: str = "auto", title: str = "Training") -> Any:
    """Return what shows the reports of a training; it has ``report(dict)``, from any thread, and ``finish(text)``.

    ``kind``: ``notebook``, ``terminal``, ``none``, or ``auto``: what fits to where this runs. Raises ValueError.
    """
    if kind == "auto":
        kind = "notebook" if is_notebook() else "terminal" if sys.stderr.isatty() else "none"
    if kind == "notebook":
        from herd_tracking.live.curves import NotebookView

        return NotebookView(title)
    if kind == "terminal":
        from herd_tracking.live.terminal import TerminalView

        return TerminalView(title)
    if kind == "none":
        return SilentView()
    raise ValueError(f"live: {kind!r}; allowed are auto, notebook, terminal, none.")


class SilentView:
    """Shows nothing."""

    def report(self, report: dict[str, Any]) -> None:
        """Take a report."""

    def finish(self, text: str = "") -> None:
        """Take the end."""
