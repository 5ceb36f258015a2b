"""The physics report: a page that stands alone, and the same as a PDF, from one call."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from herd_tracking.events import TrackingError
from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.page import render_page
from herd_tracking.physics.paper import write_paper
from herd_tracking.physics.sections import sections


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


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
