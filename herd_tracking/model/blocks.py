"""A batch in blocks of whole events: small enough that the activations of a layer stay in a core's cache."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import pad

from herd_tracking.batch import Batch

HITS_PER_BLOCK = 1024
"""512 KiB per activation of 128 fp32 channels. Larger blocks leave the second-level cache, smaller ones are too little
work for one matrix product."""

ROUND = 64


def block_ends(node_ptr: np.ndarray, hits: int, hits_per_block: int = HITS_PER_BLOCK) -> list[int]:
    """Return the events at which blocks end: i64[B+1] ``node_ptr`` in runs of about ``hits_per_block`` hits.

    An event larger than that has a block of its own; ``hits`` beyond ``node_ptr[-1]`` (padding) go to no block.
    """
    events = len(node_ptr) - 1
    blocks = max(1, round(min(int(node_ptr[-1]), hits) / hits_per_block))
    wanted = node_ptr[-1] * np.arange(1, blocks + 1) / blocks
    ends = np.searchsorted(node_ptr, wanted, side="left").clip(1, events) if events else []
    return sorted({int(end) for end in ends})


def blocks_of(batch: Batch, hits_per_block: int = HITS_PER_BLOCK) -> Iterator[Batch]:
    """Yield the events of ``batch``, in order, as smaller batches; hits that only pad it are left out."""
    node_ptr = batch.node_ptr.numpy()
    first = 0
    for last in block_ends(node_ptr, len(batch.x), hits_per_block):
        yield _take(batch, first, last, int(node_ptr[first]), int(node_ptr[last]))
        first = last


def rounded(block: Batch) -> Batch:
    """Return ``block`` with isolated hits that count nothing, up to a multiple of `ROUND` hits.

    oneDNN generates code for each new shape, which takes as long as a third of a product of a block: so blocks come in
    few shapes, whose code it keeps.
    """
    more = -len(block.x) % ROUND
    if not more:
        return block
    mask = torch.ones(len(block.x)) if block.mask is None else block.mask
    return replace(
        block,
        x=pad(block.x, (0, 0, 0, more)),
        y=pad(block.y, (0, more)),
        rowptr=torch.cat((block.rowptr, block.rowptr[-1:].expand(more))),
        inverse_degree=pad(block.inverse_degree, (0, more)),
        mask=pad(mask, (0, more)),
    )


def _take(batch: Batch, first: int, last: int, node: int, node_end: int) -> Batch:
    edge, edge_end = int(batch.rowptr[node]), int(batch.rowptr[node_end])
    return Batch(
        x=batch.x[node:node_end],
        y=batch.y[node:node_end],
        rowptr=batch.rowptr[node : node_end + 1] - edge,
        src=batch.src[edge:edge_end] - node,
        inverse_degree=batch.inverse_degree[node:node_end],
        node_ptr=batch.node_ptr[first : last + 1] - node,
        event=batch.event[first:last],
        mask=None if batch.mask is None else batch.mask[node:node_end],
    )
