"""Fits a straight line to the hits of each event: no magnetic field, so a track is a line in each of two views."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from herd_tracking.events import Events, TrackingError
from herd_tracking.physics.frames import SECTORS, SUPERLAYERS, VIEWS, frames, plane_numbers

HIT_RESOLUTION_CM = 0.005
"""50 um: the fibre mats of this technology measured 38 to 43 um in a beam; 72 um is the limit of one 250 um channel."""


@dataclass(frozen=True)
class FitSettings:
    """``window_cm``: how near to its first line a hit must be; ``outlier_sigma``: a hit further than this many
    resolutions from the fitted line is dropped, once; ``min_hits``: in each view, for a track; ``seeded``: the first
    line is that of the two hits with most weight near it, else the least squares of all hits with weight."""

    resolution_cm: float = HIT_RESOLUTION_CM
    window_cm: float = 0.1
    outlier_sigma: float = 5.0
    min_hits: int = 4
    seeded: bool = True


@dataclass(frozen=True)
class Tracks:
    """One line per event, E of them, for N hits.

    ``found`` bool[E]: at least ``min_hits`` in each view; the rest is NaN or 0 elsewhere. ``sector`` i64[E].
    ``direction`` f64[E, 3] unit vector toward the calorimeter and ``point_cm`` f64[E, 3] on the innermost plane of
    the sector, both in the detector's frame. Per view, [E, 2]: ``slope``, its standard error ``slope_error``,
    ``chi_square``, ``hits``. ``used`` bool[N]: the hits on the track.
    """

    found: np.ndarray
    sector: np.ndarray
    direction: np.ndarray
    point_cm: np.ndarray
    slope: np.ndarray
    slope_error: np.ndarray
    chi_square: np.ndarray
    hits: np.ndarray
    used: np.ndarray

    def __len__(self) -> int:
        return len(self.found)


def fit_tracks(
    events: Events,
    weights: np.ndarray,
    geometry: Any,
    sector: np.ndarray | None = None,
    settings: FitSettings | None = None,
) -> Tracks:
    """Fit a line per view to each event's hits with ``weights`` f[N] above 0, by weighted least squares.

    ``sector`` i[E]: where to look; by default the sector whose planes have the most weight (`best_sector`).
    Raises TrackingError where weights are not one finite, non-negative number per hit, or a coordinate is not finite.
    """
    from herd_tracking.physics.lines import fit_views

    settings = settings or FitSettings()
    weights = check_weights(events, weights)
    _check_coordinates(events)
    frame = frames(geometry)
    sector = best_sector(events, weights) if sector is None else np.asarray(sector, dtype=np.int64)
    of_plane, superlayer, view = plane_numbers()
    plane, event = events.plane, events.event_of_hit()
    chosen = np.flatnonzero((weights > 0) & (of_plane[plane] == sector[event]))
    group = event[chosen] * VIEWS + view[plane[chosen]]
    order = chosen[np.argsort(group, kind="stable")]
    pointer = np.concatenate(([0], np.cumsum(np.bincount(group, minlength=len(events) * VIEWS))))
    fitted = np.empty((len(events) * VIEWS, 5))
    used = np.zeros(len(order), dtype=np.bool_)
    fit_views(
        pointer,
        frame.depth_cm[plane[order]],
        events.coordinate_cm()[order] + frame.offset_cm[plane[order]],
        superlayer[plane[order]],
        weights[order],
        settings.window_cm,
        settings.outlier_sigma * settings.resolution_cm,
        settings.seeded,
        settings.resolution_cm,
        fitted,
        used,
    )
    lines = fitted.reshape(len(events), VIEWS, 5)
    found = np.all((lines[:, :, 4] >= settings.min_hits) & np.isfinite(lines[:, :, 1]), axis=1)
    lines[~found] = np.nan
    on_track = np.zeros(len(weights), dtype=np.bool_)
    on_track[order[used]] = True
    direction, point = in_detector(frame, sector, lines[:, :, 0], lines[:, :, 1])
    return Tracks(
        found=found,
        sector=sector,
        direction=direction,
        point_cm=point,
        slope=lines[:, :, 1],
        slope_error=lines[:, :, 2],
        chi_square=lines[:, :, 3],
        hits=np.where(found[:, None], lines[:, :, 4], 0).astype(np.int64),
        used=on_track & found[event],
    )


def in_detector(
    frame: Any, sector: np.ndarray, intercept_cm: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return unit direction f64[E, 3] and point (cm) f64[E, 3] of lines given per view, f64[E, 2] each."""
    inward, along = frame.inward[sector], frame.along[sector]
    direction = inward + np.einsum("ev,evk->ek", slope, along)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    point = frame.reference_cm[sector][:, None] * inward + np.einsum("ev,evk->ek", intercept_cm, along)
    return direction, point


