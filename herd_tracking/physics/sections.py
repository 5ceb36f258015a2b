"""What a report shows, in which order, and what it says to each figure."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from herd_tracking.physics import panels, pointing_panels
from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.faces import FACES
from herd_tracking.physics.frames import fit_geometry
from herd_tracking.physics.history import epochs, history_panels
from herd_tracking.physics.layout import Panel, Section
from herd_tracking.physics.picture import draw_view, heading
from herd_tracking.physics.scene import Projection, Scene, projections, scene
from herd_tracking.physics.variables import OF_HITS, OF_TRACKS

_BY = {
    "energy": "energy",
    "angle": "angle",
    "multiplicity": "multiplicity",
    "sector": "sector",
    "superlayer": "superlayer",
    "planes": "planes hit",
}


def sections(evaluation: Evaluation, history: list[Mapping[str, Any]], geometry: Any = None) -> list[Section]:
    """Return the report's sections; those about scores or training only where there are any."""
    scorers = [name for name, one in evaluation.methods.items() if one.curves is not None]
    found = [_classification(evaluation, scorers)]
    found += [
        _against_all(
            "Hit efficiency",
            "Of the primary's hits, those kept at the working point.",
            "hit_efficiency",
            OF_HITS,
        ),
        _against_all("Hit purity", "Of the hits kept, those of the primary.", "hit_purity", OF_HITS),
        _against_all(
            "Background kept",
            "Of all other hits, those kept at the working point.",
            "background_kept",
            OF_HITS,
            True,
        ),
        _track_efficiency(),
        _against_all(
            "Fake rate",
            "Of all fitted tracks, those with less than 50 % of the primary's hits, in the wrong sector, or more than "
            "1° off. An arrow is an upper limit: no fake was seen in that bin.",
            "fake_rate",
            OF_TRACKS,
            True,
        ),
        _pointing(),
    ]
    if all("impact_calo_68" in one.binned for one in evaluation.methods.values()):
        found.append(_impact())
    if evaluation.examples:
        found.append(_examples(evaluation, fit_geometry() if geometry is None else geometry))
    if epochs(history):
        found.append(
            Section("Training", "As it was recorded at the end of each epoch.", history_panels(history))
        )
    return found


def _classification(evaluation: Evaluation, scorers: list[str]) -> Section:
    working = "Marks are the working points; a method without a line only selects hits and has no score."
    shown = [
        Panel("Background against efficiency", panels.roc, working),
        Panel("Purity against efficiency", panels.precision),
    ]
    shown += [
        Panel(f"Scores of {name}", panels.score_classes(name), "Hits at or right of the threshold are kept.")
        for name in scorers
    ]
    if scorers:
        shown.append(Panel("Calibration", panels.calibration, "On the diagonal a score is a probability."))
    shown.append(
        Panel(
            "What is kept of each class", panels.kept_by_class, "An arrow is an upper limit: none was kept."
        )
    )
    text = f"Each hit is the primary's or it is not. Working point: {evaluation.about['threshold']}."
    return Section("Classification of hits", text, tuple(shown))


def _against_all(
    title: str, text: str, metric: str, variables: tuple[str, ...], logarithmic: bool = False
) -> Section:
    shown = (
        Panel(f"{title} by {_BY[variable]}", panels.against(metric, variable, logarithmic))
        for variable in variables
    )
    return Section(title, text, tuple(shown))


def _track_efficiency() -> Section:
    shown = [
        Panel(f"≥ 50 %, by {_BY[variable]}", panels.against("track_half", variable)) for variable in OF_TRACKS
    ]
    shown.append(Panel("≥ 75 %, by energy", panels.against("track_three_quarters", "energy")))
    shown.append(Panel("Perfect, by energy", panels.against("track_perfect", "energy")))
    shown.append(Panel("Perfect, by multiplicity", panels.against("track_perfect", "multiplicity")))
    return Section(
        "Track efficiency",
        "Of events in which the primary hit at least 4 of 7 superlayers in each view of its sector: those with a track "
        "in that sector, within 1° of the true direction, of which at least the given part of the hits is the "
        "primary's. Perfect: no wrong hit, and one in each plane that the primary hit.",
        tuple(shown),
    )


def _pointing() -> Section:
    shown = [Panel("Containment of the angular error", pointing_panels.angle_contained)]
    for percent in (68, 95):
        shown += [
            Panel(f"{percent} % containment by {_BY[variable]}", pointing_panels.pointing(percent, variable))
            for variable in OF_TRACKS
        ]
    note = "Perfect tracks only. Wider than normal: hits are less precise than the fit takes them to be."
    shown.append(Panel("Pulls of the slopes", pointing_panels.pulls, note))
    return Section(
        "Pointing",
        "Space angle between the fitted and the true direction, for all fitted tracks of reconstructable events, "
        "right or wrong. The closed form is a straight line fitted to all seven superlayers at normal incidence; "
        "inclined tracks do better (their error shrinks with the cosine), tracks with fewer hits worse.",
        tuple(shown),
    )


def _impact() -> Section:
    shown = [
        Panel(f"At {face.upper()}, by {_BY[variable]}", pointing_panels.impact(face, variable))
        for face in FACES
        for variable in ("energy", "angle")
    ]
    return Section(
        "Impact point at other detectors",
        "Distance, in the plane of the face, between fitted and true track where the calorimeter, the PSD and the SCD "
        "begin: 68 % of the fitted tracks of reconstructable events are nearer. The distances of PSD and SCD are those "
        "of HerdSoftware's parametric geometry.",
        tuple(shown),
    )


def _examples(evaluation: Evaluation, geometry: Any) -> Section:
    first = evaluation.examples[0]
    cut = evaluation.methods[first.method].fit_threshold
    shown = []
    for place, example in enumerate(evaluation.examples, start=1):
        kept = example.scores >= cut
        seen = scene(example.events, np.where(kept, example.scores, 0.0), geometry, truth=True)
        for view in projections(geometry, seen.sector):
            title = f"Example {place}, {view.name} view"
            shown.append(Panel(title, _view(seen, view, kept), f"{example.why}. {heading(seen, True)}."))
    return Section(
        "Events",
        f"A usual event and the worst, with the line fitted with the scores of {first.method}. Hits that score too "
        "little for the fit are pale. A view measures one coordinate; only planes that measure in it are drawn.",
        tuple(shown),
    )


def _view(seen: Scene, view: Projection, kept: np.ndarray) -> panels.Draw:
    return lambda axes, _evaluation: draw_view(axes, seen, view, kept, truth=True)
