"""The figures of a report: each draws one thing on one pair of axes, for the page and for the PDF alike."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from herd_tracking.events import HIT_CLASSES
from herd_tracking.physics.evaluation import ANGLE_EDGES_DEG, PULL_EDGES, Evaluation
from herd_tracking.physics.intervals import Estimates
from herd_tracking.physics.matching import closed_form_deg
from herd_tracking.physics.theme import CLASS_COLOURS, LIGHT, Style, styles
from herd_tracking.physics.variables import VARIABLES
from herd_tracking.physics.wording import METRICS

Draw = Callable[[Any, Evaluation], None]
DODGE = 0.11
LOWEST_RATE = 1e-7


def against(metric: str, variable: str, logarithmic: bool = False) -> Draw:
    """Return what draws ``metric`` in bins of ``variable``, a mark with its interval for each method."""

    def draw(axes: Any, evaluation: Evaluation) -> None:
        edges, kind = evaluation.edges[variable], VARIABLES[variable]
        shown = {
            name: one for name, one in evaluation.methods.items() if variable in one.binned.get(metric, {})
        }
        scale = METRICS[metric].scale
        floor = _floor([one.binned[metric][variable] for one in shown.values()]) if logarithmic else 0.0
        for place, (name, style) in enumerate(_styled(evaluation, list(shown))):
            shift = DODGE * (place - (len(shown) - 1) / 2)
            x = _between(edges, 0.5 + shift, kind.logarithmic)
            _marks(axes, x, shown[name].binned[metric][variable], scale, floor, style, name)
        _name_bins(axes, edges, variable)
        _value_axis(axes, metric, logarithmic)
        legend(axes)

    return draw


def roc(axes: Any, evaluation: Evaluation) -> None:
    """Draw the part of the background kept against hit efficiency; selections and working points are marks."""
    for name, style in _styled(evaluation):
        method = evaluation.methods[name]
        if method.curves is not None:
            rate = np.maximum(method.curves.false_positive_rate, LOWEST_RATE)
            inside = method.curves.false_positive_rate > 0
            axes.plot(
                100 * method.curves.true_positive_rate[inside],
                100 * rate[inside],
                style.dashes,
                color=LIGHT[style.colour],
                label=f"{name} (AUC {method.curves.auc.value:.4f})",
            )
        kept, efficiency = method.numbers["background_kept"].value, method.numbers["hit_efficiency"].value
        if kept > 0:
            label = name if method.curves is None else None
            axes.plot(100 * efficiency, 100 * kept, style.mark, color=LIGHT[style.colour], label=label, ms=6)
    axes.set(
        xlabel="Hit efficiency (%)",
        ylabel="Background kept (%)",
        yscale="log",
        xlim=(50, 100.8),
        ylim=(None, 140),
    )
    axes.yaxis.set_major_formatter(plain)
    legend(axes)


def precision(axes: Any, evaluation: Evaluation) -> None:
    """Draw hit purity against hit efficiency."""
    for name, style in _styled(evaluation):
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
    axes.set(xlabel="Hit efficiency (%)", ylabel="Hit purity (%)", xlim=(50, 100.8), ylim=(0, 104))
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
    for name, style in _styled(evaluation):
        curves = evaluation.methods[name].curves
        if curves is not None:
            _marks(axes, 100 * curves.calibration_score, curves.calibration, 100, 0.0, style, name)
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
    floor = _lowest(
        [one.value for one in numbers if one.value > 0] + [one.high for one in numbers if one.value == 0]
    )
    for place, (name, style) in enumerate(_styled(evaluation)):
        found = [evaluation.methods[name].numbers[f"kept_{kind}"] for kind in HIT_CLASSES]
        estimates = Estimates(
            *(np.array([getattr(one, key) for one in found]) for key in ("value", "low", "high", "of"))
        )
        x = np.arange(len(HIT_CLASSES)) + 1.4 * DODGE * (place - (count - 1) / 2)
        _marks(axes, x, estimates, 100, floor, style, name, joined=False)
    axes.set_xticks(range(len(HIT_CLASSES)), ["primary", "δ-rays", "backsplash", "noise"])
    axes.set(ylabel="Hits kept (%)", yscale="log", xlabel="What made the hit", ylim=(100 * floor / 1.5, 160))
    axes.yaxis.set_major_formatter(plain)
    axes.grid(axis="x", visible=False)
    legend(axes)


def angle_contained(axes: Any, evaluation: Evaluation) -> None:
    """Draw which part of the tracks points at least as well as the abscissa says."""
    for name, style in _styled(evaluation):
        counts = evaluation.methods[name].angle_counts
        if counts.sum():
            part = 100 * np.cumsum(counts) / counts.sum()
            axes.plot(ANGLE_EDGES_DEG[1:], part, style.dashes, color=LIGHT[style.colour], label=name, lw=1.6)
    for level in (68, 95):
        axes.axhline(level, color=LIGHT["muted"], lw=0.8, ls=(0, (1, 2)))
        axes.annotate(
            f"{level} %",
            (0.995, level),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize="small",
        )
    axes.set(xlabel="Space angle to the true direction (°)", ylabel="Tracks within (%)", xscale="log")
    axes.set(xlim=(2e-3, 180), ylim=(0, 103))
    axes.xaxis.set_major_formatter(plain)
    legend(axes)


def pointing(percent: int, variable: str) -> Draw:
    """Return what draws the angle that contains ``percent`` of the tracks, with the closed form beside it."""
    draw_marks = against(f"angle_{percent}", variable, logarithmic=True)

    def draw(axes: Any, evaluation: Evaluation) -> None:
        pitch = evaluation.about.get("pitch_cm")
        if pitch:
            expected = closed_form_deg(evaluation.about["resolution_cm"], pitch, percent / 100)
            axes.axhline(
                expected, color=LIGHT["muted"], lw=1, ls=(0, (1, 2)), label="closed form, at normal incidence"
            )
        draw_marks(axes, evaluation)

    return draw


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
    for name, style in _styled(evaluation):
        counts = evaluation.methods[name].pull_counts
        if counts.sum():
            density = counts / counts.sum() / np.diff(PULL_EDGES)
            error = np.sqrt(counts) / counts.sum() / np.diff(PULL_EDGES)
            axes.errorbar(
                middle, density, error, fmt=style.mark, color=LIGHT[style.colour], label=name, ms=3, lw=0.8
            )
    axes.set(xlabel="(fitted − true slope) / standard error", ylabel="Perfect tracks / unit", xlim=(-5, 5))
    axes.set_ylim(bottom=0)
    legend(axes)


def plain(value: float, _place: int = 0) -> str:
    """Return a tick's label: a plain number, or a power of ten below a thousandth."""
    if value == 0:
        return "0"
    power = int(np.floor(np.log10(abs(value)) + 1e-9))
    if -4 < power < 5:
        return f"{value:g}"
    superscript = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    lead = value / 10.0**power
    return f"10{superscript}" if abs(lead - 1) < 1e-6 else f"{lead:g}·10{superscript}"


