"""Hit scores made without a network: what there is to gain, and what has been done so far."""

from typing import Any

import numpy as np

from herd_tracking.events import Events
from herd_tracking.physics.fit import FitSettings, best_sector, fit_tracks

AXIS_SCALE_CM = 10.0
AXIS_LIMIT = 3.0

TRUTH = "truth hits"
ROAD_HOUGH = "CALO road + Hough"
ALL_HITS = "no rejection"
LINE_SEARCH = "line search alone"
"""All hits weigh the same, as in *no rejection*, but the fit begins with the line that most of them are near, as for a
network's scores: tells what the fit owes to that search, and what to the network."""


def truth_scores(events: Events) -> np.ndarray:
    """Return 1 for hits of the primary, else 0, f32[N]: the best that any selection of hits can do."""
    return events.y.astype(np.float32)


def all_hits_scores(events: Events) -> np.ndarray:
    """Return 1 for every hit, f32[N]: no rejection, or a line searched for among all of them."""
    return np.ones(len(events.y), dtype=np.float32)


def road_hough_scores(
    events: Events, geometry: Any, road_cm: float = 5.0, window_cm: float = 0.1
) -> np.ndarray:
    """Return 1 for hits on the best line within ``road_cm`` of the calorimeter's axis, else 0, f32[N].

    In each view of the sector with the most planes hit within the road, the line through two hits that has most
    superlayers within ``window_cm`` (a Hough transform whose bins are the pairs of hits).
    """
    # The feature is clipped: at the limit it only says that a hit is at least so far away.
    reach_cm = min(road_cm, 0.999 * AXIS_LIMIT * AXIS_SCALE_CM)
    in_road = np.abs(events.feature("axis_residual")) * AXIS_SCALE_CM <= reach_cm
    weights = in_road.astype(np.float32)
    settings = FitSettings(window_cm=window_cm, min_hits=2)
    return fit_tracks(events, weights, geometry, best_sector(events, weights), settings).used.astype(
        np.float32
    )


def baselines(events: Events, geometry: Any) -> dict[str, np.ndarray]:
    """Return the scores of all four, by the names that reports print; `evaluate` knows how to fit each."""
    return {
        TRUTH: truth_scores(events),
        ROAD_HOUGH: road_hough_scores(events, geometry),
        LINE_SEARCH: all_hits_scores(events),
        ALL_HITS: all_hits_scores(events),
    }
