"""The arrays of a shard as files: their types and lengths, and writing them so that half of a shard never counts."""

import os
import shutil
from pathlib import Path

import numpy as np

from herd_tracking.dataset.meta import Shard
from herd_tracking.events import ARRAYS, EVENT_COLUMNS, FEATURES, Events, TrackingError

TYPES: dict[str, tuple[str, ...]] = {
    "node_ptr": ("int64",),
    "edge_ptr": ("int64",),
    "x": ("float32",),
    "y": ("uint8",),
    "hit_class": ("uint8",),
    "plane": ("uint8",),
    "degree": ("uint8", "uint16"),
    "src": ("uint8", "uint16"),
    "event": ("float32",),
    "event_id": ("uint64",),
}


def shape_of(name: str, shard: Shard) -> tuple[int, ...]:
    """Return the shape that the array ``name`` of ``shard`` must have."""
    if name in ("node_ptr", "edge_ptr"):
        return (shard.events + 1,)
    if name == "event":
        return (shard.events, len(EVENT_COLUMNS))
    if name == "event_id":
        return (shard.events,)
    if name == "x":
        return (shard.hits, len(FEATURES))
    return (shard.edges,) if name == "src" else (shard.hits,)


def write_shard(directory: Path, name: str, events: Events) -> Shard:
    """Write ``events`` as ``directory/name``; TrackingError when the disk does not take it; nothing is left then."""
    shard = Shard(name=name, events=len(events), hits=len(events.y), edges=len(events.src))
    half, whole = directory / f".{name}.part", directory / name
    try:
        half.mkdir(parents=True)
        for array in ARRAYS:
            with (half / f"{array}.npy").open("wb") as file:
                np.save(file, np.ascontiguousarray(getattr(events, array)))
                file.flush()
                os.fsync(file.fileno())
        half.rename(whole)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise TrackingError(
            f"{whole}: cannot be written: {error.strerror or error}. Is the disk full?"
        ) from None
    return shard


def open_array(directory: Path, shard: Shard, name: str) -> np.ndarray:
    """Return an array of a shard, memory-mapped. Raises TrackingError when it is not there, foreign, or cut off."""
    path = directory / shard.name / f"{name}.npy"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise TrackingError(f"{path}: is missing; {directory} is not whole. Copy or make it again.") from None
    except (OSError, ValueError, EOFError) as error:
        raise TrackingError(f"{path}: truncated or foreign: {error}. Copy or make it again.") from None
    want = shape_of(name, shard)
    if array.shape != want or array.dtype.name not in TYPES[name]:
        raise TrackingError(
            f"{path}: has {array.dtype.name}{list(array.shape)}, "
            f"dataset.json says {' or '.join(TYPES[name])}{list(want)}."
        )
    return array
