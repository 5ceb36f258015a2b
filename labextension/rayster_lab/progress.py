"""Shows how waiting goes: in a notebook one output that changes, in a terminal a live text, elsewhere lines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, Protocol

from .client.feed import Snapshot
from .client.status import ClusterStatus
from .words import span

_ICONS = {
    "submitted": "…",
    "queued": "⧗",
    "starting": "◔",
    "joined": "✓",
    "running": "✓",
    "lost": "!",
    "failed": "✗",
    "stopping": "■",
    "suspended": "⏸",
    "unknown": "?",
}
_STYLES = {"joined": "green", "running": "green", "lost": "yellow", "failed": "red", "queued": "yellow"}


class Progress(Protocol):
    """Shows a moment of the wait, and a last one."""

    def show(self, text: list[tuple[str, str]]) -> None:
        """Show lines, each a state and what is said of it."""


def lines_of(snapshot: Snapshot, cluster_id: str) -> list[tuple[str, str]]:
    """Return what to show of a cluster: pairs of a state and a text, the first one the headline."""
    status = snapshot.cluster(cluster_id)
    lines = [("unknown" if snapshot.lost_since is not None else "submitted", f"Ray cluster {cluster_id}")]
    if status is not None:
        lines = [(status.state, f"{_title(status)}: {status.message} {span(status.elapsed_seconds)} so far.")]
        if status.head is not None and status.head.state != "joined":
            lines.append((status.head.state, f"head: {status.head}"))
        lines += [(row.state, f"worker {number}: {row}") for number, row in enumerate(status.workers, 1)]
        lines += [("lost", str(problem)) for problem in status.problems]
    if snapshot.lost_since is not None:
        lines.append(("unknown", f"{snapshot.fault} Trying again."))
    return lines


def _title(status: ClusterStatus) -> str:
    return (
        f"Ray cluster {status.name}"
        if status.name == status.id
        else f"Ray cluster {status.name} ({status.id})"
    )


@contextmanager
def progress() -> Iterator[Progress]:
    """Yield what shows progress where this code runs."""
    if in_notebook():
        yield _Output()
    elif sys.stdout.isatty():
        from rich.live import Live

        with Live(refresh_per_second=4) as live:
            yield _Terminal(live)
    else:
        yield _Lines()


def in_notebook() -> bool:
    """Tell whether there is a front-end that shows rich output."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


class _Output:
    """One output of a notebook, in place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: list[tuple[str, str]]) -> None:
        from IPython.display import display

        shown = _Shown(text)
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


class _Shown:
    def __init__(self, text: list[tuple[str, str]]) -> None:
        self._text = text

    def __repr__(self) -> str:
        return plain(self._text)

    def _repr_html_(self) -> str:
        (state, headline), *rows = self._text
        items = "".join(f'<li style="margin:0">{_icon(state)}{escape(text)}</li>' for state, text in rows)
        return (
            f'<div role="status" style="overflow-wrap:anywhere"><strong>{_icon(state)}{escape(headline)}</strong>'
            f'<ul style="list-style:none;margin:0.25em 0 0;padding:0">{items}</ul></div>'
        )


def _icon(state: str) -> str:
    icon = _ICONS.get(state, "·")
    return f'<span aria-hidden="true" style="display:inline-block;width:1.4em">{icon}</span>'


class _Terminal:
    def __init__(self, live: Any) -> None:
        self._live = live

    def show(self, text: list[tuple[str, str]]) -> None:
        from rich.text import Text

        shown = Text()
        for number, (state, line) in enumerate(text):
            shown.append(f"{_ICONS.get(state, '·')} ", style=_STYLES.get(state, ""))
            shown.append(f"{line}\n", style="" if number else "bold")
        shown.rstrip()
        self._live.update(shown)


class _Lines:
    """Only what has changed: the headline without its time, so that a log is not filled."""

    def __init__(self) -> None:
        self._said = ""

    def show(self, text: list[tuple[str, str]]) -> None:
        key = "\n".join(state for state, _ in text) + text[0][1].rpartition(" so far")[0].rpartition(".")[0]
        if key != self._said:
            self._said = key
            print(plain(text), flush=True)


def plain(text: list[tuple[str, str]]) -> str:
    """Return the lines as text."""
    return "\n".join(
        f"{'  ' if number else ''}{_ICONS.get(state, '·')} {line}"
        for number, (state, line) in enumerate(text)
    )
