"""Compares a fitted track with the truth: which of its hits are the primary's, and how far off it points."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from herd_tracking.events import Events
from herd_tracking.physics.faces import crossings_cm, face_depths_cm
from herd_tracking.physics.fit import Tracks, true_direction, true_slopes
from herd_tracking.physics.frames import SUPERLAYERS, VIEWS, frames, plane_numbers

MIN_SUPERLAYERS = 4

POINTING_DEG = 1.0
"""A track that points further off is none of the primary, whatever its hits."""


@dataclass(frozen=True)
class Truth:
    """Of each event: ``planes`` i64[E, 2], planes of the true sector with a hit of the primary, per view;
    ``reconstructable`` bool[E]: at least 4 in each view; ``angle_deg`` f64[E] to the sector's normal."""

    planes: np.ndarray
    reconstructable: np.ndarray
    angle_deg: np.ndarray


@dataclass(frozen=True)
class Matches:
    """Of each event, [E]: ``purity``, the part of the track's hits that are the primary's (NaN without a track);
    ``half``, ``three_quarters``: that part is at least 50 % or 75 %, the sector is right and the track points to
    within `POINTING_DEG`; ``perfect``: likewise, and all of them, one in each plane where the primary left a hit.
    ``angle_deg``: between fitted and true direction. ``distance_cm``: from the true line, where the fitted one crosses
    the innermost plane. ``impact_cm`` f64[E, 3]: between the points where the two lines cross the faces (`FACES`) of
    the true sector. ``pull`` f64[E, 2]: (fitted - true slope) / its standard error."""

    purity: np.ndarray
    half: np.ndarray
    three_quarters: np.ndarray
    perfect: np.ndarray
    angle_deg: np.ndarray
    distance_cm: np.ndarray
    impact_cm: np.ndarray
    pull: np.ndarray


def truth(events: Events, geometry: Any) -> Truth:
    """Return what the primary left behind."""
    sector = events.column("sector").astype(np.int64)
    planes = planes_hit(events, events.y == 1, sector)
    frame = frames(geometry)
    cosine = np.sum(true_direction(events) * frame.inward[sector], axis=1)
    return Truth(
        planes=planes,
        reconstructable=np.all(planes >= MIN_SUPERLAYERS, axis=1),
        angle_deg=np.degrees(np.arccos(np.clip(cosine, -1, 1))),
    )


def planes_hit(events: Events, chosen: np.ndarray, sector: np.ndarray) -> np.ndarray:
    """Return in how many planes of ``sector`` i[E] the hits ``chosen`` bool[N] are, per view, i64[E, 2]."""
    of_plane, superlayer, view = plane_numbers()
    event = events.event_of_hit()
    there = chosen & (of_plane[events.plane] == sector[event])
    plane, event = events.plane[there], event[there]
    seen = np.zeros((len(events), VIEWS, SUPERLAYERS), dtype=np.bool_)
    seen[event, view[plane], superlayer[plane]] = True
    return seen.sum(axis=2)


def match(events: Events, tracks: Tracks, true: Truth, geometry: Any) -> Matches:
    """Return how each event's track compares with its truth."""
    event, sector = events.event_of_hit(), events.column("sector").astype(np.int64)
    hits = np.bincount(event[tracks.used], minlength=len(events))
    right = np.bincount(event[tracks.used & (events.y == 1)], minlength=len(events))
    with np.errstate(invalid="ignore"):
        purity = np.where(tracks.found, right / hits, np.nan)
    same = tracks.found & (tracks.sector == sector)
    all_planes = np.all(planes_hit(events, tracks.used & (events.y == 1), sector) == true.planes, axis=1)
    slopes = true_slopes(events, geometry, tracks.sector)
    angle = space_angle_deg(tracks.direction, true_direction(events))
    with np.errstate(invalid="ignore"):
        good = same & (angle <= POINTING_DEG)
        pull = np.where(same[:, None], (tracks.slope - slopes) / tracks.slope_error, np.nan)
    return Matches(
        purity=purity,
        half=good & (purity >= 0.5),
        three_quarters=good & (purity >= 0.75),
        perfect=good & (purity == 1.0) & all_planes,
        angle_deg=angle,
        distance_cm=_distance(events, tracks),
        impact_cm=_impact(events, tracks, geometry, sector),
        pull=pull,
    )


def space_angle_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the angle between unit vectors f64[E, 3], by the chord: the cosine is blind below a millidegree."""
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(one - other, axis=1) / 2, 0, 1)))


def closed_form_deg(resolution_cm: float, pitch_cm: float, fraction: float = 0.68) -> float:
    """Return the angle that contains ``fraction`` of the tracks at normal incidence with a hit in all superlayers.

    A slope's standard error is resolution / (pitch sqrt(sum (i - 3)^2)) = resolution / (pitch sqrt(28)) in each of the
    two views, so the space angle follows a Rayleigh distribution, whose quantile is sqrt(-2 ln(1 - fraction)).
    """
    arms = np.arange(SUPERLAYERS) - (SUPERLAYERS - 1) / 2
    slope_error = resolution_cm / (pitch_cm * np.sqrt(np.sum(arms**2)))
    return float(np.degrees(slope_error * np.sqrt(-2 * np.log(1 - fraction))))


def impact_closed_form_cm(resolution_cm: float, pitch_cm: float, from_middle_cm: float) -> float:
    """Return what holds 68 % of the impact points of tracks with a hit in all superlayers, at any angle.

    A line fitted to n = 7 points is off by resolution sqrt(1/n + d^2 / (28 pitch^2)) at the distance d from the middle
    one, in each of the two views, so the distance follows a Rayleigh distribution, as in `closed_form_deg`.
    """
    arms = np.arange(SUPERLAYERS) - (SUPERLAYERS - 1) / 2
    error = resolution_cm * np.sqrt(1 / SUPERLAYERS + (from_middle_cm / pitch_cm) ** 2 / np.sum(arms**2))
    return float(error * np.sqrt(-2 * np.log(1 - 0.68)))


def _impact(events: Events, tracks: Tracks, geometry: Any, sector: np.ndarray) -> np.ndarray:
    frame = frames(geometry)
    depth = face_depths_cm(geometry, frame)[sector]
    true = crossings_cm(frame, sector, depth, _true_point_cm(events), true_direction(events))
    fitted = crossings_cm(frame, sector, depth, tracks.point_cm, tracks.direction)
    with np.errstate(invalid="ignore"):
        return np.linalg.norm(fitted - true, axis=2)


def _true_point_cm(events: Events) -> np.ndarray:
    return np.stack([events.column(f"point_{axis}_cm") for axis in "xyz"], axis=1).astype(np.float64)


def _distance(events: Events, tracks: Tracks) -> np.ndarray:
    away = tracks.point_cm - _true_point_cm(events)
    along = true_direction(events)
    return np.linalg.norm(away - np.sum(away * along, axis=1, keepdims=True) * along, axis=1)
