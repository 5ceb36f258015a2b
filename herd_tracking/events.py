"""Events as flat arrays: what the simulation makes, what a dataset holds, what the physics reads."""

from dataclasses import dataclass, fields

import numpy as np

HIT_CLASSES = ("primary", "delta", "backsplash", "noise")
"""What made a hit, by the number in ``Events.hit_class``; only ``primary`` is signal (``y`` = 1)."""

FEATURES = ("coordinate", "depth", "view", "top", "log_adc", "log_size", "axis_residual")
"""The columns of ``Events.x``: coordinate / 50 cm, depth / 15 cm (0 at the superlayer nearest to the calorimeter),
view (0: x, 1: y), 1 in the top sector else 0, ln(1 + ADC counts / 100), ln(channels), (coordinate - calorimeter
axis) / 10 cm clipped to [-3, 3]."""

COORDINATE_SCALE_CM = 50.0

EVENT_COLUMNS = (
    "energy_gev",
    "direction_x",
    "direction_y",
    "direction_z",
    "point_x_cm",
    "point_y_cm",
    "point_z_cm",
    "sector",
    "pdg",
    "axis_direction_x",
    "axis_direction_y",
    "axis_direction_z",
    "axis_point_x_cm",
    "axis_point_y_cm",
    "axis_point_z_cm",
)
"""The columns of ``Events.event``: true energy, true unit direction of flight and a point of the true line, the sector
that the primary crosses, its PDG number, and the calorimeter's (smeared) axis as unit direction and point."""


class TrackingError(Exception):
    """What a user of this package can meet: the message names the event, file or field, and says what is allowed."""

    def _render_traceback_(self) -> list[str]:
        # IPython's way to show an error: here a sentence helps, and a page of stack does not.
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Events:
    """E events with N hits (nodes) and M directed edges in all.

    ``node_ptr`` i64[E+1] and ``edge_ptr`` i64[E+1] say where an event begins. Per hit: ``x`` f32[N, len(FEATURES)],
    ``y`` u8[N] (1 signal), ``hit_class`` u8[N], ``plane`` u8[N] (the geometry's plane number), ``degree`` u8|u16[N]
    (incoming edges). Edges stand in the order of the hit that they go to: the next ``degree[i]`` entries of ``src``
    (u8|u16[M], counted within the event) are the neighbours of hit i; each edge is there in both directions.
    Per event: ``event`` f32[E, len(EVENT_COLUMNS)] and ``event_id`` u64[E].
    """

    node_ptr: np.ndarray
    edge_ptr: np.ndarray
    x: np.ndarray
    y: np.ndarray
    hit_class: np.ndarray
    plane: np.ndarray
    degree: np.ndarray
    src: np.ndarray
    event: np.ndarray
    event_id: np.ndarray

    def __len__(self) -> int:
        return len(self.event_id)

    def column(self, name: str) -> np.ndarray:
        """Return the column ``name`` of `EVENT_COLUMNS`, f32[E]."""
        return self.event[:, EVENT_COLUMNS.index(name)]

    def feature(self, name: str) -> np.ndarray:
        """Return the feature ``name`` of `FEATURES`, f32[N]."""
        return self.x[:, FEATURES.index(name)]

    def coordinate_cm(self) -> np.ndarray:
        """Return the measured coordinate of each hit in its sector's frame, f32[N], in cm."""
        return self.feature("coordinate") * COORDINATE_SCALE_CM

    def event_of_hit(self) -> np.ndarray:
        """Return the event of each hit, counted from 0, i64[N]."""
        return np.repeat(np.arange(len(self)), np.diff(self.node_ptr))

    def take(self, first: int, last: int) -> "Events":
        """Return the events from ``first`` to before ``last``; arrays are views where they can be."""
        nodes = slice(int(self.node_ptr[first]), int(self.node_ptr[last]))
        edges = slice(int(self.edge_ptr[first]), int(self.edge_ptr[last]))
        return Events(
            node_ptr=self.node_ptr[first : last + 1] - self.node_ptr[first],
            edge_ptr=self.edge_ptr[first : last + 1] - self.edge_ptr[first],
            x=self.x[nodes],
            y=self.y[nodes],
            hit_class=self.hit_class[nodes],
            plane=self.plane[nodes],
            degree=self.degree[nodes],
            src=self.src[edges],
            event=self.event[first:last],
            event_id=self.event_id[first:last],
        )


ARRAYS = tuple(field.name for field in fields(Events))
