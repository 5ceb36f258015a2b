"""How far a long work on events is: a bar in a terminal and in a notebook, nothing elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from herd_tracking.live.places import is_notebook
from herd_tracking.live.story import duration

_BETWEEN_SECONDS = 0.25


@contextmanager
def event_bar(doing: str, total: int, is_shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Yield what is called with so many events more; ``doing`` says what is done with them, ``total`` how many."""
    if is_shown and is_notebook():
        with _notebook_bar(doing, total) as advance:
            yield advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn("events"))
    console = Console(stderr=True)
    is_off = not (is_shown and sys.stderr.isatty())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=is_off) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda events: bar.advance(task, events)


@contextmanager
def _notebook_bar(doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """The same as HTML: rich's own bar is a widget there, which a notebook without its kernel cannot show."""
    from IPython.display import display

    begun = time.monotonic()
    shown_at, done = begun, 0

    def told() -> dict[str, str]:
        seconds = time.monotonic() - begun
        text = f"{doing}: {done:,} of {total:,} events"
        if 0 < done < total:
            text += f", about {duration(seconds * (total - done) / done)} left"
        elif done:
            text += f" in {duration(seconds)}"
        drawn = "" if done >= total else f'<progress value="{done}" max="{total}"></progress> '
        return {"text/plain": text, "text/html": drawn + text}

    handle = display(told(), raw=True, display_id=True)

    def advance(events: int) -> None:
        nonlocal shown_at, done
        done += events
        if time.monotonic() - shown_at >= _BETWEEN_SECONDS:
            shown_at = time.monotonic()
            show()

    def show() -> None:
        if handle is not None:
            handle.update(told(), raw=True)

    try:
        yield advance
    finally:
        show()
