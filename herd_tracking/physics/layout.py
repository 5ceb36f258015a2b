"""What a report is made of: sections of panels, each drawn by matplotlib on axes of its own."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.theme import figures, themed

PANEL_INCHES = (4.2, 3.3)
LEGEND_ROW = 0.052
"""Height of one line of a legend, as a part of the panel's."""


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
        figure = Figure(figsize=PANEL_INCHES)
        axes = figure.add_axes((0.165, 0.14, 0.795, 0.8))
        panel.draw(axes, evaluation)
        # Fixed, for matplotlib's own layout takes as long as all the drawing.
        axes.set_position((0.165, 0.14, 0.795, 0.835 - legend_rows(axes) * LEGEND_ROW))
        written = io.StringIO()
        figure.savefig(written, format="svg")
    return themed(written.getvalue())


def legend_rows(axes: Any) -> int:
    """Return how many lines the legend above ``axes`` takes."""
    legend = axes.get_legend()
    return 0 if legend is None else -(-len(legend.get_texts()) // legend._ncols)
