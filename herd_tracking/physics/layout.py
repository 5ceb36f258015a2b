"""What a report is made of: sections of panels, each drawn by matplotlib on axes of its own."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.theme import figures, themed

PANEL_INCHES = (4.2, 3.3)


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


def panel_svg(panel: Panel, evaluation: Evaluation) -> str:
    """Return ``panel`` as SVG to stand in a page, in the page's colours."""
    from matplotlib.figure import Figure

    with figures():
        figure = Figure(figsize=PANEL_INCHES, layout="constrained")
        panel.draw(figure.add_subplot(), evaluation)
        written = io.StringIO()
        figure.savefig(written, format="svg")
    return themed(written.getvalue())
