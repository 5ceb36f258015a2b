"""How large batches of one shape must be, for a GPU that replays what it has recorded."""

import math

from herd_tracking.batch import Batch
from herd_tracking.dataset.padding import padded

_ROUND = 128


def budget(mean_per_event: float, events: int) -> int:
    """Return room for the hits (or edges) of ``events`` events that have ``mean_per_event`` on average.

    Sums of many events vary little: 1.5/sqrt(events) more than the mean is three standard deviations if that of an
    event is half of its mean (of toy events, it is a third for hits and a little more for edges). What has still more
    is computed as it is.
    """
    wanted = mean_per_event * events * (1 + 1.5 / math.sqrt(max(events, 1)))
    return max(1, math.ceil(wanted / _ROUND)) * _ROUND


def of_one_shape(batch: Batch, hits: int, edges: int) -> Batch:
    """Return ``batch`` filled up to ``hits`` hits and ``edges`` edges, or as it is if there is no room for a hit."""
    if len(batch.y) >= hits or len(batch.src) > edges:
        return batch
    return padded(batch, hits, edges)
