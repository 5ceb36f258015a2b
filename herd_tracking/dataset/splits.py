"""Which events train, validate and test: by a hash of the event, so that order and shards make no difference."""

from typing import Literal

import numpy as np

from herd_tracking.events import TrackingError

Split = Literal["train", "validation", "test"]
SHARES: dict[str, float] = {"train": 0.75, "validation": 0.15, "test": 0.10}


def split_of(event_id: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return 0 (train), 1 (validation) or 2 (test) for each of ``event_id`` u64[E], u8[E]: 75, 15 and 10 % of them."""
    uniform = (_mix(event_id, seed) >> np.uint64(11)).astype(np.float64) / 2.0**53
    edges = np.cumsum(list(SHARES.values()))[:-1]
    return np.searchsorted(edges, uniform, side="right").astype(np.uint8)


def split_number(name: str) -> int:
    """Return the number of a split. Raises TrackingError for another name."""
    if name not in SHARES:
        raise TrackingError(f"split: {name!r}; allowed are {', '.join(SHARES)}.")
    return list(SHARES).index(name)


def _mix(event_id: np.ndarray, seed: int) -> np.ndarray:
    """SplitMix64's finaliser, on ids that differ by the seed."""
    with np.errstate(over="ignore"):
        mixed = event_id.astype(np.uint64) + np.uint64((seed * 2 + 1) % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
