"""Batches of one shape, for a GPU that replays what it has recorded: hits are added that count nothing."""

from dataclasses import replace

import torch
from torch.nn.functional import pad

from herd_tracking.batch import Batch


def padded(batch: Batch, hits: int, edges: int) -> Batch:
    """Return ``batch`` filled up to ``hits`` hits and ``edges`` edges; it must have fewer hits and no more edges.

    Added edges are loops at the added hits, about as many at each: a GPU sums a row from end to end, and all of a step
    would wait for one that had them all (torch.embedding_bag lets the last row have whatever edges are left, so to end
    the rows before them is no way out). `Batch.mask` is 0 for added hits.
    """
    real, links = len(batch.y), len(batch.src)
    rows, loops = hits - real, edges - links
    ends = torch.arange(1, rows + 1, device=batch.rowptr.device) * loops // rows
    at = torch.searchsorted(ends, torch.arange(loops, device=ends.device), right=True)
    return replace(
        batch,
        x=pad(batch.x, (0, 0, 0, rows)),
        y=pad(batch.y, (0, rows)),
        rowptr=torch.cat([batch.rowptr, (links + ends).to(batch.rowptr.dtype)]),
        src=torch.cat([batch.src, (real + at).to(batch.src.dtype)]),
        inverse_degree=pad(batch.inverse_degree, (0, rows)),
        mask=pad(batch.y.new_ones(real), (0, rows)),
    )
