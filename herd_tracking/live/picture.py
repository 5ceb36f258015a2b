"""The curves as pictures, for a notebook that is opened without its kernel."""

import base64
import html
import io
from typing import Any

from herd_tracking.live.story import Story

# On nothing, in tones that stand out from a light and from a dark page alike.
_BLUE, _ORANGE, _TEXT, _LINE = "#3987c4", "#c4721b", "#7d7d7d", "#8c8c8c"
_STYLE: Any = {
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _LINE,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "grid.color": _LINE,
    "font.size": 8,
    "axes.titlesize": 9,
}
# JupyterLab gives some 850 pixels on a small laptop, and puts images below each other unless told.
_WIDTH_PIXELS, _HEIGHT_PIXELS = 272, 205
_DENSITY = 2
"""Pixels of a picture for one of a page, so that fine screens show fine lines."""
_CURVES = (
    (
        "Loss (cross-entropy per hit)",
        "Step",
        (("steps", "step", "loss", "training"), ("epochs", "step", "val_loss", "validation")),
    ),
    ("Area under the ROC curve", "Epoch", (("epochs", "epoch", "val_auc", "validation"),)),
    ("Speed (events/s)", "Step", (("steps", "step", "events_per_s", "training"),)),
)
_LOOKS: dict[str, Any] = {
    "training": {"color": _BLUE, "ls": "-"},
    "validation": {"color": _ORANGE, "ls": "--", "marker": "o"},
}


def page(story: Story, title: str) -> str:
    """Return HTML: ``title``, how far the training came, its last messages, and pictures that flow into the width."""
    pictures = []
    for name, x_label, lines in _CURVES:
        found = {label: _points(getattr(story, of), x, y) for of, x, y, label in lines}
        if any(found.values()):
            said = ", ".join(f"{label} {points[-1][1]:.4g}" for label, points in found.items() if points)
            source = "data:image/png;base64," + base64.b64encode(_picture(name, x_label, found)).decode()
            shape = f'width="{_WIDTH_PIXELS}" style="display: inline; vertical-align: top"'
            pictures.append(f'<img {shape} alt="{name}: {said}" src="{source}">')
    return (
        f"<p><strong>{html.escape(title)}</strong> &nbsp; {html.escape(story.headline(is_over=True))}"
        f"{''.join(f'<br>{html.escape(one)}' for one in story.messages)}</p>{' '.join(pictures)}"
    )


def _points(points: list[dict[str, float]], x: str, y: str) -> list[tuple[float, float]]:
    return [(one[x], one[y]) for one in points if x in one and y in one]


def _picture(title: str, x_label: str, lines: dict[str, list[tuple[float, float]]]) -> bytes:
    """Return a PNG of one chart."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dots_per_inch = 96
    size = (_WIDTH_PIXELS / dots_per_inch, _HEIGHT_PIXELS / dots_per_inch)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.set(title=title, xlabel=x_label)
        for label, points in lines.items():
            if points:
                axes.plot(*zip(*points, strict=True), label=label, lw=1.5, ms=3.5, **_LOOKS[label])
        if x_label == "Epoch":
            epochs = sorted({x for points in lines.values() for x, _ in points})
            if len(epochs) == 1:
                axes.set_xticks(epochs, [f"{epochs[0]:.0f}"])
            else:
                axes.locator_params("x", integer=True)
            # No area is larger than 1; a mark there is to be whole.
            low, high = axes.get_ylim()
            axes.set_ylim(low, min(high, 1 + 0.05 * (1 - low)))
        if len(lines) > 1:
            axes.legend(frameon=False)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        made = io.BytesIO()
        figure.savefig(made, format="png", dpi=_DENSITY * dots_per_inch, transparent=True)
    return made.getvalue()
