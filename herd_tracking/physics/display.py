"""One event to turn and to look into: two views and three dimensions, in a notebook or as a page."""

from pathlib import Path
from typing import Any

import numpy as np

from herd_tracking.events import HIT_CLASSES, Events, TrackingError
from herd_tracking.physics.frames import SECTOR_NAMES, VIEW_NAMES, fit_geometry, frames, plane_numbers
from herd_tracking.physics.picture import CLASS_NAMES, heading
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
from herd_tracking.physics.theme import CLASS_COLOURS, DARK, LIGHT

MARKS = {"primary": "circle", "delta": "diamond", "backsplash": "square", "noise": "cross"}
VIEW_SHAPE = 1.5
SCORE_COLOURS = "Cividis"
BOX_EDGES = (0, 1, 3, 2, 0, 4, 5, 1, None, 5, 7, 3, None, 7, 6, 2, None, 6, 4)


def event_display(
    events: Events,
    index: int,
    scores: np.ndarray | None = None,
    truth: bool = True,
    *,
    threshold: float = 0.1,
    geometry: Any = None,
    theme: str = "light",
) -> Any:
    """Return a plotly figure of event ``index``: the two views of its track's sector, and the whole in 3-D, in cm.

    ``scores`` f[N] of all ``events`` colour the hits, and a line is fitted to those of at least ``threshold``; without,
    hits have the colour of what made them. With ``truth``, the marks' shapes say what made a hit, and the true line is
    drawn. ``theme`` is ``light`` or ``dark``. A hit is a whole fibre, since a view measures one direction: in 3-D its
    mark stands where the fibre passes nearest to the line. Raises TrackingError for no such event or theme.
    """
    if theme not in ("light", "dark"):
        raise TrackingError(f"theme: {theme!r}; allowed are 'light' and 'dark'.")
    from plotly.subplots import make_subplots

    colours = LIGHT if theme == "light" else DARK
    geometry = fit_geometry() if geometry is None else geometry
    event = one_event(events, index)
    own = scores_of(events, index, scores)
    seen = scene(event, None if own is None else np.where(own >= threshold, own, 0.0), geometry, truth)
    views = projections(geometry, seen.sector)
    figure = make_subplots(
        rows=2,
        cols=2,
        specs=[[{}, {"type": "scene", "rowspan": 2}], [{}, None]],
        column_widths=[0.46, 0.54],
        subplot_titles=[f"{views[0].name} view", "All sectors", f"{views[1].name} view"],
        horizontal_spacing=0.06,
        vertical_spacing=0.17,
    )
    for row, view in enumerate(views, start=1):
        _draw_view(figure, seen, view, row, colours)
    _draw_detector(figure, seen, colours)
    _draw_hits(figure, seen, views, own, truth, colours)
    for line, name, colour, dash in (
        (seen.fitted, "fitted line", colours["hough"], "solid"),
        (seen.truth, "true line", colours["ink"], "dash"),
    ):
        if line is not None:
            _draw_line(figure, line, views, name, colour, dash)
    _lay_out(figure, heading(seen, truth), _eye(seen.sector, geometry), colours)
    return figure


