"""One event as a still picture: the two views of the sector that its track crosses."""

from typing import Any

import numpy as np

from herd_tracking.events import HIT_CLASSES, Events
from herd_tracking.physics.frames import fit_geometry
from herd_tracking.physics.marks import legend
from herd_tracking.physics.scene import (
    Line,
    Projection,
    Scene,
    limits_cm,
    one_event,
    projections,
    scene,
    scores_of,
)
from herd_tracking.physics.theme import CLASS_COLOURS, CLASS_MARKS, LIGHT, figures

CLASS_NAMES = {"primary": "primary", "delta": "δ-ray", "backsplash": "backsplash", "noise": "noise"}
PANEL_SHAPE = 1.15


def event_picture(
    events: Events,
    index: int,
    scores: np.ndarray | None = None,
    truth: bool = True,
    *,
    threshold: float = 0.1,
    geometry: Any = None,
) -> Any:
    """Return a matplotlib figure of event ``index``: hits by what made them, fitted and true line, in cm.

    ``scores`` f[N] of all ``events``: hits below ``threshold`` are drawn pale, and a line is fitted to the others.
    Without ``truth``, neither the hits' origin nor the true line is drawn. Raises TrackingError for no such event.
    """
    from matplotlib.figure import Figure

    geometry = fit_geometry() if geometry is None else geometry
    event = one_event(events, index)
    own = scores_of(events, index, scores)
    seen = scene(event, None if own is None else np.where(own >= threshold, own, 0.0), geometry, truth)
    with figures(8.5):
        figure = Figure(figsize=(9.2, 4.6), layout="constrained")
        for axes, view in zip(figure.subplots(1, 2), projections(geometry, seen.sector), strict=True):
            draw_view(axes, seen, view, None if own is None else own >= threshold, truth)
        figure.suptitle(heading(seen, truth), x=0.01, ha="left", fontsize=10, weight="bold")
    return figure


def heading(seen: Scene, truth: bool) -> str:
    """Return what event this is, as one line."""
    event = seen.events
    parts = [f"Event {int(event.event_id[0])}"]
    if truth:
        name = {11: "electron", 2212: "proton"}.get(int(event.column("pdg")[0]), "particle")
        parts.append(f"{name} of {event.column('energy_gev')[0]:.4g} GeV")
    parts.append(f"{len(event.y)} hits")
    if seen.fitted is not None and seen.truth is not None:
        away = np.degrees(2 * np.arcsin(np.linalg.norm(seen.fitted.direction - seen.truth.direction) / 2))
        parts.append(f"fitted line {away:.3g}° off")
    return ", ".join(parts)


def draw_view(axes: Any, seen: Scene, view: Projection, kept: np.ndarray | None, truth: bool) -> None:
    """Draw one projection: planes, calorimeter, hits and lines; ``kept`` bool[n], where a score was cut on."""
    from matplotlib.patches import Rectangle

    h, v = view.horizontal, view.vertical
    low, high = seen.calorimeter[:, [h, v]]
    axes.add_patch(
        Rectangle(
            low, *(high - low), facecolor=LIGHT["grid"], edgecolor=LIGHT["muted"], lw=0.8, alpha=0.5, zorder=0
        )
    )
    for corners in seen.planes[view.planes]:
        ends = corners[:, [h, v]]
        axes.plot(
            [ends[:, 0].min(), ends[:, 0].max()],
            [ends[:, 1].min(), ends[:, 1].max()],
            color=LIGHT["grid"],
            lw=0.9,
            zorder=1,
        )
    for line, name, colour, dashes in (
        (seen.fitted, "fitted line", "hough", "-"),
        (seen.truth, "true line", "ink", (0, (4, 3))),
    ):
        if line is not None:
            axes.plot(*_ends(line, view), color=LIGHT[colour], ls=dashes, lw=1.2, label=name, zorder=3)
    here = view.planes[seen.events.plane]
    for number, kind in enumerate(HIT_CLASSES if truth else ("hit",)):
        chosen = here & (seen.events.hit_class == number) if truth else here
        _hits(axes, seen, view, chosen, kept, kind)
    axes.set(xlabel=f"{'XYZ'[h]} (cm)", ylabel=f"{'XYZ'[v]} (cm)")
    axes.grid(visible=False)
    across, up = limits_cm(seen, view, PANEL_SHAPE)
    axes.set_xlim(*across, auto=True)
    axes.set_ylim(*up, auto=True)
    axes.set_aspect("equal", adjustable="datalim")
    place = [
        (max(a, one) + min(b, other)) / 2 for a, b, (one, other) in zip(low, high, (across, up), strict=True)
    ]
    axes.annotate("calorimeter", place, ha="center", va="center", color=LIGHT["muted"], fontsize="small")
    legend(axes, ncols=4, columnspacing=1, handlelength=None, handletextpad=0.4)


def _hits(
    axes: Any, seen: Scene, view: Projection, chosen: np.ndarray, kept: np.ndarray | None, kind: str
) -> None:
    colour = LIGHT[CLASS_COLOURS.get(kind, "first")]
    mark = CLASS_MARKS.get(kind, "o")
    strong = chosen if kept is None else chosen & kept
    points = seen.point_cm[:, [view.horizontal, view.vertical]]
    face = {} if mark == "x" else {"edgecolors": LIGHT["paper"], "linewidths": 0.4}
    if chosen.any():
        axes.scatter(
            *points[strong].T,
            marker=mark,
            s=20,
            color=colour,
            label=CLASS_NAMES.get(kind, kind),
            zorder=5 if kind == "primary" else 4,
            **face,
        )
    pale = chosen & ~strong
    if pale.any():
        axes.scatter(*points[pale].T, marker=mark, s=12, color=colour, alpha=0.3, zorder=2, lw=0.8)


def _ends(line: Line, view: Projection) -> tuple[np.ndarray, np.ndarray]:
    return line.ends[:, view.horizontal], line.ends[:, view.vertical]
