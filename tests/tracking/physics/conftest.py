"""A factory of events whose tracks are straight lines at known places, seen by seven superlayers 4 cm apart."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from herd_tracking.events import COORDINATE_SCALE_CM, EVENT_COLUMNS, FEATURES, Events

PITCH_CM = 4.0
INWARD = np.array([[0, 0, -1], [-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0]], dtype=float)
ALONG = np.array(
    [
        [[1, 0, 0], [0, 1, 0]],
        [[0, 1, 0], [0, 0, -1]],
        [[0, 1, 0], [0, 0, -1]],
        [[1, 0, 0], [0, 0, -1]],
        [[1, 0, 0], [0, 0, -1]],
    ],
    dtype=float,
)


def toy_geometry():
    """Both views of a superlayer at one depth, so that the closed form of the fit is exact."""
    sector = np.repeat(np.arange(5), 14)
    superlayer = np.tile(np.repeat(np.arange(7), 2), 5)
    view = np.tile([0, 1], 35)
    depth_cm = (6 - superlayer) * PITCH_CM
    away = np.where(sector == 0, 15.0, 45.0)
    origin = np.array([[0.0, 0.0, 0.0]]) - (away + depth_cm)[:, None] * INWARD[sector]
    origin = origin + np.where((sector > 0)[:, None], [0.0, 0.0, -36.6], 0.0)
    planes = SimpleNamespace(
        sector=sector,
        superlayer=superlayer,
        view=view,
        depth_cm=depth_cm,
        origin_cm=origin,
        u=ALONG[sector, view],
        v=ALONG[sector, 1 - view],
        normal=-INWARD[sector],
        half_u_cm=np.full(70, 50.0),
        half_v_cm=np.full(70, 50.0),
    )
    return SimpleNamespace(planes=planes, calorimeter_cm=np.array([[-36.0, -36.0, -73.2], [36.0, 36.0, 0.0]]))


@dataclass(frozen=True)
class StraightLines:
    """Makes E events: a line through one sector, ``noise`` hits in the mean spread over all planes."""

    geometry: SimpleNamespace

    def __call__(
        self,
        events=200,
        seed=1,
        resolution_cm=0.005,
        noise=20.0,
        slope=0.3,
        sectors=(0, 1, 2, 3, 4),
        efficiency=1.0,
    ):
        draw = np.random.default_rng(seed)
        planes = self.geometry.planes
        sector = draw.choice(sectors, size=events)
        slopes = draw.uniform(-slope, slope, size=(events, 2))
        at_centre = draw.uniform(-20, 20, size=(events, 2))
        direction = INWARD[sector] + np.einsum("ev,evk->ek", slopes, ALONG[sector])
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        inner = sector * 14 + 13
        point = planes.origin_cm[inner] + np.einsum("ev,evk->ek", at_centre, ALONG[sector])
        plane = (sector[:, None] * 14 + np.arange(14)).ravel()
        event = np.repeat(np.arange(events), 14)
        view = planes.view[plane]
        true = at_centre[event, view] + slopes[event, view] * -planes.depth_cm[plane]
        seen = draw.random(len(plane)) < efficiency
        signal = (event[seen], plane[seen], (true + draw.normal(0, resolution_cm, len(true)))[seen])
        count = draw.poisson(noise, events)
        other = (
            np.repeat(np.arange(events), count),
            draw.integers(0, 70, count.sum()),
            draw.uniform(-50, 50, count.sum()),
        )
        event, plane, coordinate = (np.concatenate(pair) for pair in zip(signal, other, strict=True))
        kind = np.concatenate([np.zeros(len(signal[0])), draw.choice([1, 2, 3], size=count.sum())]).astype(
            np.uint8
        )
        order = np.lexsort((coordinate, plane, event))
        event, plane, coordinate, kind = event[order], plane[order], coordinate[order], kind[order]
        return self._events(draw, event, plane, coordinate, kind, sector, direction, point, events)

    def _events(self, draw, event, plane, coordinate, kind, sector, direction, point, events):
        planes = self.geometry.planes
        x = np.zeros((len(event), len(FEATURES)), dtype=np.float32)
        x[:, 0] = coordinate / COORDINATE_SCALE_CM
        x[:, 1] = planes.depth_cm[plane] / 15
        x[:, 2] = planes.view[plane]
        x[:, 3] = planes.sector[plane] == 0
        x[:, 4] = draw.normal(1, 0.2, len(event))
        axis = point + draw.normal(0, 0.5, point.shape)
        depth = np.sum((planes.origin_cm[plane] - axis[event]) * planes.normal[plane], axis=1)
        along = np.sum(direction[event] * planes.normal[plane], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            there = axis[event] + direction[event] * (depth / along)[:, None]
            expected = np.sum((there - planes.origin_cm[plane]) * planes.u[plane], axis=1)
        x[:, 6] = np.clip(np.nan_to_num((coordinate - expected) / 10, nan=3.0), -3, 3)
        columns = dict.fromkeys(EVENT_COLUMNS, np.zeros(events))
        columns |= {
            "energy_gev": 100 * 10 ** draw.random(events),
            "sector": sector,
            "pdg": np.full(events, 11),
        }
        columns |= {f"direction_{a}": direction[:, i] for i, a in enumerate("xyz")}
        columns |= {f"point_{a}_cm": point[:, i] for i, a in enumerate("xyz")}
        columns |= {f"axis_direction_{a}": direction[:, i] for i, a in enumerate("xyz")}
        columns |= {f"axis_point_{a}_cm": axis[:, i] for i, a in enumerate("xyz")}
        return Events(
            node_ptr=np.concatenate(([0], np.cumsum(np.bincount(event, minlength=events)))),
            edge_ptr=np.zeros(events + 1, dtype=np.int64),
            x=x,
            y=(kind == 0).astype(np.uint8),
            hit_class=kind,
            plane=plane.astype(np.uint8),
            degree=np.zeros(len(event), dtype=np.uint8),
            src=np.zeros(0, dtype=np.uint8),
            event=np.stack([columns[name] for name in EVENT_COLUMNS], axis=1).astype(np.float32),
            event_id=np.arange(1000, 1000 + events, dtype=np.uint64),
        )


@pytest.fixture(scope="session")
def geometry():
    return toy_geometry()


@pytest.fixture(scope="session")
def straight_lines(geometry):
    return StraightLines(geometry)
