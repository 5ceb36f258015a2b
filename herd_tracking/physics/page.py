"""The report as one HTML file: figures within it, colours by the reader's theme, readable on a narrow screen."""

# ruff: noqa: RUF001 - a dash where there is no number

import platform
from datetime import datetime, timezone
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from herd_tracking.events import HIT_CLASSES
from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.layout import Section, panel_svg
from herd_tracking.physics.theme import DARK, LIGHT, css_variables, styles
from herd_tracking.physics.wording import METRICS, number, particles


def render_page(title: str, evaluation: Evaluation, sections: list[Section]) -> str:
    """Return the whole page; whatever comes from data or names is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("herd_tracking.physics"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = {
        (section.title, panel.title): Markup(panel_svg(panel, evaluation))  # noqa: S704 - matplotlib escaped its texts
        for section in sections
        for panel in section.panels
    }
    return environment.get_template("report.html.j2").render(
        title=title,
        facts=facts(evaluation),
        styles=styles(list(evaluation.methods)),
        methods=evaluation.methods,
        rows=table_rows(evaluation),
        sections=sections,
        figures=figures,
        light=Markup(css_variables(LIGHT)),  # noqa: S704 - our own constants
        dark=Markup(css_variables(DARK)),  # noqa: S704
        made=made(),
    )


def facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return what was measured, as pairs of name and value."""
    about = evaluation.about
    low, high = about["energy_gev"]
    found = [
        ("Data", str(about["data"])) if "data" in about else None,
        ("Events", f"{about['events']:,} ({particles(about['particles'])})"),
        ("Energy", f"{low:.4g} to {high:.4g} GeV"),
        ("Hits", f"{about['hits']:,}, {100 * about['signal_fraction']:.3g} % of them the primary's"),
        (
            "Reconstructable",
            f"{about['reconstructable']:,} events: at least 4 of 7 superlayers hit in each view",
        ),
        ("Working point", about["threshold"]),
        ("Hits in the fit", f"{about['fit_threshold']}, weighted by their score"),
        ("Hit resolution in the fit", f"{1e4 * about['resolution_cm']:.3g} µm"),
        (
            "Intervals",
            f"{100 * about['confidence']:.3g} % (one standard deviation): fractions by Clopper and Pearson, "
            "containments by the binomial distribution of the rank, areas by 20 groups of events",
        ),
    ]
    extra = [(str(key), str(value)) for key, value in about.get("more", {}).items()]
    return [one for one in found if one is not None] + extra


def table_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return a row for each metric that a method has: its label, unit, explanation, and value with interval."""
    rows = []
    for key, metric in METRICS.items():
        if key == f"kept_{HIT_CLASSES[0]}":
            continue
        cells = [
            number(method.numbers[key], metric) if key in method.numbers else ("–", "")
            for method in evaluation.methods.values()
        ]
        if any(value != "–" for value, _ in cells):
            rows.append({"label": metric.label, "unit": metric.unit, "text": metric.text, "cells": cells})
    return rows


def summary_table(evaluation: Evaluation) -> str:
    """Return the summary as an HTML table that has a notebook's own look."""
    about = evaluation.about
    heads = "".join(f"<th>{escape(name)}</th>" for name in evaluation.methods)
    rows = ""
    for row in table_rows(evaluation):
        label = f"{row['label']} ({row['unit']})" if row["unit"] else row["label"]
        cells = "".join(f"<td>{' '.join(filter(None, cell))}</td>" for cell in row["cells"])
        rows += f"<tr><td>{escape(label)}</td>{cells}</tr>"
    said = f"{about['events']:,} events, {about['hits']:,} hits; intervals {100 * about['confidence']:.3g} %"
    return f"<table><caption>{said}</caption><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def made() -> str:
    """Return when and with which versions a report was made."""
    parts = [f"Python {platform.python_version()}"]
    for package in ("numpy", "torch"):
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {', '.join(parts)}"