def _styled(evaluation: Evaluation, names: list[str] | None = None) -> list[tuple[str, Style]]:
    chosen: Mapping[str, Style] = styles(list(evaluation.methods))
    return [(name, style) for name, style in chosen.items() if names is None or name in names]


def _between(edges: np.ndarray, at: float, logarithmic: bool) -> np.ndarray:
    if logarithmic:
        return edges[:-1] ** (1 - at) * edges[1:] ** at
    return edges[:-1] * (1 - at) + edges[1:] * at


def _floor(found: list[Estimates]) -> float:
    """Return where a logarithmic axis begins: below all values, and below the limits where none was seen."""
    positive = [one.value[one.value > 0] for one in found]
    limits = [one.high[one.value == 0] for one in found]
    return _lowest(np.concatenate([*positive, *limits]))


def _lowest(values: Any) -> float:
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values) & (values > 0)]
    return float(values.min()) / 2 if len(values) else 1e-3


def _marks(
    axes: Any,
    x: np.ndarray,
    found: Estimates,
    scale: float,
    floor: float,
    style: Style,
    name: str,
    joined: bool = True,
) -> None:
    """Draw values with intervals; on a logarithmic axis (``floor`` > 0) a 0 becomes an arrow down from its limit."""
    colour = LIGHT[style.colour]
    seen = np.isfinite(found.value) & ((found.value > 0) | (floor == 0))
    value, low, high = (scale * array[seen] for array in (found.value, found.low, found.high))
    low = np.maximum(low, scale * floor)
    errors = np.maximum([value - low, high - value], 0)
    axes.errorbar(
        x[seen], value, errors, fmt=style.mark, color=colour, label=name, lw=1.1, mfc=_face(style, colour)
    )
    if joined:
        axes.plot(x[seen], value, style.dashes, color=colour, lw=0.8, alpha=0.6)
    limit = np.isfinite(found.value) & (found.value == 0) & (floor > 0)
    if limit.any():
        top = scale * found.high[limit]
        axes.errorbar(
            x[limit], top, [0.45 * top, 0 * top], fmt="none", uplims=True, ecolor=colour, lw=0.9, capsize=2
        )


def _face(style: Style, colour: str) -> str:
    return LIGHT["paper"] if style.mark in "s^D" else colour


def _name_bins(axes: Any, edges: np.ndarray, variable: str) -> None:
    kind = VARIABLES[variable]
    axes.set_xlabel(kind.label)
    if kind.logarithmic:
        axes.set_xscale("log")
        ticks = [
            tick for base in (10.0**power for power in range(-3, 7)) for tick in (base, 2 * base, 5 * base)
        ]
        axes.set_xticks([tick for tick in ticks if edges[0] * 0.999 <= tick <= edges[-1] * 1.001])
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(plain)
    elif kind.names:
        axes.set_xticks(range(len(kind.names)), kind.names)
    axes.set_xlim(edges[0], edges[-1])


def _value_axis(axes: Any, metric: str, logarithmic: bool) -> None:
    known = METRICS[metric]
    axes.set_ylabel(f"{known.label} ({known.unit})" if known.unit else known.label)
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(plain)
    elif known.unit == "%":
        low = axes.get_ylim()[0]
        axes.set_ylim(max(0.0, low), 100 + 0.04 * (100 - max(0.0, low)))


def legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=2,
        borderaxespad=0.1,
        columnspacing=1.2,
        handlelength=2.2,
    )
