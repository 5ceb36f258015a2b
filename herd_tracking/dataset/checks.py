"""What is wrong with events, said so that it can be found: which event, which field, which value."""

from collections.abc import Callable

import numpy as np

from herd_tracking.dataset.limits import FARTHEST_POINT_CM, POINTS, UNIT_TOLERANCE
from herd_tracking.dataset.packing import first_not_finite, first_one_way
from herd_tracking.events import EVENT_COLUMNS, FEATURES, HIT_CLASSES, Events, TrackingError

PLANES, SECTORS = 70, 5
LARGEST_FEATURE = 100.0
"""Lengths are in units of the detector's size, and the logarithm of the largest number in single precision is 89."""


def check_events(
    events: Events,
    what: str = "events",
    are_classes_needed: bool = True,
    first_event: int = 0,
    reach_cm: np.ndarray | None = None,
) -> None:
    """Raise TrackingError for the first thing that no training could use; ``what`` begins the message.

    ``are_classes_needed``: labels of one class only are an error, too; a single event may well have them.
    ``first_event``: the number that the first of ``events`` has where they are from. ``reach_cm`` f64[P]: how far
    from a plane's middle a hit can be (`Geometry.reach_cm`); None: it is not looked at.
    """

    def name(number: int) -> str:
        return f"{what}: event {first_event + number} (id {int(events.event_id[number])})"

    _check_pointers(events, what, name)
    _check_features(events, what, name)
    if are_classes_needed and len(np.unique(events.y)) < 2:
        value = int(events.y[0])
        raise TrackingError(
            f"{what}: field y: all {len(events.y):,} hits are {value}; signal (1) and background (0) are needed."
        )
    _check_labels(events, name)
    _check_truth(events, name)
    if reach_cm is not None:
        _check_coordinates(events, reach_cm, name)


def _check_pointers(events: Events, what: str, name: Callable[[int], str]) -> None:
    if not len(events):
        raise TrackingError(f"{what}: no events.")
    hits, edges = np.diff(events.node_ptr), np.diff(events.edge_ptr)
    for field, pointer, end in (
        ("node_ptr", events.node_ptr, len(events.y)),
        ("edge_ptr", events.edge_ptr, len(events.src)),
    ):
        if (
            len(pointer) != len(events) + 1
            or pointer[0] != 0
            or pointer[-1] != end
            or np.any(np.diff(pointer) < 0)
        ):
            raise TrackingError(
                f"{what}: field {field}: must rise from 0 to {end} in {len(events) + 1} numbers."
            )
    for field, values, rows in (
        ("hit_class", events.hit_class, len(events.y)),
        ("plane", events.plane, len(events.y)),
        ("degree", events.degree, len(events.y)),
        ("event", events.event, len(events)),
    ):
        if len(values) != rows:
            raise TrackingError(f"{what}: field {field}: has {len(values)} rows, should have {rows}.")
    if np.any(hits == 0):
        raise TrackingError(f"{name(int(np.argmax(hits == 0)))}: has no hits.")
    if np.any(edges == 0):
        raise TrackingError(f"{name(int(np.argmax(edges == 0)))}: has no edges.")
    total = np.add.reduceat(events.degree.astype(np.int64), events.node_ptr[:-1])
    if np.any(total != edges):
        bad = int(np.argmax(total != edges))
        raise TrackingError(
            f"{name(bad)}: field degree: adds up to {total[bad]}, but there are {edges[bad]} edges."
        )
    most = np.maximum.reduceat(events.src.astype(np.int64), events.edge_ptr[:-1])
    if np.any(most >= hits):
        bad = int(np.argmax(most >= hits))
        raise TrackingError(
            f"{name(bad)}: field src: {most[bad]} is no hit of it; allowed are 0 to {hits[bad] - 1}."
        )
    event, to, source = first_one_way(events.node_ptr, events.edge_ptr, events.degree, events.src)
    if event >= 0:
        raise TrackingError(
            f"{name(event)}: field src: hit {source} is a neighbour of hit {to}, but not the other way round; "
            "each edge must be there in both directions."
        )