def true_slopes(events: Events, geometry: Any, sector: np.ndarray) -> np.ndarray:
    """Return the slope of each event's true line in the two views of ``sector`` i[E], f64[E, 2]."""
    frame = frames(geometry)
    direction = true_direction(events)
    inward = np.sum(direction * frame.inward[sector], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.einsum("ek,evk->ev", direction, frame.along[sector]) / inward[:, None]


def true_direction(events: Events) -> np.ndarray:
    """Return the true unit direction of flight, f64[E, 3]; single precision is not one to within 0.02 degrees."""
    direction = np.stack([events.column(f"direction_{axis}") for axis in "xyz"], axis=1).astype(np.float64)
    return direction / np.linalg.norm(direction, axis=1, keepdims=True)


def best_sector(events: Events, weights: np.ndarray) -> np.ndarray:
    """Return the sector with the largest sum, over its planes, of the heaviest hit in each, i64[E].

    Among equals, the one with more weight in all: that is how an event whose hits all weigh the same is placed.
    """
    of_plane, _, _ = plane_numbers()
    event, plane = events.event_of_hit(), events.plane.astype(np.int64)
    planes = len(of_plane)
    heaviest = np.zeros(len(events) * planes)
    np.maximum.at(heaviest, event * planes + plane, weights)
    by_sector = heaviest.reshape(len(events), SECTORS, SUPERLAYERS * VIEWS).sum(axis=2)
    total = np.bincount(event * SECTORS + of_plane[plane], weights, minlength=len(events) * SECTORS)
    return np.argmax(by_sector + 1e-4 * total.reshape(len(events), SECTORS), axis=1)


def check_weights(events: Events, weights: np.ndarray) -> np.ndarray:
    """Return ``weights`` as f64[N]; raises TrackingError unless there is one finite, non-negative number per hit."""
    weights = np.asarray(weights, dtype=np.float64)
    hits = int(events.node_ptr[-1])
    if weights.shape != (hits,):
        raise TrackingError(
            f"weights: shape {weights.shape}, but these {len(events)} events have {hits} hits. "
            f"Pass one score per hit, in the events' order (of the same split and limit)."
        )
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        hit = int(np.argmax(wrong))
        raise TrackingError(
            f"{_place(events, hit)}: weight {weights[hit]}; "
            f"allowed are finite numbers of 0 or more. Look at what made the scores."
        )
    return weights


def _check_coordinates(events: Events) -> None:
    wrong = ~np.isfinite(events.coordinate_cm())
    if wrong.any():
        hit = int(np.argmax(wrong))
        raise TrackingError(
            f"{_place(events, hit)}: feature coordinate {events.coordinate_cm()[hit]}; a hit is at a finite place. "
            f"Look at what made the events."
        )


def _place(events: Events, hit: int) -> str:
    event = int(np.searchsorted(events.node_ptr, hit, side="right")) - 1
    return f"event {int(events.event_id[event])}, hit {hit - int(events.node_ptr[event])}"
