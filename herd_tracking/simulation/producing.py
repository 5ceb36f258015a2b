"""Simulates a dataset on several cores and writes it: the same events whatever the number of threads."""

import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herd_tracking.events import FEATURES, Events, TrackingError
from herd_tracking.geometry import FIT, Geometry
from herd_tracking.simulation.generator import CHUNK, Particles, check_request, simulate
from herd_tracking.simulation.knobs import Knobs

if TYPE_CHECKING:
    from herd_tracking.dataset import Dataset

PIECE = 8 * CHUNK
"""Events that a thread makes at a time, about 25 MB."""


def simulate_pieces(
    events: int,
    seed: int,
    particles: Particles = "electron",
    *,
    threads: int | None = None,
    knobs: Knobs | None = None,
    geometry: Geometry = FIT,
) -> Generator[Events, None, None]:
    """Yield the events of ``simulate(events, seed, ...)`` in order, in pieces of at most `PIECE`.

    ``threads`` (None: one for each core that this process may use) make them at the same time; the compiled part does
    not hold the interpreter's lock. At most two pieces for each thread are in memory. Raises as `simulate` does.
    """
    check_request(events, seed, particles)
    knobs = (Knobs() if knobs is None else knobs).checked()
    threads = cores() if threads is None else threads
    if threads < 1:
        raise TrackingError(f"threads: {threads}; allowed are 1 and more.")
    pool = ThreadPoolExecutor(threads, thread_name_prefix="simulate")
    coming: deque[Future[Events]] = deque()
    try:
        for first in range(0, events, PIECE):
            if len(coming) >= 2 * threads:
                yield coming.popleft().result()
            size = min(PIECE, events - first)
            coming.append(pool.submit(simulate, size, seed, particles, knobs, geometry, first))
        while coming:
            yield coming.popleft().result()
    finally:
        # Also when whoever reads gives up, by Ctrl-C or for a full disk: nothing more is begun.
        pool.shutdown(wait=True, cancel_futures=True)


def simulate_dataset(
    directory: str | Path,
    events: int,
    seed: int = 0,
    particles: Particles = "electron",
    threads: int | None = None,
    *,
    knobs: Knobs | None = None,
    geometry: Geometry = FIT,
    progress: bool = True,
    is_overwritten: bool = False,
) -> "Dataset":
    """Write ``events`` simulated events to ``directory`` and return the dataset; a bar shows how far it is.

    The dataset says all that is needed to make it again: seed, particles, knobs, geometry. ``is_overwritten`` lets an
    older dataset be replaced. Raises TrackingError for numbers that are not allowed, a directory that is not empty, and
    a full disk.
    """
    from herd_tracking.dataset import Dataset, DatasetWriter
    from herd_tracking.live.bar import event_bar

    check_request(events, seed, particles)
    knobs = (Knobs() if knobs is None else knobs).checked()
    meta = description(seed, particles, knobs, geometry)
    pieces = simulate_pieces(events, seed, particles, threads=threads, knobs=knobs, geometry=geometry)
    bar = event_bar("simulating", events, progress)
    with bar as advance, closing(pieces), DatasetWriter(directory, meta, is_overwritten) as writer:
        for piece in pieces:
            writer.append(piece)
            advance(len(piece))
    return Dataset.open(directory)


def description(seed: int, particles: str, knobs: Knobs, geometry: Geometry = FIT) -> dict[str, Any]:
    """Return what a dataset says of how it was made."""
    return {
        "source": "toy",
        "seed": seed,
        "particles": particles,
        "knobs": asdict(knobs),
        "features": list(FEATURES),
        "geometry": asdict(geometry),
        "geometry_hash": geometry.hash,
        "made_by": f"rayster {version('rayster')}",
    }


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
