"""How a figure's axes, marks, intervals and legend are drawn, the same in all of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.intervals import Estimates
from herd_tracking.physics.theme import LIGHT, Style, styles
from herd_tracking.physics.variables import VARIABLES
from herd_tracking.physics.wording import METRICS

DODGE = 0.11
"""How far apart, in widths of a bin, the marks of two methods in the same bin are."""


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


def styled(evaluation: Evaluation, names: list[str] | None = None) -> list[tuple[str, Style]]:
    """Return methods with how each is drawn: all, or those in ``names``."""
    chosen: Mapping[str, Style] = styles(list(evaluation.methods))
    return [(name, style) for name, style in chosen.items() if names is None or name in names]


def between(edges: np.ndarray, at: float, logarithmic: bool) -> np.ndarray:
    """Return where in each bin ``at`` is, from 0 at its lower to 1 at its upper edge, f64[B]."""
    if logarithmic:
        return edges[:-1] ** (1 - at) * edges[1:] ** at
    return edges[:-1] * (1 - at) + edges[1:] * at


def floor_of(found: list[Estimates]) -> float:
    """Return where a logarithmic axis begins: below all values, and below the limits where none was seen."""
    positive = [one.value[one.value > 0] for one in found]
    limits = [one.high[one.value == 0] for one in found]
    return lowest(np.concatenate([*positive, *limits]))


def lowest(values: Any) -> float:
    """Return half of the smallest positive of ``values``."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values) & (values > 0)]
    return float(values.min()) / 2 if len(values) else 1e-3


def marks(
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
    return LIGHT["paper"] if style.mark in "s^vD" else colour


def name_bins(axes: Any, edges: np.ndarray, variable: str) -> None:
    """Label the abscissa, with ticks that are round or the names of things."""
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


def value_axis(axes: Any, metric: str, logarithmic: bool) -> None:
    """Label the ordinate with the metric's name and unit; plain parts of a hundred end at 100 %."""
    known = METRICS[metric]
    axes.set_ylabel(f"{known.label} ({known.unit})" if known.unit else known.label)
    if logarithmic:
        axes.set_yscale("log")
    else:
        axes.locator_params(axis="y", nbins=5)
    axes.yaxis.set_major_formatter(plain)
    if not logarithmic and known.unit == "%":
        low = axes.get_ylim()[0]
        axes.set_ylim(max(0.0, low), 100 + 0.04 * (100 - max(0.0, low)))


def legend(axes: Any, **look: Any) -> None:
    """Put the legend above the axes, where it hides nothing; ``look`` as matplotlib's ``legend`` takes it."""
    handles, labels = axes.get_legend_handles_labels()
    usual = {"ncols": 2, "borderaxespad": 0.1, "columnspacing": 1.2, "handlelength": 2.2}
    axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 1.0), **usual | look)
