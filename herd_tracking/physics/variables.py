"""What the metrics are drawn against: energy, angle, layer, multiplicity, sector; each with its unit and its bins."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from herd_tracking.events import Events
from herd_tracking.physics.frames import SECTOR_NAMES, SUPERLAYERS, VIEWS, plane_numbers
from herd_tracking.physics.matching import Truth


@dataclass(frozen=True)
class Variable:
    """``names``: of its bins where they are not numbers but things."""

    label: str
    logarithmic: bool = False
    names: tuple[str, ...] = ()


VARIABLES: Mapping[str, Variable] = {
    "energy": Variable("True energy (GeV)", logarithmic=True),
    "angle": Variable("Angle to the sector's normal (°)"),
    "multiplicity": Variable("Hits in the event"),
    "sector": Variable("Sector", names=SECTOR_NAMES),
    "superlayer": Variable(
        "Superlayer (0: farthest from CALO)", names=tuple(str(layer) for layer in range(SUPERLAYERS))
    ),
    "planes": Variable("Planes that the primary hit (of 14)"),
}

OF_HITS = ("energy", "angle", "superlayer", "multiplicity", "sector")
OF_TRACKS = ("energy", "angle", "planes", "multiplicity", "sector")


@dataclass(frozen=True)
class Binning:
    """Bins of one variable: ``edges`` f64[B+1] and which bin each event (or hit) is in, i64; -1: in none."""

    edges: np.ndarray
    index: np.ndarray

    @property
    def count(self) -> int:
        return len(self.edges) - 1


def of_events(events: Events, true: Truth) -> dict[str, Binning]:
    """Return the bins of each event by each variable of `OF_TRACKS`."""
    energy = events.column("energy_gev").astype(np.float64)
    hits = np.diff(events.node_ptr)
    planes = true.planes.sum(axis=1)
    return {
        "energy": _binned(energy, _energy_edges(energy)),
        "angle": _binned(true.angle_deg, np.arange(0, 10 * np.ceil(true.angle_deg.max() / 10) + 1, 10)),
        "multiplicity": _binned(hits, _quantile_edges(hits)),
        "sector": _binned(events.column("sector"), _unit_edges(len(SECTOR_NAMES))),
        "planes": _binned(planes, _unit_edges(SUPERLAYERS * VIEWS + 1)[8:]),
    }


def of_hits(events: Events, by_event: Mapping[str, Binning]) -> dict[str, Binning]:
    """Return the bins of each hit by each variable of `OF_HITS`: its event's, or its superlayer and sector."""
    event = events.event_of_hit()
    sector, superlayer, _ = plane_numbers()
    own = {"superlayer": superlayer, "sector": sector}
    return {
        name: (
            Binning(_unit_edges(own[name].max() + 1), own[name][events.plane])
            if name in own
            else Binning(by_event[name].edges, by_event[name].index[event])
        )
        for name in OF_HITS
    }


def _binned(values: np.ndarray, edges: np.ndarray) -> Binning:
    index = np.searchsorted(edges, values, side="right") - 1
    index = np.where(values == edges[-1], len(edges) - 2, index)
    return Binning(edges.astype(np.float64), np.where((index < 0) | (index > len(edges) - 2), -1, index))


def _energy_edges(energy: np.ndarray) -> np.ndarray:
    """Return ten logarithmic bins from the nearest rounded energy below the smallest to that above the largest."""
    low, high = _rounded(energy.min(), np.floor), _rounded(energy.max(), np.ceil)
    return np.geomspace(low, high if high > low else 1.1 * low, 11)


def _rounded(energy: float, to: np.ufunc) -> float:
    power = 10 ** np.floor(np.log10(energy))
    # Single precision leaves 100.00001 where 100 was meant.
    return float(to(round(energy / power, 3)) * power)


def _quantile_edges(hits: np.ndarray) -> np.ndarray:
    """Return at most eight bins with about as many events in each."""
    inner = np.round(np.quantile(hits, np.linspace(0, 1, 9)[:-1]))
    return np.unique(np.append(inner, hits.max() + 1)) - 0.5


def _unit_edges(count: int) -> np.ndarray:
    return np.arange(count + 1) - 0.5
