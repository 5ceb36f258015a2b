"""Where tracks are looked for by other detectors: the faces of the calorimeter, the PSD and the SCD of each sector.

Outside in, HERD has the SCD (silicon, charge), the PSD (scintillator), the Fiber Tracker and the calorimeter. Distances
are the defaults of HerdSoftware's parametric geometry (its manual of May 2021), which are those between envelopes:
supports may be in between, and those of the final design may differ.
"""

from typing import Any

import numpy as np

from herd_tracking.physics.frames import SECTORS, Frames

FACES = ("calo", "psd", "scd")
PSD_TOP_CM, PSD_SIDE_CM = 6.1, 7.75
"""From the tracker's outermost plane to the PSD: topFitTopPsdDistance, sideFitSidePsdDistance."""
PSD_THICKNESS_CM = 1.0
SCD_CM = 2.0
"""From the PSD to the SCD: topPsdTopScdDistance, sidePsdSideScdDistance."""


def face_depths_cm(geometry: Any, frame: Frames) -> np.ndarray:
    """Return how deep the faces toward the tracker are in each sector, f64[5, 3] by `FACES`, in cm.

    Along ``frame.inward`` from the sector's innermost plane: the calorimeter is behind it, so positive, the others are
    negative.
    """
    low, high = (np.asarray(corner, dtype=np.float64) for corner in geometry.calorimeter_cm)
    nearest = np.minimum(frame.inward * low, frame.inward * high).sum(axis=1)
    outermost = frame.depth_cm.reshape(SECTORS, -1).min(axis=1)
    psd = outermost - np.where(np.arange(SECTORS) == 0, PSD_TOP_CM, PSD_SIDE_CM)
    return np.stack([nearest - frame.reference_cm, psd, psd - PSD_THICKNESS_CM - SCD_CM], axis=1)


def crossings_cm(
    frame: Frames, sector: np.ndarray, depth_cm: np.ndarray, point_cm: np.ndarray, direction: np.ndarray
) -> np.ndarray:
    """Return where lines (f64[E, 3] each) cross the planes at ``depth_cm`` f64[E, K] of ``sector`` i[E], f64[E, K, 3].

    Not finite for a line along the plane.
    """
    inward = frame.inward[sector]
    to_plane = frame.reference_cm[sector][:, None] + depth_cm - np.sum(point_cm * inward, axis=1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        path = to_plane / np.sum(direction * inward, axis=1)[:, None]
        return point_cm[:, None, :] + path[:, :, None] * direction[:, None, :]
