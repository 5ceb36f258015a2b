"""The frame of each sector, read off the geometry's planes: which way tracks go, what a plane measures, and where."""

from dataclasses import dataclass
from typing import Any

import numpy as np

SECTORS = 5
SECTOR_NAMES = ("top", "+X", "−X", "+Y", "−Y")  # noqa: RUF001 - a minus sign, as figures print it
SUPERLAYERS = 7
VIEWS = 2
VIEW_NAMES = ("x view", "y view")


@dataclass(frozen=True)
class Frames:
    """Right for planes that are parallel within a sector and measure one direction per view.

    ``inward`` f64[5, 3]: unit normal toward the calorimeter. ``along`` f64[5, 2, 3]: the direction that each view
    measures. ``reference_cm`` f64[5]: depth of the innermost plane along ``inward``, in the detector's frame. Per
    plane, f64[70]: ``depth_cm`` along ``inward``, 0 at the innermost plane; ``offset_cm``: added to a hit's coordinate,
    gives its position along the measured direction in the detector's frame.
    """

    inward: np.ndarray
    along: np.ndarray
    reference_cm: np.ndarray
    depth_cm: np.ndarray
    offset_cm: np.ndarray


def plane_numbers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sector, superlayer and view of each plane, i64[70], as `Events.plane` counts them."""
    plane = np.arange(SECTORS * SUPERLAYERS * VIEWS)
    return plane // (SUPERLAYERS * VIEWS), plane // VIEWS % SUPERLAYERS, plane % VIEWS


def frames(geometry: Any) -> Frames:
    """Return the frames of ``geometry``'s sectors."""
    origin = np.asarray(geometry.planes.origin_cm, dtype=np.float64)
    measured = np.asarray(geometry.planes.u, dtype=np.float64)
    normal = np.asarray(geometry.planes.normal, dtype=np.float64)
    sector, _, _ = plane_numbers()
    by_sector = origin.reshape(SECTORS, SUPERLAYERS, VIEWS, 3)
    inward = normal.reshape(SECTORS, SUPERLAYERS, VIEWS, 3)[:, 0, 0]
    inward = inward * np.sign(np.sum((by_sector[:, -1, 0] - by_sector[:, 0, 0]) * inward, axis=1))[:, None]
    depth = np.sum(origin * inward[sector], axis=1)
    reference = depth.reshape(SECTORS, -1).max(axis=1)
    return Frames(
        inward=inward,
        along=measured.reshape(SECTORS, SUPERLAYERS, VIEWS, 3)[:, 0],
        reference_cm=reference,
        depth_cm=depth - reference[sector],
        offset_cm=np.sum(origin * measured, axis=1),
    )


def pitch_cm(geometry: Any) -> float:
    """Return the distance between superlayers of the top sector, in cm (the mean, where they are not all the same)."""
    depth = frames(geometry).depth_cm[: SUPERLAYERS * VIEWS : VIEWS]
    return float(np.mean(np.diff(depth)))


def fit_geometry() -> Any:
    """Return the geometry of the Fiber Tracker."""
    from herd_tracking.geometry import FIT

    return FIT
