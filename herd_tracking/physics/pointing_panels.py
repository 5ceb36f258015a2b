"""The figures about where tracks point."""

# ruff: noqa: RUF001 - figures print Greek letters and minus signs

from typing import Any

import numpy as np

from herd_tracking.physics.evaluation import ANGLE_EDGES_DEG, PULL_EDGES, Evaluation
from herd_tracking.physics.marks import legend, plain, styled
from herd_tracking.physics.matching import closed_form_deg
from herd_tracking.physics.panels import Draw, against
from herd_tracking.physics.theme import LIGHT
from herd_tracking.physics.wording import METRICS

LEAST_PULLS = 40
"""Of a few tracks one sees nothing, and their bins would make all others small."""


def angle_contained(axes: Any, evaluation: Evaluation) -> None:
    """Draw which part of the tracks points at least as well as the abscissa says."""
    for name, style in styled(evaluation):
        counts = evaluation.methods[name].angle_counts
        if counts.sum():
            part = 100 * np.cumsum(counts) / counts.sum()
            axes.plot(ANGLE_EDGES_DEG[1:], part, style.dashes, color=LIGHT[style.colour], label=name, lw=1.6)
    for level in (68, 95):
        axes.axhline(level, color=LIGHT["muted"], lw=0.8, ls=(0, (1, 2)))
        axes.annotate(
            f"{level} %",
            (0.01, level),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="bottom",
            fontsize="small",
        )
    axes.set(xlabel="Space angle to the true direction (°)", ylabel="Tracks within (%)", xscale="log")
    axes.set(xlim=(2e-3, 180), ylim=(0, 103))
    axes.xaxis.set_major_formatter(plain)
    legend(axes)


def pointing(percent: int, variable: str) -> Draw:
    """Return what draws the angle that contains ``percent`` of the tracks, with the closed form beside it."""
    metric = f"angle_{percent}"

    def draw(axes: Any, evaluation: Evaluation) -> None:
        pitch = evaluation.about.get("pitch_cm")
        if pitch:
            expected = closed_form_deg(evaluation.about["resolution_cm"], pitch, percent / 100)
            axes.axhline(expected, color=LIGHT["muted"], lw=1, ls=(0, (1, 2)), label="closed form")
        _on_scale_against(axes, evaluation, metric, variable)

    return draw


def impact(face: str, variable: str) -> Draw:
    """Return what draws how far off the tracks are at ``face``, one of `herd_tracking.physics.faces.FACES`."""

    def draw(axes: Any, evaluation: Evaluation) -> None:
        _on_scale_against(axes, evaluation, f"impact_{face}_68", variable)

    return draw


def _on_scale_against(axes: Any, evaluation: Evaluation, metric: str, variable: str) -> None:
    shown, above = on_scale(evaluation, metric)
    against(metric, variable, only=shown)(axes, evaluation)
    top = axes.get_ylim()[1]
    axes.set_ylim(0, top * (1.2 if above else 1.05))
    if above:
        known = METRICS[metric]
        unit = known.unit if known.unit == "°" else f" {known.unit}"
        told = (f"{name} ({_short(known.scale * value)}{unit})" for name, value in above.items())
        axes.annotate(
            "off scale: " + ", ".join(told),
            (0.99, 0.98),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize="small",
            color=LIGHT["muted"],
        )


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def on_scale(evaluation: Evaluation, metric: str, most: float = 6.0) -> tuple[list[str], dict[str, float]]:
    """Return the methods within ``most`` times the best value of ``metric``, and the values of the others.

    Those without any rejection are a thousand times worse, and would press all others together.
    """
    values = {name: one.numbers[metric].value for name, one in evaluation.methods.items()}
    known = {name: value for name, value in values.items() if np.isfinite(value)}
    best = min(known.values(), default=0.0)
    above = {name: value for name, value in known.items() if value > most * best}
    return [name for name in values if name not in above], above


def pulls(axes: Any, evaluation: Evaluation) -> None:
    """Draw the slopes' pulls of perfect tracks, beside the normal distribution that they should follow."""
    middle = (PULL_EDGES[1:] + PULL_EDGES[:-1]) / 2
    axes.plot(
        middle,
        np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi),
        color=LIGHT["muted"],
        lw=1,
        ls=":",
        label="normal, σ = 1",
    )
    for name, style in styled(evaluation):
        counts = evaluation.methods[name].pull_counts
        if counts.sum() >= LEAST_PULLS:
            density = counts / counts.sum() / np.diff(PULL_EDGES)
            error = np.sqrt(counts) / counts.sum() / np.diff(PULL_EDGES)
            axes.errorbar(
                middle, density, error, fmt=style.mark, color=LIGHT[style.colour], label=name, ms=3, lw=0.8
            )
    axes.set(xlabel="(fitted − true slope) / standard error", ylabel="Perfect tracks / unit", xlim=(-5, 5))
    axes.set_ylim(bottom=0)
    legend(axes)
