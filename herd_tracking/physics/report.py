"""The physics report: a page that stands alone, and the same as a PDF, from one call."""

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd_tracking.events import TrackingError
from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.theme import figures, themed

PANEL_INCHES = (4.5, 3.5)
EXAMPLE_INCHES = (4.5, 5.1)


@dataclass(frozen=True)
class Panel:
    """``draw(axes, evaluation)``; ``note``: what to look at."""

    title: str
    draw: Callable[[Any, Evaluation], None]
    note: str = ""


@dataclass(frozen=True)
class Section:
    """Panels that belong together under one heading."""

    title: str
    text: str
    panels: tuple[Panel, ...]


def write_report(
    evaluation: Evaluation,
    directory: str | Path,
    history: Iterable[Mapping[str, Any]] | None = None,
    *,
    geometry: Any = None,
    title: str = "HERD Fiber Tracker: track finding",
) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.pdf`` to ``directory`` and return their paths.

    ``history``: what `herd_tracking.train` returned as such, one mapping per epoch. The page needs nothing beside it:
    no other file, no network. Raises TrackingError where the directory cannot be written.
    """
    from herd_tracking.physics.page import render_page
    from herd_tracking.physics.paper import write_paper
    from herd_tracking.physics.sections import sections

    directory = Path(directory)
    parts = sections(evaluation, list(history or []), geometry)
    page, paper = directory / "report.html", directory / "report.pdf"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _replace(page, render_page(title, evaluation, parts).encode())
        _replace(paper, write_paper(title, evaluation, parts))
    except OSError as error:
        raise TrackingError(
            f"{directory}: the report cannot be written ({error}). Free space or choose another."
        ) from error
    return page, paper


def panel_svg(panel: Panel, evaluation: Evaluation) -> str:
    """Return ``panel`` as SVG to stand in a page, in the page's colours."""
    from matplotlib.figure import Figure

    with figures():
        figure = Figure(figsize=PANEL_INCHES, layout="constrained")
        panel.draw(figure.add_subplot(), evaluation)
        written = io.StringIO()
        figure.savefig(written, format="svg")
    return themed(written.getvalue())


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
