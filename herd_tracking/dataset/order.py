"""In which order an epoch visits events, and which of them make a batch: pure, the same for all workers."""

import numpy as np

BLOCK_EVENTS = 2048
"""Events that lie together on the disk stay in one window, so that reading is mostly in rows."""
WINDOW_BLOCKS = 32
"""Blocks that are mixed with each other: what a worker holds in memory, about 65,000 events."""


def epoch_order(numbers: np.ndarray, seed: int, epoch: int, shuffle: bool = True) -> np.ndarray:
    """Return ``numbers`` i64[E] (ascending) in the order of ``epoch``; it depends on nothing else."""
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


def share_of(batch: np.ndarray, rank: int, world: int) -> np.ndarray:
    """Return the events of a global batch that are ``rank``'s, of ``world`` workers."""
    return batch[rank::world]


def fill_budget(hits: np.ndarray, edges: np.ndarray, node_budget: int, edge_budget: int) -> np.ndarray:
    """Return where batches begin, i64[B+1], if each takes events in order until it would be over a budget."""
    begins, nodes, links = [0], 0, 0
    for number, (node, edge) in enumerate(zip(hits.tolist(), edges.tolist(), strict=True)):
        if nodes + node > node_budget or links + edge > edge_budget:
            begins.append(number)
            nodes, links = 0, 0
        nodes, links = nodes + node, links + edge
    return np.array([*begins, len(hits)], dtype=np.int64) if len(hits) else np.zeros(1, dtype=np.int64)
