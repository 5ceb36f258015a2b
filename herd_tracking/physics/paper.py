"""The report as a PDF: a page of numbers, then the figures, six to a page."""

import io
import itertools
import textwrap
from typing import Any

from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.layout import Panel, Section, legend_rows
from herd_tracking.physics.page import facts, made, table_rows
from herd_tracking.physics.theme import LIGHT, figures, styles

A4_INCHES = (8.27, 11.69)
COLUMNS, ROWS = 2, 3


def write_paper(title: str, evaluation: Evaluation, sections: list[Section]) -> bytes:
    """Return the PDF's bytes."""
    from matplotlib.backends.backend_pdf import PdfPages

    written = io.BytesIO()
    with figures(7.5), PdfPages(written, metadata={"Title": title}) as paper:
        paper.savefig(_numbers(title, evaluation))
        numbers = itertools.count(2)
        for section in sections:
            for first in range(0, len(section.panels), COLUMNS * ROWS):
                panels = section.panels[first : first + COLUMNS * ROWS]
                paper.savefig(_figures(section, panels, evaluation, first == 0, next(numbers)))
    return written.getvalue()


def _numbers(title: str, evaluation: Evaluation) -> Any:
    from matplotlib.figure import Figure

    page = Figure(figsize=A4_INCHES)
    page.text(0.07, 0.95, title, fontsize=15, weight="bold", va="top")
    line = 0.915
    for name, value in facts(evaluation):
        page.text(0.07, line, name, color=LIGHT["muted"], va="top")
        wrapped = textwrap.wrap(value, 88) or [""]
        page.text(0.27, line, "\n".join(wrapped), va="top", linespacing=1.35)
        line -= 0.0135 * len(wrapped) + 0.002
    line -= 0.035
    names = list(evaluation.methods)
    looks = styles(names)
    places = [0.38 + 0.57 * (place + 1) / len(names) for place in range(len(names))]
    for name, place in zip(names, places, strict=True):
        heading = "\n".join(textwrap.wrap(name, 13))
        page.text(
            place, line, heading, color=LIGHT[looks[name].colour], weight="bold", ha="right", va="bottom"
        )
    _rule(page, line - 0.004, 0.9)
    for row in table_rows(evaluation):
        line -= 0.027
        unit = f" ({row['unit']})" if row["unit"] else ""
        page.text(0.07, line, row["label"] + unit, va="center")
        for (value, interval), place in zip(row["cells"], places, strict=True):
            page.text(place, line + (0.003 if interval else 0), value, ha="right", va="center")
            page.text(
                place, line - 0.0075, interval, ha="right", va="center", fontsize=5.5, color=LIGHT["muted"]
            )
        _rule(page, line - 0.0135, 0.4)
    page.text(0.07, 0.03, made(), color=LIGHT["muted"], fontsize=6.5)
    return page


def _rule(page: Any, height: float, width: float) -> None:
    from matplotlib.lines import Line2D

    page.add_artist(Line2D([0.07, 0.95], [height, height], lw=width, color=LIGHT["muted"]))


def _figures(section: Section, panels: Any, evaluation: Evaluation, begins: bool, number: int) -> Any:
    from matplotlib.figure import Figure

    page = Figure(figsize=A4_INCHES)
    page.text(
        0.07, 0.96, section.title + ("" if begins else " (continued)"), fontsize=12, weight="bold", va="top"
    )
    page.text(
        0.07,
        0.935,
        "\n".join(textwrap.wrap(section.text, 118)),
        va="top",
        color=LIGHT["muted"],
        fontsize=7,
        linespacing=1.35,
    )
    body = page.add_gridspec(
        ROWS, COLUMNS, left=0.1, right=0.96, top=0.835, bottom=0.06, hspace=0.55, wspace=0.28
    )
    for place, panel in enumerate(panels):
        axes = page.add_subplot(body[place // COLUMNS, place % COLUMNS])
        panel.draw(axes, evaluation)
        _title_above_legend(axes, panel)
    page.text(0.96, 0.025, str(number), ha="right", color=LIGHT["muted"], fontsize=6.5)
    return page


def _title_above_legend(axes: Any, panel: Panel) -> None:
    above = 5 + 9.2 * legend_rows(axes)
    notes = textwrap.wrap(panel.note, 74)
    axes.annotate(
        "\n".join(notes),
        (0, 1),
        (0, above),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        fontsize=5.5,
        color=LIGHT["muted"],
    )
    axes.set_title(panel.title, pad=above + 1 + 7.5 * len(notes))
