"""Batches of one shape, for a GPU that replays what it has recorded: hits are added that count nothing."""

import math
from dataclasses import replace

import torch
from torch.nn.functional import pad

from herd_tracking.batch import Batch

_ROUND = 128


def budget(mean_per_event: float, events: int) -> int:
    """Return room for the hits (or edges) of ``events`` events that have ``mean_per_event`` on average.

    Sums of many events vary little: 1.5/sqrt(events) more than the mean is three standard deviations if that of an
    event is half of its mean (of toy events, it is a third for hits and a little more for edges). What has still more
    is computed as it is.
    """
    wanted = mean_per_event * events * (1 + 1.5 / math.sqrt(max(events, 1)))
    return max(1, math.ceil(wanted / _ROUND)) * _ROUND


def padded(batch: Batch, hits: int, edges: int) -> Batch:
    """Return ``batch`` filled up to ``hits`` hits and ``edges`` edges, or as it is if there is no room for a hit.

    Added edges are loops at the last added hit; `Batch.mask` is 0 for added hits.
    """
    more, loops = hits - len(batch.y), edges - len(batch.src)
    if more < 1 or loops < 0:
        return batch
    device = batch.x.device
    rowptr = torch.full((more,), len(batch.src), dtype=batch.rowptr.dtype, device=device)
    rowptr[-1] = edges
    mask = torch.ones(len(batch.y), device=device)
    return replace(
        batch,
        x=pad(batch.x, (0, 0, 0, more)),
        y=pad(batch.y, (0, more)),
        rowptr=torch.cat([batch.rowptr, rowptr]),
        src=pad(batch.src, (0, loops), value=hits - 1),
        inverse_degree=pad(batch.inverse_degree, (0, more)),
        mask=pad(mask, (0, more)),
    )
