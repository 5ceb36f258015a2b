"""The Fiber Tracker as numbers: five sectors of seven X-Y superlayers around the calorimeter, and their planes.

Frame: +Z to the zenith, z = 0 at the upper face of the calorimeter. Sectors: 0 top, 1 +X, 2 -X, 3 +Y, 4 -Y.
Superlayer 0 is farthest from the calorimeter. View 0 ("x") measures along X (top) or horizontally (sides), view 1 ("y")
along Y (top) or downwards (sides). Plane number = (sector * 7 + superlayer) * 2 + view.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

SECTORS, SUPERLAYERS, VIEWS = 5, 7, 2
PLANES = SECTORS * SUPERLAYERS * VIEWS


@dataclass(frozen=True)
class Planes:
    """The planes, by plane number (P = 70).

    ``sector, superlayer, view`` i64[P]; ``depth_cm`` f64[P]: distance from the innermost plane of the sector, away from
    the calorimeter. ``origin_cm`` f64[P, 3]: the middle of the plane; unit vectors f64[P, 3]: ``u`` along the measured
    coordinate, ``v`` along the fibres, ``normal`` away from the calorimeter. ``half_u_cm, half_v_cm`` f64[P].
    """

    sector: np.ndarray
    superlayer: np.ndarray
    view: np.ndarray
    depth_cm: np.ndarray
    origin_cm: np.ndarray
    u: np.ndarray
    v: np.ndarray
    normal: np.ndarray
    half_u_cm: np.ndarray
    half_v_cm: np.ndarray


@dataclass(frozen=True)
class Geometry:
    """Lengths in cm. `SOURCES` says of each number where it is from, and which are inferred."""

    calorimeter_height_cm: float = 73.2
    calorimeter_half_x_cm: float = 38.05
    calorimeter_half_y_cm: float = 35.15
    top_distance_cm: float = 15.0
    side_x_distance_cm: float = 8.63
    side_y_distance_cm: float = 11.53
    top_size_cm: float = 116.6
    side_size_horizontal_cm: float = 106.0
    side_size_vertical_cm: float = 74.2
    side_vertical_position_cm: float = -26.19
    side_horizontal_position_cm: float = 6.42
    superlayer_pitch_cm: float = 4.0
    view_gap_cm: float = 0.5
    mat_slot_cm: float = 10.6
    mat_active_cm: float = 9.6
    channel_pitch_cm: float = 0.025

    @cached_property
    def hash(self) -> str:
        """A short hash of all numbers; events of another one are not to be mixed with those of this."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @cached_property
    def calorimeter_cm(self) -> np.ndarray:
        """The calorimeter's box: its lowest and its highest corner, f64[2, 3]."""
        x, y = self.calorimeter_half_x_cm, self.calorimeter_half_y_cm
        return np.array([[-x, -y, -self.calorimeter_height_cm], [x, y, 0.0]])

    @cached_property
    def planes(self) -> Planes:
        """All planes."""
        plane = np.arange(PLANES)
        sector, superlayer, view = plane // (SUPERLAYERS * VIEWS), plane // VIEWS % SUPERLAYERS, plane % VIEWS
        # In a superlayer the x mats come first, seen from outside.
        depth = (SUPERLAYERS - 1 - superlayer) * self.superlayer_pitch_cm + (1 - view) * self.view_gap_cm
        along_x, along_y, along_z = np.eye(3)
        normal = np.array([along_z, along_x, -along_x, along_y, -along_y])
        first = np.array([along_x, along_y, along_y, along_x, along_x])
        second = np.array([along_y, -along_z, -along_z, -along_z, -along_z])
        x = self.calorimeter_half_x_cm + self.side_x_distance_cm
        y = self.calorimeter_half_y_cm + self.side_y_distance_cm
        # The sides stand as a pinwheel: each is shifted clockwise, seen from the zenith.
        shift, height = self.side_horizontal_position_cm, self.side_vertical_position_cm
        inner = np.array(
            [
                [0, 0, self.top_distance_cm],
                [x, -shift, height],
                [-x, shift, height],
                [shift, y, height],
                [-shift, -y, height],
            ]
        )
        is_top = sector == 0
        horizontal = np.where(is_top, self.top_size_cm, self.side_size_horizontal_cm) / 2
        vertical = np.where(is_top, self.top_size_cm, self.side_size_vertical_cm) / 2
        is_first = view == 0
        return Planes(
            sector=sector,
            superlayer=superlayer,
            view=view,
            depth_cm=depth,
            origin_cm=inner[sector] + normal[sector] * depth[:, None],
            u=np.where(is_first[:, None], first[sector], second[sector]),
            v=np.where(is_first[:, None], second[sector], first[sector]),
            normal=normal[sector],
            half_u_cm=np.where(is_first, horizontal, vertical),
            half_v_cm=np.where(is_first, vertical, horizontal),
        )

    @cached_property
    def reach_cm(self) -> np.ndarray:
        """How far from a plane's middle a measured coordinate can be, f64[P]: half its width, and one mat for what is
        not aligned as it should be."""
        return self.planes.half_u_cm + self.mat_slot_cm

    def cross(
        self, point_cm: np.ndarray, direction: np.ndarray, plane: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return where lines cross planes: ``u_cm``, ``v_cm`` and whether that is within the plane, each [..., K].

        ``point_cm``, ``direction`` [..., 3] are lines, ``plane`` i64[K] planes. A line along a plane crosses it
        nowhere: its coordinates are infinite or NaN, and it is not within.
        """
        planes = self.planes
        origin, normal = planes.origin_cm[plane], planes.normal[plane]
        with np.errstate(divide="ignore", invalid="ignore"):
            to_plane = np.sum(origin * normal, axis=1) - point_cm @ normal.T
            path = to_plane / (direction @ normal.T)
            u = point_cm @ planes.u[plane].T + path * (direction @ planes.u[plane].T)
            v = point_cm @ planes.v[plane].T + path * (direction @ planes.v[plane].T)
            u = u - np.sum(origin * planes.u[plane], axis=1)
            v = v - np.sum(origin * planes.v[plane], axis=1)
            inside = (np.abs(u) <= planes.half_u_cm[plane]) & (np.abs(v) <= planes.half_v_cm[plane])
        return u, v, inside


FIT = Geometry()

_PARAMETERS = "parametric geometry of HerdSoftware, manual of May 2021"
_INFERRED = "inferred, not published: "
SOURCES = {
    "calorimeter_height_cm": f"{_PARAMETERS}: its centre is at z = -36.6 cm",
    "calorimeter_half_x_cm": _INFERRED
    + "side planes on X and Y are equally far from the Z axis, mean half width 36.6 cm",
    "calorimeter_half_y_cm": _INFERRED
    + "side planes on X and Y are equally far from the Z axis, mean half width 36.6 cm",
    "top_distance_cm": f"{_PARAMETERS}: caloTopFitDistance",
    "side_x_distance_cm": f"{_PARAMETERS}: caloSideXFitDistance",
    "side_y_distance_cm": f"{_PARAMETERS}: caloSideYFitDistance",
    "top_size_cm": f"{_PARAMETERS}: topPlaneSize",
    "side_size_horizontal_cm": f"{_PARAMETERS}: sidePlaneSizeH",
    "side_size_vertical_cm": f"{_PARAMETERS}: sidePlaneSizeV",
    "side_vertical_position_cm": f"{_PARAMETERS}: xSideVPos, ySideVPos",
    "side_horizontal_position_cm": f"{_PARAMETERS}: xSideHPos, ySideHPos",
    "superlayer_pitch_cm": _INFERRED
    + "from the default positions of the detectors around the tracker, about 4.1 cm",
    "view_gap_cm": _INFERRED + "of the order of the thickness of a mat with its support",
    "mat_slot_cm": _INFERRED + "all plane sizes are multiples of it",
    "mat_active_cm": _INFERRED + "384 channels of 0.25 mm",
    "channel_pitch_cm": f"{_PARAMETERS}: pitch of the SiPM channels",
}
