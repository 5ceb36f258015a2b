"""Measures scores of hits against the truth: one call gives every number, with its interval, that a report shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from herd_tracking.events import HIT_CLASSES, Events, TrackingError
from herd_tracking.physics.baselines import ALL_HITS
from herd_tracking.physics.examples import Example, choose_examples
from herd_tracking.physics.faces import FACES
from herd_tracking.physics.fit import HIT_RESOLUTION_CM, FitSettings, Tracks, check_weights, fit_tracks
from herd_tracking.physics.frames import fit_geometry, pitch_cm
from herd_tracking.physics.hits import (
    FIT_POINT,
    WORKING_POINT,
    HitCurves,
    check_labels,
    hit_curves,
    is_selection,
    working_point,
)
from herd_tracking.physics.intervals import (
    CONFIDENCE,
    Estimate,
    Estimates,
    clopper_pearson,
    contained_by_bin,
    containment,
)
from herd_tracking.physics.matching import POINTING_DEG, Matches, Truth, match, truth
from herd_tracking.physics.variables import Binning, of_events, of_hits

ANGLE_EDGES_DEG = np.geomspace(1e-3, 180, 106)
PULL_EDGES = np.linspace(-5, 5, 41)


@dataclass(frozen=True)
class Method:
    """What one way to choose hits came to.

    ``numbers`` by metric (`herd_tracking.physics.wording.METRICS` says what each is); ``binned`` by metric and
    variable; ``curves`` is None for a mere selection; ``angle_counts`` i64[105] in `ANGLE_EDGES_DEG`, of which the
    first also holds what is below; ``pull_counts`` i64[40] in `PULL_EDGES`; ``seeded``: how its tracks were begun.
    """

    threshold: float
    fit_threshold: float
    selection: bool
    seeded: bool
    numbers: dict[str, Estimate]
    binned: dict[str, dict[str, Estimates]]
    curves: HitCurves | None
    angle_counts: np.ndarray
    pull_counts: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """``about``: what was measured, as a report's heading says it; ``edges`` of the bins by variable."""

    about: dict[str, Any]
    edges: dict[str, np.ndarray]
    methods: dict[str, Method]
    examples: list[Example] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Evaluation({self.about['events']:,} events: {', '.join(self.methods)})"

    def _repr_html_(self) -> str:
        from herd_tracking.physics.page import summary_table

        return summary_table(self)

    def save(self, path: Any) -> None:
        """Write this as JSON to ``path``, from which `load_evaluation` reads it."""
        from herd_tracking.physics.saved import save_evaluation

        save_evaluation(self, path)


def evaluate(
    events: Events,
    scores: Mapping[str, np.ndarray],
    threshold: str | float = WORKING_POINT,
    *,
    fit_threshold: str | float = FIT_POINT,
    geometry: Any = None,
    least_squares_only: tuple[str, ...] = (ALL_HITS,),
    resolution_cm: float = HIT_RESOLUTION_CM,
    about: Mapping[str, Any] | None = None,
    examples: int = 4,
) -> Evaluation:
    """Return hit, track and pointing metrics of each of ``scores``: f[N] from 0 to 1, by the name to print.

    ``threshold``: a score, or such as ``98% efficiency`` (of the primary's hits, found for each scorer), at which hits
    are counted as kept. The fit takes those from ``fit_threshold`` on, weighted by their score. ``geometry`` is
    `herd_tracking.geometry.FIT` by default. Methods in ``least_squares_only`` are fitted to all their hits, without
    first looking for a line among them. ``about`` is added to what the report says of the data; ``examples``: how many
    events to keep for display. Raises TrackingError for no events, empty events, labels of one class, scores that are
    not finite numbers from 0 to 1, one per hit.
    """
    if len(events) == 0:
        raise TrackingError("evaluate: no events; take a split or limit that leaves at least one.")
    check_labels(events)
    if (np.diff(events.node_ptr) == 0).any():
        empty = int(events.event_id[int(np.argmin(np.diff(events.node_ptr)))])
        raise TrackingError(f"event {empty}: has no hits; leave empty events out before they are measured.")
    geometry = fit_geometry() if geometry is None else geometry
    true = truth(events, geometry)
    by_event = of_events(events, true)
    by_hit = of_hits(events, by_event)
    methods, fitted = {}, {}
    for name, given in scores.items():
        weights = _checked(events, name, given)
        settings = FitSettings(resolution_cm=resolution_cm, seeded=name not in least_squares_only)
        methods[name], fitted[name] = _method(
            events, weights, (threshold, fit_threshold), settings, geometry, true, by_event, by_hit
        )
    return Evaluation(
        about=_about(events, true, threshold, resolution_cm)
        | {"pitch_cm": pitch_cm(geometry), "fit_threshold": str(fit_threshold)}
        | dict(about or {}),
        edges={name: binning.edges for name, binning in (by_hit | by_event).items()},
        methods=methods,
        examples=choose_examples(events, scores, fitted, true, examples),
    )


def _checked(events: Events, name: str, given: np.ndarray) -> np.ndarray:
    try:
        weights = check_weights(events, given)
    except TrackingError as error:
        raise TrackingError(f"scores of '{name}': {error}") from error
    if weights.max(initial=0.0) > 1:
        raise TrackingError(
            f"scores of '{name}': largest {weights.max():.4g}; allowed are 0 to 1. Apply a sigmoid to logits first."
        )
    return weights