def _check_features(events: Events, what: str, name: Callable[[int], str]) -> None:
    if events.x.shape != (len(events.y), len(FEATURES)):
        raise TrackingError(
            f"{what}: field x: has shape {list(events.x.shape)}, should be {[len(events.y), len(FEATURES)]}: "
            f"{', '.join(FEATURES)}."
        )
    row, column = first_not_finite(np.ascontiguousarray(events.x))
    if row >= 0:
        event = int(np.searchsorted(events.node_ptr, row, side="right") - 1)
        raise TrackingError(
            f"{name(event)}: field x, feature {FEATURES[column]}: is {events.x[row, column]} at hit "
            f"{row - int(events.node_ptr[event])}; it must be finite."
        )
    if max(float(events.x.max()), -float(events.x.min())) > LARGEST_FEATURE:
        row, column = np.argwhere(np.abs(events.x) > LARGEST_FEATURE)[0].tolist()
        event = int(np.searchsorted(events.node_ptr, row, side="right") - 1)
        raise TrackingError(
            f"{name(event)}: field x, feature {FEATURES[column]}: is {events.x[row, column]:g} at hit "
            f"{row - int(events.node_ptr[event])}; allowed are {-LARGEST_FEATURE:g} to {LARGEST_FEATURE:g}."
        )
    row, column = first_not_finite(np.ascontiguousarray(events.event))
    if row >= 0:
        raise TrackingError(
            f"{name(row)}: field event, column {EVENT_COLUMNS[column]}: is {events.event[row, column]}; "
            "it must be finite."
        )
    for field, values, top in (
        ("y", events.y, 1),
        ("hit_class", events.hit_class, len(HIT_CLASSES) - 1),
        ("plane", events.plane, PLANES - 1),
    ):
        if len(values) and int(values.max()) > top:
            bad = int(np.argmax(values > top))
            event = int(np.searchsorted(events.node_ptr, bad, side="right") - 1)
            raise TrackingError(f"{name(event)}: field {field}: {values[bad]}; allowed are 0 to {top}.")


def _check_labels(events: Events, name: Callable[[int], str]) -> None:
    wrong = (events.y == 1) != (events.hit_class == 0)
    if np.any(wrong):
        event, hit = _place(events, wrong)
        kind = int(events.hit_class[hit])
        raise TrackingError(
            f"{name(event)}: field y: {events.y[hit]} at hit {hit - int(events.node_ptr[event])}, whose hit_class is "
            f"{kind} ({HIT_CLASSES[kind]}); 1 is allowed for class 0 (primary) only, and 0 for all others."
        )


def _check_truth(events: Events, name: Callable[[int], str]) -> None:
    """What `columns` refuses in a file that is imported is not in a dataset, either."""
    columns: list[tuple[str, np.ndarray, str]] = [
        ("energy_gev", events.column("energy_gev") <= 0, "numbers above 0"),
        ("sector", ~np.isin(events.column("sector"), np.arange(SECTORS)), f"0 to {SECTORS - 1}"),
    ]
    far = f"{-FARTHEST_POINT_CM:g} to {FARTHEST_POINT_CM:g} cm"
    columns += [(one, np.abs(events.column(one)) > FARTHEST_POINT_CM, far) for one in POINTS]
    for one in ("direction", "axis_direction"):
        square = sum(events.column(f"{one}_{axis}").astype(np.float64) ** 2 for axis in "xyz")
        wrong = np.abs(np.sqrt(square) - 1) > UNIT_TOLERANCE
        columns.append((f"{one}_x", wrong, "unit vectors (with _y and _z)"))
    for column, wrong, allowed in columns:
        if np.any(wrong):
            bad = int(np.argmax(wrong))
            raise TrackingError(
                f"{name(bad)}: field event, column {column}: {events.column(column)[bad]:g}; allowed are {allowed}."
            )


def _check_coordinates(events: Events, reach_cm: np.ndarray, name: Callable[[int], str]) -> None:
    coordinate, reach = events.coordinate_cm(), reach_cm[events.plane]
    wrong = np.abs(coordinate) > reach
    if np.any(wrong):
        event, hit = _place(events, wrong)
        raise TrackingError(
            f"{name(event)}: field x, feature coordinate: {coordinate[hit]:g} cm at hit "
            f"{hit - int(events.node_ptr[event])}; allowed in plane {events.plane[hit]} are {-reach[hit]:g} to "
            f"{reach[hit]:g} cm."
        )


def _place(events: Events, wrong: np.ndarray) -> tuple[int, int]:
    """Return event and hit of the first one of ``wrong`` bool[N]."""
    hit = int(np.argmax(wrong))
    return int(np.searchsorted(events.node_ptr, hit, side="right") - 1), hit
