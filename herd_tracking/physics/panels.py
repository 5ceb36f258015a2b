"""The figures about hits: what scores tell apart, and any metric against any variable."""

from collections.abc import Callable
from typing import Any

import numpy as np

from herd_tracking.events import HIT_CLASSES
from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.intervals import Estimates
from herd_tracking.physics.marks import (
    DODGE,
    between,
    floor_of,
    legend,
    lowest,
    marks,
    name_bins,
    plain,
    styled,
    value_axis,
)
from herd_tracking.physics.theme import CLASS_COLOURS, LIGHT
from herd_tracking.physics.variables import VARIABLES
from herd_tracking.physics.wording import METRICS

Draw = Callable[[Any, Evaluation], None]
SHOWN_EFFICIENCY = 0.5
"""Curves begin here: nobody works at less."""


def against(metric: str, variable: str, logarithmic: bool = False, only: list[str] | None = None) -> Draw:
    """Return what draws ``metric`` in bins of ``variable``, a mark with its interval for each method (of ``only``)."""

    def draw(axes: Any, evaluation: Evaluation) -> None:
        edges, kind = evaluation.edges[variable], VARIABLES[variable]
        shown = {
            name: one
            for name, one in evaluation.methods.items()
            if variable in one.binned.get(metric, {}) and (only is None or name in only)
        }
        scale = METRICS[metric].scale
        floor = floor_of([one.binned[metric][variable] for one in shown.values()]) if logarithmic else 0.0
        for place, (name, style) in enumerate(styled(evaluation, list(shown))):
            shift = DODGE * (place - (len(shown) - 1) / 2)
            x = between(edges, 0.5 + shift, kind.logarithmic)
            marks(axes, x, shown[name].binned[metric][variable], scale, floor, style, name)
        name_bins(axes, edges, variable)
        value_axis(axes, metric, logarithmic)
        legend(axes)

    return draw


def roc(axes: Any, evaluation: Evaluation) -> None:
    """Draw the part of the background kept against hit efficiency; selections and working points are marks."""
    for name, style in styled(evaluation):
        method = evaluation.methods[name]
        if method.curves is not None:
            rate, efficiency = method.curves.false_positive_rate, method.curves.true_positive_rate
            inside = (rate > 0) & (efficiency >= SHOWN_EFFICIENCY)
            axes.plot(
                100 * efficiency[inside],
                100 * rate[inside],
                style.dashes,
                color=LIGHT[style.colour],
                label=f"{name} (AUC {method.curves.auc.value:.4f})",
            )
        kept, at = method.numbers["background_kept"].value, method.numbers["hit_efficiency"].value
        if kept > 0:
            label = name if method.curves is None else None
            axes.plot(100 * at, 100 * kept, style.mark, color=LIGHT[style.colour], label=label, ms=6)
    axes.set(
        xlabel="Hit efficiency (%)",
        ylabel="Background kept (%)",
        yscale="log",
        xlim=(100 * SHOWN_EFFICIENCY, 100.8),
        ylim=(None, 140),
    )
    axes.yaxis.set_major_formatter(plain)
    legend(axes)


def precision(axes: Any, evaluation: Evaluation) -> None:
    """Draw hit purity against hit efficiency."""
    for name, style in styled(evaluation):
        method = evaluation.methods[name]
        if method.curves is not None:
            axes.plot(
                100 * method.curves.true_positive_rate,
                100 * method.curves.purity,
                style.dashes,
                color=LIGHT[style.colour],
                label=name,
            )
        numbers = method.numbers
        axes.plot(
            100 * numbers["hit_efficiency"].value,
            100 * numbers["hit_purity"].value,
            style.mark,
            color=LIGHT[style.colour],
            label=name if method.curves is None else None,
            ms=6,
        )
    axes.set(
        xlabel="Hit efficiency (%)",
        ylabel="Hit purity (%)",
        xlim=(100 * SHOWN_EFFICIENCY, 100.8),
        ylim=(0, 104),
    )
    legend(axes)


def score_classes(name: str) -> Draw:
    """Return what draws how the scores of method ``name`` are spread, for each class of hits, with its threshold."""

    def draw(axes: Any, evaluation: Evaluation) -> None:
        method = evaluation.methods[name]
        assert method.curves is not None
        edges = np.linspace(0, 1, method.curves.score_counts.shape[1] + 1)
        for number, kind in enumerate(HIT_CLASSES):
            counts = method.curves.score_counts[number]
            label = {"delta": "δ-rays"}.get(kind, kind)
            axes.stairs(
                counts,
                edges,
                color=LIGHT[CLASS_COLOURS[kind]],
                label=label,
                lw=1.4,
                ls=("-", (0, (4, 1)), "--", ":")[number],
                baseline=None,
            )
        axes.axvline(
            method.threshold,
            color=LIGHT["ink"],
            lw=1,
            ls=(0, (1, 2)),
            label=f"threshold {method.threshold:.3g}",
        )
        axes.set(xlabel="Score", ylabel="Hits / 0.02", yscale="log", xlim=(0, 1))
        axes.yaxis.set_major_formatter(plain)
        legend(axes)

    return draw


def calibration(axes: Any, evaluation: Evaluation) -> None:
    """Draw the part of signal among hits of about the same score."""
    axes.plot([0, 100], [0, 100], color=LIGHT["muted"], lw=1, ls=":", label="calibrated")
    for name, style in styled(evaluation):
        curves = evaluation.methods[name].curves
        if curves is not None:
            marks(axes, 100 * curves.calibration_score, curves.calibration, 100, 0.0, style, name)
    axes.set(
        xlabel="Mean score in a bin of 0.05 (%)",
        ylabel="Hits of the primary (%)",
        xlim=(-2, 102),
        ylim=(-2, 102),
    )
    legend(axes)


def kept_by_class(axes: Any, evaluation: Evaluation) -> None:
    """Draw which part of each class of hits the working point keeps."""
    count = len(evaluation.methods)
    parts = {f"kept_{kind}" for kind in HIT_CLASSES}
    numbers = [method.numbers[part] for method in evaluation.methods.values() for part in parts]
    floor = lowest(
        [one.value for one in numbers if one.value > 0] + [one.high for one in numbers if one.value == 0]
    )
    for place, (name, style) in enumerate(styled(evaluation)):
        found = [evaluation.methods[name].numbers[f"kept_{kind}"] for kind in HIT_CLASSES]
        estimates = Estimates(
            *(np.array([getattr(one, key) for one in found]) for key in ("value", "low", "high", "of"))
        )
        x = np.arange(len(HIT_CLASSES)) + 1.4 * DODGE * (place - (count - 1) / 2)
        marks(axes, x, estimates, 100, floor, style, name, joined=False)
    axes.set_xticks(range(len(HIT_CLASSES)), ["primary", "δ-rays", "backsplash", "noise"])
    axes.set(ylabel="Hits kept (%)", yscale="log", xlabel="What made the hit", ylim=(100 * floor / 1.5, 160))
    axes.yaxis.set_major_formatter(plain)
    axes.grid(axis="x", visible=False)
    legend(axes)
