"""What each metric is called, its unit, and how a number is written with its interval."""

# ruff: noqa: RUF001, RUF002 - with a minus sign and dashes, as they are printed

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from herd_tracking.physics.intervals import Estimate


@dataclass(frozen=True)
class Metric:
    """``scale``: what a value is multiplied by to be in ``unit``."""

    label: str
    unit: str
    scale: float
    text: str


_PERCENT = ("%", 100.0)

METRICS: Mapping[str, Metric] = {
    "auc": Metric(
        "Area under the ROC curve", "", 1, "A hit of the primary scores above another hit this often."
    ),
    "average_precision": Metric("Average precision", "", 1, "Mean purity over all efficiencies."),
    "hit_efficiency": Metric("Hit efficiency", *_PERCENT, "Of the primary's hits, those kept."),
    "hit_purity": Metric("Hit purity", *_PERCENT, "Of the hits kept, those of the primary."),
    "background_kept": Metric("Background kept", *_PERCENT, "Of all other hits, those kept."),
    "kept_delta": Metric("… of δ-rays", *_PERCENT, "Of the hits that δ-rays made, those kept."),
    "kept_backsplash": Metric("… of backsplash", *_PERCENT, "Of the hits from the calorimeter, those kept."),
    "kept_noise": Metric("… of noise", *_PERCENT, "Of the hits of SiPM noise, those kept."),
    "track_half": Metric(
        "Track efficiency, ≥ 50 %",
        *_PERCENT,
        "Of reconstructable events, those with a track of which at least 50 % of the hits are the primary's, "
        "in the right sector and within 1° of the truth.",
    ),
    "track_three_quarters": Metric(
        "Track efficiency, ≥ 75 %", *_PERCENT, "The same with at least 75 % of the hits."
    ),
    "track_perfect": Metric(
        "Track efficiency, perfect",
        *_PERCENT,
        "The same with no wrong hit, and one in each plane that the primary hit.",
    ),
    "fake_rate": Metric(
        "Fake rate", *_PERCENT, "Of all fitted tracks, those that fail the ≥ 50 % criterion."
    ),
    "angle_68": Metric(
        "Angular error, 68 %",
        "°",
        1,
        "Space angle to the true direction that contains 68 % of the fitted tracks.",
    ),
    "angle_95": Metric("Angular error, 95 %", "°", 1, "The same for 95 % of them."),
    "tail": Metric("Off by more than 1°", *_PERCENT, "Of fitted tracks of reconstructable events."),
    "distance_68": Metric(
        "Position at innermost plane, 68 %",
        "µm",
        1e4,
        "Distance to the true line, where the fitted one crosses the superlayer nearest to the calorimeter.",
    ),
    "impact_calo_68": Metric(
        "Impact point at CALO, 68 %",
        "µm",
        1e4,
        "Distance between fitted and true track in the plane of the calorimeter's face behind the true sector.",
    ),
    "impact_psd_68": Metric(
        "Impact point at PSD, 68 %",
        "µm",
        1e4,
        "The same at the PSD, before the sector's outermost superlayer.",
    ),
    "impact_scd_68": Metric(
        "Impact point at SCD, 68 %",
        "µm",
        1e4,
        "The same at the SCD, before the PSD: where the charge is measured.",
    ),
}


def number(estimate: Estimate, metric: Metric) -> tuple[str, str]:
    """Return the value and its interval as they are printed, to the interval's first digit or two.

    ``("98.00", "±0.03")``, ``("0.0194", "+0.0002 −0.0001")``, or ``("–", "")`` where there was nothing to measure.
    """
    if not np.isfinite(estimate.value):
        return "–", ""
    value = estimate.value * metric.scale
    up, down = (estimate.high - estimate.value) * metric.scale, (estimate.value - estimate.low) * metric.scale
    if not (np.isfinite(up) and np.isfinite(down)) or max(up, down) <= 0:
        return f"{value:.4g}", ""
    wider = max(up, down)
    power = int(np.floor(np.log10(wider)))
    # The second digit of an interval tells something only where the first is 1.
    digits = int(np.clip((1 if wider < 2 * 10.0**power else 0) - power, 0, 5))
    above, below = f"{up:.{digits}f}", f"{down:.{digits}f}"
    if above == below:
        return f"{value:.{digits}f}", f"±{above}"
    sides = (f"{sign}{side}" for sign, side in (("+", above), ("−", below)) if float(side) > 0)
    return f"{value:.{digits}f}", " ".join(sides)


def named(estimate: Estimate, metric: Metric) -> str:
    """Return value, interval and unit in one line."""
    value, interval = number(estimate, metric)
    return " ".join(part for part in (value, interval, metric.unit) if part)


def particles(counts: Mapping[str, int]) -> str:
    """Return what was in the beam, by PDG number."""
    names = {"11": "electrons", "-11": "positrons", "2212": "protons", "22": "photons"}
    return ", ".join(f"{count:,} {names.get(pdg, 'PDG ' + pdg)}" for pdg, count in counts.items())
