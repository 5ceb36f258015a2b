"""Makes events of the toy: the same for a seed, however they are cut into pieces and whoever makes them."""

from typing import Literal, NamedTuple

import numpy as np

from herd_tracking.events import EVENT_COLUMNS, FEATURES, Events, TrackingError
from herd_tracking.geometry import FIT, PLANES, Geometry
from herd_tracking.graphs import build_edges
from herd_tracking.simulation import kernel, readout
from herd_tracking.simulation.knobs import Knobs, rates

Particles = Literal["electron", "proton", "both"]
PDG = {"electron": (11,), "proton": (2212,), "both": (11, 2212)}
CHUNK = 1024
"""Events that share one stream of random numbers; a piece of the events must begin at a multiple of it."""
MAX_EVENTS = 1 << 40
_ROOM_PER_EVENT = 160
_MOST_PER_EVENT = 4096


class _Fit(NamedTuple):
    """The geometry as compiled code reads it: all planes stand across one of the axes X, Y, Z."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    table: np.ndarray
    cumulated: np.ndarray
    channels: float
    slot: float
    active: float
    channel: float


def simulate(
    events: int,
    seed: int,
    particles: Particles = "electron",
    knobs: Knobs | None = None,
    geometry: Geometry = FIT,
    first_event: int = 0,
) -> Events:
    """Return ``events`` events of the sequence that ``seed`` begins, from ``first_event`` on (n * `CHUNK`).

    With ``particles="both"`` electrons and protons take turns. ``event_id`` is unique for a seed and its particles.
    Raises TrackingError for numbers that are not allowed, and for knobs that give more hits than any event may have.
    """
    check_request(events, seed, particles, first_event)
    knobs = (Knobs() if knobs is None else knobs).checked()
    fit = _compiled(geometry)
    table = np.zeros((events, len(EVENT_COLUMNS)), dtype=np.float32)
    pieces, counts = [], [np.zeros(1, dtype=np.int64)]
    numbers = first_event + np.arange(events, dtype=np.int64)
    pdgs = np.array(PDG[particles], dtype=np.float64)[numbers % len(PDG[particles])]
    for begin in range(0, events, CHUNK):
        some = slice(begin, min(begin + CHUNK, events))
        raw, ptr = _chunk(
            seed, (first_event + begin) // CHUNK, particles, knobs, fit, pdgs[some], table[some]
        )
        pieces.append(raw)
        counts.append(np.diff(ptr))
    node_ptr = np.cumsum(np.concatenate(counts))
    raw = np.concatenate(pieces) if pieces else np.zeros((0, 5), dtype=np.float32)
    return _as_events(raw, node_ptr, table, _ids(numbers, seed, particles), geometry)


def check_request(events: int, seed: int, particles: str, first_event: int = 0) -> None:
    """Raise TrackingError for what `simulate` does not allow."""
    if not 1 <= events <= MAX_EVENTS:
        raise TrackingError(f"events: {events}; allowed are 1 to {MAX_EVENTS:,}.")
    if not 0 <= seed < 2**63:
        raise TrackingError(f"seed: {seed}; allowed are whole numbers from 0 to 2^63 - 1.")
    if particles not in PDG:
        raise TrackingError(f"particles: {particles!r}; allowed are {', '.join(PDG)}.")
    if first_event < 0 or first_event % CHUNK:
        raise TrackingError(f"first_event: {first_event}; allowed are multiples of {CHUNK}.")


def _ids(numbers: np.ndarray, seed: int, particles: str) -> np.ndarray:
    """Return an id per event: its number, mixed with what else tells the sequence apart (SplitMix64's finaliser)."""
    start = np.uint64((seed * 3 + list(PDG).index(particles)) % 2**64)
    with np.errstate(over="ignore"):
        mixed = (start + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + numbers.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def _chunk(
    seed: int, number: int, particles: str, knobs: Knobs, fit, pdgs: np.ndarray, table: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    room = _ROOM_PER_EVENT * len(pdgs) + _MOST_PER_EVENT
    while True:
        # From the start again when there was too little room: the same numbers.
        draw = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence([seed, list(PDG).index(particles), number]))
        )
        raw = np.empty((room, 5), dtype=np.float32)
        ptr = np.zeros(len(pdgs) + 1, dtype=np.int64)
        used = kernel.make_events(draw, rates(knobs), fit, _MOST_PER_EVENT, pdgs, table, raw, ptr)
        if used >= 0:
            clusters, cluster_ptr = np.empty((used, 5), dtype=np.float32), np.zeros_like(ptr)
            used = readout.merge_hits(raw[:used], ptr, knobs.merge_cm, clusters, cluster_ptr)
            return clusters[:used], cluster_ptr
        if used == kernel.NEVER_ACCEPTED:
            raise TrackingError(
                f"knob min_superlayers: {knobs.min_superlayers}; of a million lines none crosses so many superlayers."
            )
        if room >= _MOST_PER_EVENT * len(pdgs):
            raise TrackingError(
                f"knobs: an event has more than {_MOST_PER_EVENT} hits; lower backsplash_at_100_gev "
                f"({knobs.backsplash_at_100_gev}) or noise_per_1000_channels ({knobs.noise_per_1000_channels})."
            )
        room *= 4


def _compiled(geometry: Geometry) -> _Fit:
    planes = geometry.planes
    slots = np.round(2 * planes.half_u_cm / geometry.mat_slot_cm)
    table = np.empty((PLANES, kernel.HALF_V + 1))
    table[:, :3] = planes.origin_cm
    for axis, sign, vectors in (
        (kernel.NORMAL_AXIS, kernel.NORMAL_SIGN, planes.normal),
        (kernel.U_AXIS, kernel.U_SIGN, planes.u),
    ):
        table[:, axis], table[:, sign] = np.argmax(np.abs(vectors), axis=1), vectors.sum(axis=1)
    table[:, kernel.V_AXIS] = np.argmax(np.abs(planes.v), axis=1)
    table[:, kernel.HALF_U], table[:, kernel.HALF_V] = planes.half_u_cm, planes.half_v_cm
    channels = np.cumsum(slots * round(geometry.mat_active_cm / geometry.channel_pitch_cm))
    return _Fit(
        low=tuple(geometry.calorimeter_cm[0].tolist()),
        high=tuple(geometry.calorimeter_cm[1].tolist()),
        table=table,
        cumulated=channels,
        channels=float(channels[-1]),
        slot=geometry.mat_slot_cm,
        active=geometry.mat_active_cm,
        channel=geometry.channel_pitch_cm,
    )


def _as_events(
    raw: np.ndarray, node_ptr: np.ndarray, table: np.ndarray, event_id: np.ndarray, geometry: Geometry
) -> Events:
    plane = raw[:, 0].astype(np.uint8)
    hit_class = raw[:, 4].astype(np.uint8)
    edge_ptr, degree, src = build_edges(node_ptr, plane, raw[:, 1])
    return Events(
        node_ptr=node_ptr,
        edge_ptr=edge_ptr,
        x=features(raw, node_ptr, table, geometry),
        y=(hit_class == kernel.PRIMARY).astype(np.uint8),
        hit_class=hit_class,
        plane=plane,
        degree=degree,
        src=src,
        event=table,
        event_id=event_id,
    )


def features(
    hits: np.ndarray, node_ptr: np.ndarray, table: np.ndarray, geometry: Geometry = FIT
) -> np.ndarray:
    """Return `Events.x`, f32[N, 7], of ``hits`` f32[N, >=4]: plane, coordinate in cm, ADC counts, channels.

    ``node_ptr`` i64[E+1] says where an event begins; of ``table`` (f32[E, 15], `EVENT_COLUMNS`) the axis is used.
    """
    x = np.empty((len(hits), len(FEATURES)), dtype=np.float32)
    readout.fill_features(_compiled(geometry), hits, node_ptr, table, geometry.planes.depth_cm, x)
    return x
