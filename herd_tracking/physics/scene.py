"""Where everything in one event is drawn: hits, planes, calorimeter and lines, in the detector's frame, in cm."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from herd_tracking.events import Events, TrackingError
from herd_tracking.physics.fit import FitSettings, check_weights, fit_tracks, true_direction
from herd_tracking.physics.frames import SECTORS, SUPERLAYERS, VIEWS, frames, plane_numbers

BEYOND_CM = 25.0
"""How far lines are drawn outside of the tracker and into the calorimeter."""

MARGIN_CM = 4.0


@dataclass(frozen=True)
class Line:
    """Two ends f64[2, 3] in cm of a drawn line, and its direction, for the angle between lines."""

    ends: np.ndarray
    direction: np.ndarray


@dataclass(frozen=True)
class Scene:
    """One event of n hits. ``point_cm`` f64[n, 3]: on each hit's fibres, where they pass nearest to the fitted line (or
    the true one; without any, in the middle); ``fibre_cm`` f64[n, 2, 3]: their ends. ``planes`` f64[P, 4, 3]: corners.
    ``calorimeter`` f64[2, 3]: lowest and highest corner. ``used`` bool[n]: on the track. ``truth`` None: not drawn.
    """

    events: Events
    sector: int
    point_cm: np.ndarray
    fibre_cm: np.ndarray
    used: np.ndarray
    planes: np.ndarray
    calorimeter: np.ndarray
    fitted: Line | None
    truth: Line | None


@dataclass(frozen=True)
class Projection:
    """Two axes of the detector, of which planes measure one and stand at a place on the other; ``planes`` bool[70]."""

    horizontal: int
    vertical: int
    planes: np.ndarray

    @property
    def name(self) -> str:
        """``X-Z``, for a heading."""
        return f"{'XYZ'[self.horizontal]}-{'XYZ'[self.vertical]}"


def one_event(events: Events, index: int) -> Events:
    """Return the event at ``index`` (from the end if negative); raises TrackingError where there is none."""
    count = len(events)
    if not -count <= index < count:
        raise TrackingError(f"event index {index}: there are {count} events; allowed are 0 to {count - 1}.")
    return events.take(index % count, index % count + 1)


def scores_of(events: Events, index: int, scores: np.ndarray | None) -> np.ndarray | None:
    """Return the scores of the event at ``index``, f64[n]; raises TrackingError unless there is one per hit of all."""
    if scores is None:
        return None
    index %= len(events)
    return check_weights(events, scores)[events.node_ptr[index] : events.node_ptr[index + 1]]


def scene(event: Events, weights: np.ndarray | None, geometry: Any, truth: bool) -> Scene:
    """Return what to draw of the single ``event``, with the line fitted to hits with ``weights`` f[n] above 0."""
    fit = None if weights is None else fit_tracks(event, weights, geometry, settings=FitSettings())
    true_sector = int(event.column("sector")[0])
    found = fit is not None and bool(fit.found[0])
    sector = int(fit.sector[0]) if fit is not None and found else true_sector
    fitted = None if fit is None or not found else _line(fit.point_cm[0], fit.direction[0], sector, geometry)
    point = np.array([event.column(f"point_{axis}_cm")[0] for axis in "xyz"], dtype=np.float64)
    true = _line(point, true_direction(event)[0], true_sector, geometry) if truth else None
    middle, fibre = _fibres(event, geometry)
    line = fitted or true
    return Scene(
        events=event,
        sector=sector,
        point_cm=middle if line is None else _nearest(fibre, line),
        fibre_cm=fibre,
        used=np.zeros(len(event.y), dtype=np.bool_) if fit is None else fit.used,
        planes=plane_corners(geometry),
        calorimeter=calorimeter_box(geometry),
        fitted=fitted,
        truth=true,
    )


def projections(geometry: Any, sector: int) -> list[Projection]:
    """Return the projections in which the two views of ``sector`` measure, with all planes that are seen there."""
    measured = np.argmax(np.abs(np.asarray(geometry.planes.u)), axis=1)
    across = np.argmax(np.abs(np.asarray(geometry.planes.normal)), axis=1)
    of_plane, _, view = plane_numbers()
    found = []
    for number in range(VIEWS):
        plane = int(np.argmax((of_plane == sector) & (view == number)))
        axes = sorted((int(measured[plane]), int(across[plane])))
        same = (np.minimum(measured, across) == axes[0]) & (np.maximum(measured, across) == axes[1])
        found.append(Projection(axes[0], axes[1], same))
    return found


def limits_cm(seen: Scene, view: Projection, shape: float) -> list[tuple[float, float]]:
    """Return the range to show on the horizontal and the vertical axis, ``shape`` times as wide as high.

    The whole sector and the lines, and toward the calorimeter as much as fits.
    """
    first = seen.sector * SUPERLAYERS * VIEWS
    own = seen.planes[first : first + SUPERLAYERS * VIEWS].reshape(-1, 3)
    ends = [line.ends for line in (seen.truth, seen.fitted) if line is not None]
    found = []
    for axis in (view.horizontal, view.vertical):
        low, high = own[:, axis].min() - MARGIN_CM, own[:, axis].max() + MARGIN_CM
        reach = np.concatenate([[low, high], *(line[:, axis] for line in ends)])
        # A line that grazes the sector must not make all else small.
        found.append([max(reach.min(), low - BEYOND_CM), min(reach.max(), high + BEYOND_CM)])
    sizes = [high - low for low, high in found]
    wanted = max(sizes[0], shape * sizes[1])
    for limits, size, goal, axis in zip(
        found, sizes, (wanted, wanted / shape), (view.horizontal, view.vertical), strict=True
    ):
        _widen(limits, goal - size, float(seen.calorimeter[:, axis].mean()))
    return [(float(low), float(high)) for low, high in found]


def _widen(limits: list[float], by: float, toward: float) -> None:
    """Add ``by`` cm to ``limits`` on the side of ``toward``, until that is in their middle, then on both."""
    off = toward - (limits[0] + limits[1]) / 2
    one_side = min(2 * abs(off), by)
    rest = (by - one_side) / 2
    limits[0] -= rest + (one_side if off < 0 else 0)
    limits[1] += rest + (one_side if off > 0 else 0)


def plane_corners(geometry: Any) -> np.ndarray:
    """Return the four corners of each plane, in the order around it, f64[70, 4, 3] in cm."""
    planes = geometry.planes
    along = np.asarray(planes.u) * np.asarray(planes.half_u_cm)[:, None]
    across = np.asarray(planes.v) * np.asarray(planes.half_v_cm)[:, None]
    origin = np.asarray(planes.origin_cm)
    return np.stack(
        [origin + a * along + b * across for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))], axis=1
    )


def calorimeter_box(geometry: Any) -> np.ndarray:
    """Return the lowest and the highest corner of the calorimeter, f64[2, 3] in cm."""
    return np.asarray(geometry.calorimeter_cm, dtype=np.float64)


def _fibres(event: Events, geometry: Any) -> tuple[np.ndarray, np.ndarray]:
    planes, plane = geometry.planes, event.plane
    along = event.coordinate_cm().astype(np.float64)[:, None] * np.asarray(planes.u)[plane]
    middle = np.asarray(planes.origin_cm)[plane] + along
    half = np.asarray(planes.v)[plane] * np.asarray(planes.half_v_cm)[plane][:, None]
    return middle, np.stack([middle - half, middle + half], axis=1)


def _nearest(fibre: np.ndarray, line: Line) -> np.ndarray:
    """Return the point of each fibre that is nearest to ``line`` (both straight), f64[n, 3]."""
    start, along = fibre[:, 0], fibre[:, 1] - fibre[:, 0]
    away = start - line.ends[0]
    length = np.sum(along * along, axis=1)
    parallel = along @ line.direction
    spread = length - parallel**2
    place = (parallel * (away @ line.direction) - np.sum(along * away, axis=1)) / np.where(
        spread > 0, spread, 1
    )
    return start + np.clip(np.where(spread > 0, place, 0.5), 0, 1)[:, None] * along


def _line(point: np.ndarray, direction: np.ndarray, sector: int, geometry: Any) -> Line:
    """Return the line from above the outermost plane of ``sector`` into the calorimeter."""
    frame = frames(geometry)
    inward = frame.inward[sector]
    steep = max(float(direction @ inward), 0.05)
    reach = frame.depth_cm.reshape(SECTORS, -1)[sector]
    depths = np.array([reach.min() - BEYOND_CM / 2, reach.max() + BEYOND_CM]) + frame.reference_cm[sector]
    steps = (depths - point @ inward) / steep
    return Line(point + steps[:, None] * direction, direction)