def save_display(figure: Any, path: str | Path) -> Path:
    """Write ``figure`` as a page that needs no network, and return its path."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        page = figure.to_html(include_plotlyjs=True, config={"displaylogo": False, "responsive": True})
        paper = figure.layout.paper_bgcolor
        head = '<body style="margin:0;background:' + paper + '">'
        path.write_text(page.replace("<body>", head, 1), encoding="utf-8")
    except OSError as error:
        raise TrackingError(
            f"{path}: the display cannot be written ({error}). Choose another place."
        ) from error
    return path


def _draw_view(figure: Any, seen: Scene, view: Projection, row: int, colours: Any) -> None:
    import plotly.graph_objects as go

    h, v = view.horizontal, view.vertical
    low, high = seen.calorimeter[:, [h, v]]
    figure.add_shape(
        type="rect",
        x0=low[0],
        y0=low[1],
        x1=high[0],
        y1=high[1],
        fillcolor=colours["grid"],
        opacity=0.5,
        line={"color": colours["muted"], "width": 1},
        layer="below",
        row=row,
        col=1,
    )
    x, y = [], []
    for corners in seen.planes[view.planes]:
        x += [corners[:, h].min(), corners[:, h].max(), None]
        y += [corners[:, v].min(), corners[:, v].max(), None]
    planes = go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": colours["grid"], "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_trace(planes, row=row, col=1)
    across, up = limits_cm(seen, view, VIEW_SHAPE)
    figure.update_xaxes(title=f"{'XYZ'[h]} (cm)", range=across, constrain="domain", row=row, col=1)
    anchor = "x" if row == 1 else "x2"
    figure.update_yaxes(
        title=f"{'XYZ'[v]} (cm)", range=up, scaleanchor=anchor, constrain="domain", row=row, col=1
    )


def _draw_detector(figure: Any, seen: Scene, colours: Any) -> None:
    import plotly.graph_objects as go

    # The two views of a superlayer have the same outline: one of them is enough.
    outlines = seen.planes[::2][:, [0, 1, 2, 3, 0]]
    path = np.concatenate([outlines, np.full((len(outlines), 1, 3), np.nan)], axis=1).reshape(-1, 3)
    thin = {"color": colours["muted"], "width": 1}
    figure.add_trace(
        go.Scatter3d(
            **_xyz(path), mode="lines", line=thin, opacity=0.45, name="Fiber Tracker", hoverinfo="skip"
        ),
        row=1,
        col=2,
    )
    corners = np.array(
        [[seen.calorimeter[(place >> axis) & 1, axis] for axis in range(3)] for place in range(8)]
    )
    edges = np.array([corners[place] if place is not None else [np.nan] * 3 for place in BOX_EDGES])
    box = {"legendgroup": "calorimeter", "hoverinfo": "skip"}
    figure.add_trace(
        go.Scatter3d(
            **_xyz(edges), mode="lines", line={"color": colours["all"], "width": 3}, name="calorimeter", **box
        ),
        row=1,
        col=2,
    )
    solid = go.Mesh3d(**_xyz(corners), alphahull=0, color=colours["all"], opacity=0.12, **box)
    figure.add_trace(solid, row=1, col=2)


def _draw_hits(
    figure: Any, seen: Scene, views: list[Projection], scores: np.ndarray | None, truth: bool, colours: Any
) -> None:
    import plotly.graph_objects as go

    texts = hover_texts(seen, scores, truth)
    event = seen.events
    # The last that is drawn covers the others: that is the primary.
    for number, kind in reversed(list(enumerate(HIT_CLASSES if truth else ("hit",)))):
        chosen = np.flatnonzero(event.hit_class == number) if truth else np.arange(len(event.y))
        if len(chosen) == 0:
            continue
        mark: dict[str, Any] = {"symbol": MARKS.get(kind, "circle")}
        colour = colours[CLASS_COLOURS.get(kind, "first")]
        shades = np.array([colour] * len(texts) if scores is None else _shades(scores), dtype=object)
        group = {"legendgroup": kind, "name": CLASS_NAMES.get(kind, kind), "legendrank": 1001 + number}
        for row, view in enumerate(views, start=1):
            here = chosen[view.planes[event.plane[chosen]]]
            # An edge that stands out from the ground, whatever the score's colour; a thick one for hits of the track.
            edge = {
                "color": np.where(seen.used[here], colours["ink"], colours["muted"]),
                "width": np.where(seen.used[here], 1.6, 0.7),
            }
            flat = mark | {"size": 8, "line": edge, "color": shades[here]}
            points = seen.point_cm[here]
            hits = go.Scatter(
                x=points[:, view.horizontal], y=points[:, view.vertical], mode="markers", marker=flat
            )
            figure.add_trace(
                hits.update(text=texts[here], hoverinfo="text", showlegend=False, **group), row=row, col=1
            )
        fibres = np.concatenate(
            [seen.fibre_cm[chosen], np.full((len(chosen), 1, 3), np.nan)], axis=1
        ).reshape(-1, 3)
        shade = colour if scores is None else colours["muted"]
        lines = go.Scatter3d(**_xyz(fibres), mode="lines", line={"color": shade, "width": 1.5}, opacity=0.3)
        figure.add_trace(lines.update(hoverinfo="skip", showlegend=False, **group), row=1, col=2)
        solid = mark | {"size": 3.5, "color": shades[chosen], "line": {"color": colours["muted"], "width": 1}}
        hits = go.Scatter3d(**_xyz(seen.point_cm[chosen]), mode="markers", marker=solid)
        figure.add_trace(hits.update(text=texts[chosen], hoverinfo="text", **group), row=1, col=2)
    if scores is not None:
        bar = {"title": "score", "len": 0.42, "y": 0.24, "thickness": 12, "x": 1.0}
        scale = {"colorscale": SCORE_COLOURS, "cmin": 0, "cmax": 1, "color": [0], "colorbar": bar}
        hidden = go.Scatter(
            x=[None], y=[None], mode="markers", marker=scale, showlegend=False, hoverinfo="skip"
        )
        figure.add_trace(hidden, row=1, col=1)


def _shades(scores: np.ndarray) -> list[str]:
    from plotly.colors import sample_colorscale

    return sample_colorscale(SCORE_COLOURS, np.clip(scores, 0, 1))


def hover_texts(seen: Scene, scores: np.ndarray | None, truth: bool) -> np.ndarray:
    """Return what is said of each hit when it is pointed at, str[n]."""
    event = seen.events
    sector, superlayer, view = plane_numbers()
    adc = 100 * np.expm1(event.feature("log_adc"))
    channels = np.exp(event.feature("log_size"))
    found = []
    for hit, plane in enumerate(event.plane):
        parts = [
            f"{SECTOR_NAMES[sector[plane]]} sector, superlayer {superlayer[plane]}, {VIEW_NAMES[view[plane]]}",
            f"coordinate {event.coordinate_cm()[hit]:.3f} cm",
            f"{adc[hit]:.0f} ADC counts in {channels[hit]:.0f} channels",
        ]
        if truth:
            parts.insert(0, CLASS_NAMES[HIT_CLASSES[event.hit_class[hit]]])
        if scores is not None:
            parts.append(f"score {scores[hit]:.3f}" + (", on the track" if seen.used[hit] else ""))
        found.append("<br>".join(parts))
    return np.array(found, dtype=object)


def _draw_line(figure: Any, line: Line, views: list[Projection], name: str, colour: str, dash: str) -> None:
    import plotly.graph_objects as go

    drawn = {"color": colour, "width": 2, "dash": dash}
    common = {"mode": "lines", "name": name, "legendgroup": name, "hoverinfo": "name"}
    for row, view in enumerate(views, start=1):
        flat = go.Scatter(
            x=line.ends[:, view.horizontal], y=line.ends[:, view.vertical], line=drawn, showlegend=False
        )
        figure.add_trace(flat.update(**common), row=row, col=1)
    figure.add_trace(go.Scatter3d(**_xyz(line.ends), line=drawn | {"width": 5}, **common), row=1, col=2)


def _eye(sector: int, geometry: Any) -> dict[str, float]:
    """Return from where to look, in units of the detector's size: from outside of ``sector``, and a little above."""
    if sector == 0:
        return {"x": 1.75, "y": -1.9, "z": 1.05}
    outward = -frames(geometry).inward[sector]
    aside = np.array([-outward[1], outward[0], 0.0])
    x, y, _ = 2.3 * outward + 1.2 * aside
    return {"x": float(x), "y": float(y), "z": 0.75}


def _lay_out(figure: Any, title: str, eye: dict[str, float], colours: Any) -> None:
    axis = {
        "gridcolor": colours["grid"],
        "zeroline": False,
        "linecolor": colours["muted"],
        "ticks": "outside",
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    solid = {"backgroundcolor": colours["paper"], "gridcolor": colours["grid"], "color": colours["muted"]}
    solid |= {"zeroline": False}
    figure.update_layout(
        title={"text": title.replace(", ", "<br>", 1), "x": 0.01, "font": {"size": 15}},
        height=780,
        margin={"l": 10, "r": 10, "t": 105, "b": 10},
        paper_bgcolor=colours["paper"],
        plot_bgcolor=colours["paper"],
        font={"color": colours["ink"], "family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": -0.11, "x": 0, "itemsizing": "constant"},
        scene={
            **{f"{name}axis": solid | {"title": f"{name.upper()} (cm)"} for name in "xyz"},
            "aspectmode": "data",
            "camera": {"eye": eye, "center": {"x": 0, "y": 0, "z": -0.08}},
        },
    )


def _xyz(points: np.ndarray) -> dict[str, np.ndarray]:
    return {name: points[..., place] for place, name in enumerate("xyz")}
