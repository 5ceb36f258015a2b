"""Colours and marks of the figures: told apart without colour vision, on white, on black and in print."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from herd_tracking.physics.baselines import ALL_HITS, LINE_SEARCH, ROAD_HOUGH, TRUTH

LIGHT: Mapping[str, str] = {
    "paper": "#fefefe",
    "ink": "#1b1f24",
    "muted": "#57606b",
    "grid": "#dfe3e8",
    "first": "#0067a5",
    "second": "#d1500a",
    "third": "#8e4585",
    "hough": "#00805c",
    "all": "#a87400",
    "noise": "#7c8591",
}
DARK: Mapping[str, str] = {
    "paper": "#14181d",
    "ink": "#e8ebef",
    "muted": "#a4adb8",
    "grid": "#333a43",
    "first": "#5ab4f0",
    "second": "#ff9150",
    "third": "#dd9bd5",
    "hough": "#3fd0a3",
    "all": "#e5bb4e",
    "noise": "#949dab",
}
"""Okabe and Ito's hues (blue, vermillion, purple, green, orange), darker or lighter to stand out on the paper."""

CLASS_COLOURS: Mapping[str, str] = {
    "primary": "first",
    "delta": "third",
    "backsplash": "second",
    "noise": "noise",
}
CLASS_MARKS: Mapping[str, str] = {"primary": "o", "delta": "D", "backsplash": "s", "noise": "x"}


@dataclass(frozen=True)
class Style:
    """How one method is drawn: the name of its colour, its mark and its dashes."""

    colour: str
    mark: str
    dashes: str


_BASELINES = {
    TRUTH: Style("ink", "*", ":"),
    ROAD_HOUGH: Style("hough", "^", "--"),
    LINE_SEARCH: Style("muted", "v", "-."),
    ALL_HITS: Style("all", "x", "-."),
}
_NETWORKS = (Style("first", "o", "-"), Style("second", "s", "-"), Style("third", "D", "-"))


def styles(methods: list[str]) -> dict[str, Style]:
    """Return a style for each of ``methods``: the baselines have their own, others take the rest in turn."""
    others = [name for name in methods if name not in _BASELINES]
    return {name: _BASELINES.get(name) or _NETWORKS[others.index(name) % len(_NETWORKS)] for name in methods}


@contextmanager
def figures(size: float = 9.0) -> Iterator[Any]:
    """Set matplotlib's defaults for the figures of this package, of ``size`` points, while the block runs."""
    import matplotlib as mpl

    settings: dict[Any, Any] = {
        "font.size": size,
        "axes.titlesize": size + 0.5,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.labelsize": size,
        "legend.fontsize": size - 1,
        "legend.frameon": False,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "lines.linewidth": 1.3,
        "lines.markersize": 4.5,
        "svg.fonttype": "none",
        "svg.hashsalt": "herd_tracking",
        "axes.unicode_minus": True,
    }
    colours = {
        "ink": ("text.color", "axes.labelcolor"),
        "muted": ("xtick.color", "ytick.color", "axes.edgecolor"),
    }
    settings |= {key: LIGHT[name] for name, keys in colours.items() for key in keys}
    settings |= {
        "grid.color": LIGHT["grid"],
        "figure.facecolor": LIGHT["paper"],
        "axes.facecolor": LIGHT["paper"],
        "savefig.facecolor": LIGHT["paper"],
    }
    with mpl.rc_context(settings):
        yield


def themed(svg: str) -> str:
    """Return a figure's SVG with colours that follow the page's theme, and the page's font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    names = {value: name for name, value in LIGHT.items()}
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0], names), svg)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", svg)
    head, rest = svg.split(">", 1)
    return re.sub(r' (width|height)="[^"]*"', "", head) + ">" + rest


def _variable(colour: str, names: Mapping[str, str]) -> str:
    return f"var(--{names[colour]})" if colour in names else colour


def css_variables(palette: Mapping[str, str]) -> str:
    """Return ``palette`` as declarations of CSS variables."""
    return " ".join(f"--{name}: {value};" for name, value in palette.items())
