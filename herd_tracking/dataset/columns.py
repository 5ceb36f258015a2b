"""What a file must hold to be imported: a row for each event, lists for its hits; and how that becomes `Events`.

========================= ======== ===============================================================================
column                    per      what
========================= ======== ===============================================================================
``coordinate_cm``         hit      measured coordinate in the sector's frame, cm
``adc``                   hit      summed counts of the cluster
``channels``              hit      how many channels the cluster has
``plane``                 hit      (sector * 7 + superlayer) * 2 + view; or the three columns below
``hit_sector``            hit      0 top, 1 +X, 2 -X, 3 +Y, 4 -Y
``superlayer``            hit      0 (farthest from the calorimeter) to 6
``view``                  hit      0: x, 1: y
``hit_class``             hit      0 primary, 1 delta, 2 backsplash, 3 noise; or the column below
``is_signal``             hit      1 if the primary made it; all other hits are then filed as backsplash. If there are
                                   both, they must say the same
``event_id``              event    whole number from 0, unique; optional: the running number
`EVENT_COLUMNS`           event    energy in GeV, directions as unit vectors, points in cm, sector, PDG number
========================= ======== ===============================================================================

A column may also be named after the collection of HerdSoftware that it would come from, ``fitClustersCollADC_adc`` or
``MCTruth.energy_gev``. The collections are those of its manual; how files name their members is not published, so this
has not been verified with a real file: give other names explicitly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from herd_tracking.dataset.limits import FARTHEST_POINT_CM, POINTS, UNIT_TOLERANCE
from herd_tracking.events import EVENT_COLUMNS, HIT_CLASSES, Events, TrackingError
from herd_tracking.geometry import FIT, PLANES, SECTORS, SUPERLAYERS, VIEWS, Geometry
from herd_tracking.graphs import build_edges
from herd_tracking.simulation.generator import features

MEASURED = ("coordinate_cm", "adc", "channels")
PLACES = ("hit_sector", "superlayer", "view")
HIT_COLUMNS = (*MEASURED, "plane", *PLACES, "hit_class", "is_signal")
COLUMNS = (*HIT_COLUMNS, "event_id", *EVENT_COLUMNS)
HERDSOFTWARE = {
    **dict.fromkeys(HIT_COLUMNS, "fitClustersCollADC"),
    **dict.fromkeys(("event_id", *EVENT_COLUMNS), "MCTruth"),
}
_RANGES = {
    "plane": PLANES,
    "hit_sector": SECTORS,
    "superlayer": SUPERLAYERS,
    "view": VIEWS,
    "hit_class": len(HIT_CLASSES),
    "is_signal": 2,
    "sector": SECTORS,
}


@dataclass(frozen=True)
class Column:
    """The values of a column, one after the other; ``counts`` i64[E] says how many an event has, None: one each."""

    values: np.ndarray
    counts: np.ndarray | None = None


def names_in(available: Iterable[str], names: Mapping[str, str], where: str) -> dict[str, str]:
    """Return how each column that is wanted is called in a file that has the columns ``available``.

    ``names`` says it for some; otherwise it is the column's own name or that with its HerdSoftware collection. Raises
    TrackingError for a column that is missing; ``where`` begins the message.
    """
    there = set(available)
    for column, name in names.items():
        if column not in COLUMNS:
            raise TrackingError(f"name {column}={name}: no such column; allowed are {', '.join(COLUMNS)}.")
        if name not in there:
            raise TrackingError(f"{where}: has no column {name} (for {column}); it has {_some(there)}.")
    found = dict(names)
    for column in COLUMNS:
        usual = (column, *(f"{HERDSOFTWARE[column]}{mark}{column}" for mark in "_."))
        as_usual = [name for name in usual if name in there]
        if as_usual and column not in names:
            found[column] = as_usual[0]
    wanted = [*MEASURED, *EVENT_COLUMNS]
    wanted += (
        [] if "plane" in found else ["plane (or hit_sector, superlayer, view)"][: not _all(PLACES, found)]
    )
    wanted += [] if "hit_class" in found or "is_signal" in found else ["hit_class (or is_signal)"]
    missing = [column for column in wanted if column not in found]
    if missing:
        raise TrackingError(
            f"{where}: missing {', '.join(missing)}; it has {_some(there)}. Give other names as COLUMN=NAME."
        )
    unused = PLACES if "plane" in found else ("plane",)
    return {column: name for column, name in found.items() if column not in unused}


def to_events(
    columns: Mapping[str, Column], first_event: int, where: str, geometry: Geometry = FIT
) -> Events:
    """Return the events of ``columns`` with features and graphs; missing ids count from ``first_event``.

    Raises TrackingError, which begins with ``where`` and names event and column: lists of different lengths, values
    that are not finite or out of range, hits far outside of their plane, labels that contradict each other, directions
    that are no unit vectors.
    """
    counts = columns["coordinate_cm"].counts
    if counts is None:
        raise TrackingError(f"{where}: column coordinate_cm: must be a list for each event.")
    for name, column in columns.items():
        _check_shape(name, column, counts, where, first_event)
    node_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    plane = _planes(columns)
    _check_coordinates(columns, plane, geometry, where, first_event)
    _check_labels(columns, where, first_event)
    table = np.stack([columns[name].values for name in EVENT_COLUMNS], axis=1).astype(np.float32)
    _check_directions(table, where, first_event)
    if "hit_class" in columns:
        hit_class = columns["hit_class"].values.astype(np.uint8)
    else:
        is_signal = columns["is_signal"].values != 0
        hit_class = np.where(is_signal, 0, HIT_CLASSES.index("backsplash")).astype(np.uint8)
    hits = np.stack([plane, *(columns[name].values for name in MEASURED)], axis=1).astype(np.float32)
    edge_ptr, degree, src = build_edges(node_ptr, plane, hits[:, 1])
    return Events(
        node_ptr=node_ptr,
        edge_ptr=edge_ptr,
        x=features(hits, node_ptr, table, geometry),
        y=(hit_class == 0).astype(np.uint8),
        hit_class=hit_class,
        plane=plane,
        degree=degree,
        src=src,
        event=table,
        event_id=_ids(columns, first_event, len(counts)),
    )


def _all(columns: Iterable[str], found: Mapping[str, str]) -> bool:
    return all(column in found for column in columns)


def _some(there: set[str]) -> str:
    names = sorted(there)
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "") or "none"


def _check_shape(name: str, column: Column, counts: np.ndarray, where: str, first_event: int) -> None:
    is_per_hit = name in HIT_COLUMNS
    if is_per_hit != (column.counts is not None):
        kind = "a list for each event" if is_per_hit else "one number for each event"
        raise TrackingError(f"{where}: column {name}: must be {kind}.")
    if column.values.dtype.kind not in "iufb":
        raise TrackingError(f"{where}: column {name}: is {column.values.dtype}; only numbers are allowed.")
    event_of = np.repeat(np.arange(len(counts)), column.counts) if column.counts is not None else None
    bad = None if column.counts is None else _first(column.counts != counts)
    if column.counts is not None and bad is not None:
        raise TrackingError(
            f"{where}: event {first_event + bad}: column {name} has {column.counts[bad]} values, "
            f"coordinate_cm has {counts[bad]}; each hit needs one."
        )
    values = column.values
    # Kept in single precision, which knows no larger numbers.
    with np.errstate(over="ignore"):
        wrong, allowed = ~np.isfinite(values.astype(np.float32)), "finite numbers below 3.4e38"
    if name in _RANGES:
        top = _RANGES[name]
        wrong |= (values < 0) | (values >= top) | (values != np.floor(values))
        allowed = f"whole numbers from 0 to {top - 1}"
    elif name == "event_id":
        wrong |= (values < 0) | (values != np.floor(values)) | (values.astype(np.float64) >= 2.0**64)
        allowed = "whole numbers from 0 to 2^64 - 1"
    elif name == "adc":
        wrong |= values < 0
        allowed = "numbers from 0"
    elif name in ("channels", "energy_gev"):
        wrong |= values <= 0
        allowed = "numbers above 0"
    elif name in POINTS:
        wrong |= np.abs(values) > FARTHEST_POINT_CM
        allowed = (
            f"{-FARTHEST_POINT_CM:g} to {FARTHEST_POINT_CM:g} cm: any point of the line, near the detector"
        )
    bad = _first(wrong)
    if bad is not None:
        event = bad if event_of is None else int(event_of[bad])
        raise TrackingError(
            f"{where}: event {first_event + event}: column {name}: {values[bad]}; allowed are {allowed}."
        )


def _planes(columns: Mapping[str, Column]) -> np.ndarray:
    if "plane" in columns:
        return columns["plane"].values.astype(np.uint8)
    sector, superlayer, view = (columns[name].values.astype(np.uint8) for name in PLACES)
    return ((sector * SUPERLAYERS + superlayer) * VIEWS + view).astype(np.uint8)


def _check_coordinates(
    columns: Mapping[str, Column], plane: np.ndarray, geometry: Geometry, where: str, first_event: int
) -> None:
    values, reach = columns["coordinate_cm"].values, geometry.reach_cm[plane]
    bad = _first(np.abs(values) > reach)
    if bad is not None:
        raise TrackingError(
            f"{where}: event {first_event + _event_of(columns, bad)}: column coordinate_cm: {values[bad]:g}; allowed "
            f"in plane {plane[bad]} are {-reach[bad]:g} to {reach[bad]:g} cm, from the middle of its sector. "
            "Are the units cm, and is it the sector's frame?"
        )


def _check_labels(columns: Mapping[str, Column], where: str, first_event: int) -> None:
    if not ("hit_class" in columns and "is_signal" in columns):
        return
    kind, signal = columns["hit_class"].values, columns["is_signal"].values
    bad = _first((kind == 0) != (signal != 0))
    if bad is not None:
        raise TrackingError(
            f"{where}: event {first_event + _event_of(columns, bad)}: columns hit_class, is_signal: {kind[bad]} "
            f"({HIT_CLASSES[int(kind[bad])]}) and {int(signal[bad])}; is_signal must be 1 for hits of class "
            "0 (primary) and 0 for all others. Give the right one of the two only."
        )


def _first(wrong: np.ndarray) -> int | None:
    """Return the number of the first that is wrong, None if all are right."""
    return int(np.argmax(wrong)) if np.any(wrong) else None


def _event_of(columns: Mapping[str, Column], hit: int) -> int:
    counts = columns["coordinate_cm"].counts
    assert counts is not None
    return int(np.searchsorted(np.cumsum(counts), hit, side="right"))


def _check_directions(table: np.ndarray, where: str, first_event: int) -> None:
    for name in ("direction", "axis_direction"):
        begin = EVENT_COLUMNS.index(f"{name}_x")
        length = np.linalg.norm(table[:, begin : begin + 3], axis=1)
        bad = _first(np.abs(length - 1) > UNIT_TOLERANCE)
        if bad is not None:
            raise TrackingError(
                f"{where}: event {first_event + bad}: columns {name}_x, _y, _z: a vector of length {length[bad]:g}; "
                "allowed are unit vectors."
            )


def _ids(columns: Mapping[str, Column], first_event: int, events: int) -> np.ndarray:
    if "event_id" in columns:
        return columns["event_id"].values.astype(np.uint64)
    return np.arange(first_event, first_event + events, dtype=np.uint64)
