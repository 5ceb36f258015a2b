"""How well scores tell the primary's hits from the others: curves, the working point, and what passes it."""

import itertools
import re
from dataclasses import dataclass

import numpy as np

from herd_tracking.events import HIT_CLASSES, Events, TrackingError
from herd_tracking.physics.intervals import Estimate, Estimates, clopper_pearson, over_groups

GROUPS = 20
CURVE_POINTS = 200
SCORE_BINS = 50
CALIBRATION_BINS = 20
WORKING_POINT = "98% efficiency"
FIT_POINT = "99.5% efficiency"
"""Which hits the fit takes: more than the working point keeps, for their weights keep wrong ones from doing harm."""


@dataclass(frozen=True)
class HitCurves:
    """Of one scorer: points of ROC and of precision against recall, f64[K] each, K <= 400; areas
    with their intervals; ``score_counts`` i64[4, 50]: hits per class of `HIT_CLASSES` and bin of the score from 0 to 1;
    ``calibration``: signal fraction in bins of the score, whose mean is ``calibration_score`` f64[20]."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    purity: np.ndarray
    auc: Estimate
    average_precision: Estimate
    score_counts: np.ndarray
    calibration_score: np.ndarray
    calibration: Estimates


def is_selection(scores: np.ndarray) -> bool:
    """Return whether ``scores`` f[N] are only 0 and 1: a selection made, not a score to cut on."""
    return bool(np.all((scores == 0) | (scores == 1)))


def working_point(text: str | float, scores: np.ndarray, signal: np.ndarray) -> float:
    """Return the score from which on a hit is kept.

    ``text`` is the score itself, or such as ``98% efficiency``: the largest score that keeps this part of the hits
    with ``signal`` bool[N]. A selection's is 0.5 whatever was asked. Raises TrackingError for any other text.
    """
    asked = _asked(text)
    if is_selection(scores):
        return 0.5
    if isinstance(text, str) and "%" in text:
        ordered = np.sort(scores[signal])
        return float(ordered[int(np.floor((1 - asked) * len(ordered)))])
    return asked


def _asked(text: str | float) -> float:
    wrong = TrackingError(
        f"threshold: {text!r}; allowed are a score from 0 to 1, or the part of the primary's hits to keep, "
        f"such as '{WORKING_POINT}' (more than 0 % and at most 100 %)."
    )
    match = re.fullmatch(r"\s*([\d.]+)\s*(%\s*(efficiency)?)?\s*", str(text))
    if match is None:
        raise wrong
    try:
        number = float(match[1])
    except ValueError:
        raise wrong from None
    if match[2]:
        if not 0 < number <= 100:
            raise wrong
        return number / 100
    if not 0 <= number <= 1:
        raise wrong
    return number


def check_labels(events: Events) -> np.ndarray:
    """Return which hits are signal, bool[N]; raises TrackingError where the labels are all of one class."""
    signal = events.y == 1
    if signal.all() or not signal.any():
        raise TrackingError(
            f"events {_range(events)}: labels y are all {int(signal[0]) if len(signal) else 'missing'}; metrics need "
            f"hits of both classes (1 primary, 0 others). Take more events, or look at how the labels were made."
        )
    return signal


def hit_curves(events: Events, scores: np.ndarray, signal: np.ndarray) -> HitCurves:
    """Return the curves of ``scores`` f[N] from 0 to 1 for hits of both classes (`check_labels`)."""
    passed, signal_passed = _cumulative(scores, signal)
    auc, precision = _areas(passed, signal_passed)
    edges = np.linspace(0, len(events), min(GROUPS, len(events)) + 1).astype(int)
    groups = np.array(
        [_group_areas(scores, signal, *events.node_ptr[[a, b]]) for a, b in itertools.pairwise(edges)]
    )
    background = passed[-1] - signal_passed[-1]
    false, true = (passed - signal_passed) / background, signal_passed / signal_passed[-1]
    keep = _points(false, true)
    binned = np.minimum((scores * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
    counts = np.bincount(events.hit_class * SCORE_BINS + binned, minlength=len(HIT_CLASSES) * SCORE_BINS)
    coarse = np.minimum((scores * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    of = np.bincount(coarse, minlength=CALIBRATION_BINS)
    mean = np.bincount(coarse, scores, minlength=CALIBRATION_BINS) / np.maximum(of, 1)
    return HitCurves(
        false_positive_rate=false[keep],
        true_positive_rate=true[keep],
        purity=(signal_passed / passed)[keep],
        auc=over_groups(groups[:, 0], auc, len(scores)),
        average_precision=over_groups(groups[:, 1], precision, len(scores)),
        score_counts=counts.reshape(len(HIT_CLASSES), SCORE_BINS),
        calibration_score=np.where(of > 0, mean, np.nan),
        calibration=clopper_pearson(np.bincount(coarse[signal], minlength=CALIBRATION_BINS), of),
    )


def _cumulative(scores: np.ndarray, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hits and signal hits at or above each distinct score, from the highest on, i64[K] each."""
    order = np.argsort(scores)[::-1]
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return ends + 1, np.cumsum(signal[order], dtype=np.int64)[ends]


def _areas(passed: np.ndarray, signal_passed: np.ndarray) -> tuple[float, float]:
    """Return the area under the ROC curve (trapezium) and the average precision (step), as scikit-learn has them."""
    signal, background = signal_passed[-1], passed[-1] - signal_passed[-1]
    false = np.concatenate(([0.0], (passed - signal_passed) / background))
    true = np.concatenate(([0.0], signal_passed / signal))
    auc = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
    return auc, float(np.sum(np.diff(true) * signal_passed / passed))


def _group_areas(scores: np.ndarray, signal: np.ndarray, first: int, last: int) -> tuple[float, float]:
    signal = signal[first:last]
    if signal.all() or not signal.any():
        return float("nan"), float("nan")
    return _areas(*_cumulative(scores[first:last], signal))


def _points(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return which of the curve's points to draw: even in efficiency, and in the logarithm of the other axis."""
    lowest = max(float(false[false > 0].min(initial=1.0)), 1e-7)
    at = np.concatenate(
        [
            np.searchsorted(true, np.linspace(0, 1, CURVE_POINTS)),
            np.searchsorted(false, np.geomspace(lowest, 1, CURVE_POINTS)),
            [0, len(true) - 1],
        ]
    )
    return np.unique(np.minimum(at, len(true) - 1))


def _range(events: Events) -> str:
    if len(events) == 0:
        return "(none)"
    return f"{int(events.event_id[0])} to {int(events.event_id[-1])} ({len(events)})"
