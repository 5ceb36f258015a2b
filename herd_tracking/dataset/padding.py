"""Batches of one shape, for a GPU that replays what it has recorded: hits are added that count nothing."""

from dataclasses import replace

import torch
from torch.nn.functional import pad

from herd_tracking.batch import Batch


def padded(batch: Batch, hits: int, edges: int) -> Batch:
    """Return ``batch`` filled up to ``hits`` hits and ``edges`` edges; it must have fewer hits and no more edges.

    Added edges are loops at the last added hit; `Batch.mask` is 0 for added hits.
    """
    real, links = len(batch.y), len(batch.src)
    rowptr = batch.rowptr.new_full((hits - real,), links)
    rowptr[-1] = edges
    return replace(
        batch,
        x=pad(batch.x, (0, 0, 0, hits - real)),
        y=pad(batch.y, (0, hits - real)),
        rowptr=torch.cat([batch.rowptr, rowptr]),
        src=pad(batch.src, (0, edges - links), value=hits - 1),
        inverse_degree=pad(batch.inverse_degree, (0, hits - real)),
        mask=pad(batch.y.new_ones(real), (0, hits - real)),
    )
