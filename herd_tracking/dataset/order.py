"""In which order an epoch visits events, and which of them make a batch: pure, the same for all workers."""

import numpy as np

from herd_tracking.compiled import compiled

BLOCK_EVENTS = 2048
"""Events that lie together on the disk stay in one window, so that reading is mostly in rows."""
WINDOW_BLOCKS = 32
"""Blocks that are mixed with each other, 65,536 events: a worker holds two windows in memory."""
WINDOW_EVENTS = BLOCK_EVENTS * WINDOW_BLOCKS


def epoch_order(numbers: np.ndarray, seed: int, epoch: int, shuffle: bool = True) -> np.ndarray:
    """Return ``numbers`` i64[E] (ascending) in the order of ``epoch``; it depends on nothing else.

    With ``shuffle``, blocks are drawn, and the events of `WINDOW_BLOCKS` of them at a time are mixed.
    """
    if not shuffle:
        return numbers
    draw = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    blocks = [numbers[first : first + BLOCK_EVENTS] for first in range(0, len(numbers), BLOCK_EVENTS)]
    order = draw.permutation(len(blocks))
    windows = []
    for first in range(0, len(blocks), WINDOW_BLOCKS):
        window = np.concatenate([blocks[one] for one in order[first : first + WINDOW_BLOCKS]])
        windows.append(draw.permutation(window))
    return np.concatenate(windows) if windows else numbers


def batch_begins(events: int, batch_events: int) -> np.ndarray:
    """Return where global batches of ``batch_events`` events begin, and the end: i64[B+1]."""
    return np.append(np.arange(0, events, batch_events, dtype=np.int64), events)


@compiled(nogil=True)
def batch_begins_in_budget(hits, edges, batch_events, world, node_budget, edge_budget):
    """Return where global batches begin, and the end, i64[B+1], if no worker's share may be over a budget.

    ``hits`` and ``edges`` i64[E] are those of the events in their order, none larger than a budget. A batch has
    ``batch_events`` events, or fewer if the share of one of ``world`` workers would be over its budget otherwise.
    """
    begins = np.empty(len(hits) + 1, dtype=np.int64)
    begins[0] = 0
    batches, begin = 0, 0
    nodes, links = np.zeros(world, dtype=np.int64), np.zeros(world, dtype=np.int64)
    for k in range(len(hits)):
        worker = (k - begin) % world
        is_full = nodes[worker] + hits[k] > node_budget or links[worker] + edges[k] > edge_budget
        if is_full or k - begin == batch_events:
            batches += 1
            begins[batches] = k
            begin, worker = k, 0
            nodes[:] = 0
            links[:] = 0
        nodes[worker] += hits[k]
        links[worker] += edges[k]
    if len(hits):
        batches += 1
        begins[batches] = len(hits)
    return begins[: batches + 1].copy()


def share_of(begins: np.ndarray, rank: int, world: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places i64[K] in the order that are ``rank``'s of ``world``, and where its batches begin, i64[B+1].

    Of each global batch a worker has every ``world``-th event, from number ``rank`` on.
    """
    begins = np.asarray(begins)
    counts = np.maximum(-(-(np.diff(begins) - rank) // world), 0)
    own = np.concatenate([[0], np.cumsum(counts)])
    number = np.arange(own[-1]) - np.repeat(own[:-1], counts)
    return np.repeat(begins[:-1] + rank, counts) + number * world, own