def _method(
    events: Events,
    weights: np.ndarray,
    thresholds: tuple[str | float, str | float],
    settings: FitSettings,
    geometry: Any,
    true: Truth,
    by_event: dict[str, Binning],
    by_hit: dict[str, Binning],
) -> tuple[Method, tuple[Tracks, Matches]]:
    signal = events.y == 1
    curves = None if is_selection(weights) else hit_curves(events, weights, signal)
    cut, fit_cut = (working_point(one, weights, signal) for one in thresholds)
    kept = weights >= cut
    tracks = fit_tracks(events, np.where(weights >= fit_cut, weights, 0.0), geometry, settings=settings)
    matches = match(events, tracks, true, geometry)
    areas = {} if curves is None else {"auc": curves.auc, "average_precision": curves.average_precision}
    method = Method(
        threshold=cut,
        fit_threshold=fit_cut,
        selection=curves is None,
        seeded=settings.seeded,
        numbers=areas | _numbers(events, kept, tracks, matches, true),
        binned=_hits_by_bin(signal, kept, by_hit) | _tracks_by_bin(tracks, matches, true, by_event),
        curves=curves,
        angle_counts=_counts(matches.angle_deg[tracks.found & true.reconstructable], ANGLE_EDGES_DEG),
        pull_counts=np.histogram(matches.pull[matches.perfect & true.reconstructable], PULL_EDGES)[0],
    )
    return method, (tracks, matches)


def _counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]


def _numbers(
    events: Events, kept: np.ndarray, tracks: Tracks, matches: Matches, true: Truth
) -> dict[str, Estimate]:
    signal = events.y == 1
    could, found = true.reconstructable, tracks.found
    pointing = found & could
    angle, distance = matches.angle_deg[pointing], matches.distance_cm[pointing]
    numbers = {
        "hit_efficiency": _fraction(kept[signal]),
        "hit_purity": _fraction(signal[kept]),
        "background_kept": _fraction(kept[~signal]),
        "track_found": _fraction(found[could]),
        "track_half": _fraction(matches.half[could]),
        "track_three_quarters": _fraction(matches.three_quarters[could]),
        "track_perfect": _fraction(matches.perfect[could]),
        "fake_rate": _fraction(~matches.half[found]),
        "angle_68": containment(angle, 0.68),
        "angle_95": containment(angle, 0.95),
        "tail": _fraction(angle > POINTING_DEG),
        "distance_68": containment(distance, 0.68),
    }
    for place, face in enumerate(FACES):
        numbers[f"impact_{face}_68"] = containment(matches.impact_cm[pointing, place], 0.68)
    by_class = {
        f"kept_{name}": _fraction(kept[events.hit_class == number]) for number, name in enumerate(HIT_CLASSES)
    }
    return numbers | by_class


def _fraction(passed: np.ndarray) -> Estimate:
    return clopper_pearson(np.array(passed.sum()), np.array(len(passed)))[0]


def _hits_by_bin(
    signal: np.ndarray, kept: np.ndarray, by_hit: dict[str, Binning]
) -> dict[str, dict[str, Estimates]]:
    both = signal & kept
    return {
        "hit_efficiency": {name: _binned_fraction(both, signal, one) for name, one in by_hit.items()},
        "hit_purity": {name: _binned_fraction(both, kept, one) for name, one in by_hit.items()},
        "background_kept": {
            name: _binned_fraction(kept & ~signal, ~signal, one) for name, one in by_hit.items()
        },
    }


def _tracks_by_bin(
    tracks: Tracks, matches: Matches, true: Truth, by_event: dict[str, Binning]
) -> dict[str, dict[str, Estimates]]:
    could, found = true.reconstructable, tracks.found
    fractions = {
        "track_half": (matches.half & could, could),
        "track_three_quarters": (matches.three_quarters & could, could),
        "track_perfect": (matches.perfect & could, could),
        "fake_rate": (found & ~matches.half, found),
    }
    pointing = found & could
    return (
        {
            metric: {name: _binned_fraction(passed, of, one) for name, one in by_event.items()}
            for metric, (passed, of) in fractions.items()
        }
        | {
            f"angle_{percent}": {
                name: contained_by_bin(
                    matches.angle_deg[pointing], one.index[pointing], one.count, percent / 100
                )
                for name, one in by_event.items()
            }
            for percent in (68, 95)
        }
        | {
            f"impact_{face}_68": {
                name: contained_by_bin(
                    matches.impact_cm[pointing, place], one.index[pointing], one.count, 0.68
                )
                for name, one in by_event.items()
            }
            for place, face in enumerate(FACES)
        }
    )


def _binned_fraction(passed: np.ndarray, of: np.ndarray, binning: Binning) -> Estimates:
    inside = binning.index >= 0
    return clopper_pearson(
        np.bincount(binning.index[passed & inside], minlength=binning.count),
        np.bincount(binning.index[of & inside], minlength=binning.count),
    )


def _about(events: Events, true: Truth, threshold: str | float, resolution_cm: float) -> dict[str, Any]:
    particle, count = np.unique(events.column("pdg").astype(int), return_counts=True)
    energy = events.column("energy_gev")
    return {
        "events": len(events),
        "hits": len(events.y),
        "signal_fraction": float(np.mean(events.y == 1)),
        "reconstructable": int(true.reconstructable.sum()),
        "particles": {str(one): int(number) for one, number in zip(particle, count, strict=True)},
        "energy_gev": [float(energy.min()), float(energy.max())],
        "threshold": str(threshold),
        "confidence": CONFIDENCE,
        "resolution_cm": resolution_cm,
        "hits_per_class": {
            name: int(np.sum(events.hit_class == number)) for number, name in enumerate(HIT_CLASSES)
        },
    }
