"""Copies events of a shard into the arrays of a batch, compiled."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def pack(
    shard_node_ptr, shard_edge_ptr, shard_x, shard_y, shard_degree, shard_src, local, place, node_at, edge_at,
    x, y, rowptr, src, inverse_degree,
):  # fmt: skip
    """Copy the events ``local`` of a shard to the places ``place`` of a batch; they begin at ``node_at``, ``edge_at``.

    ``rowptr[0]`` must be 0. Returns -1, or the local number of an event whose degrees do not add up to its edges, or
    whose edges lead out of it.
    """
    features = x.shape[1]
    for k in range(len(local)):
        first, last = shard_node_ptr[local[k]], shard_node_ptr[local[k] + 1]
        edge = shard_edge_ptr[local[k]]
        end = shard_edge_ptr[local[k] + 1]
        node_to, edge_to = node_at[place[k]], edge_at[place[k]]
        row = edge_to
        for i in range(last - first):
            for feature in range(features):
                x[node_to + i, feature] = shard_x[first + i, feature]
            y[node_to + i] = shard_y[first + i]
            degree = shard_degree[first + i]
            row += degree
            rowptr[node_to + i + 1] = row
            inverse_degree[node_to + i] = np.float32(1.0) / degree if degree else np.float32(0.0)
        if row - edge_to != end - edge:
            return local[k]
        nodes = last - first
        for j in range(end - edge):
            neighbour = shard_src[edge + j]
            if neighbour >= nodes:
                return local[k]
            src[edge_to + j] = node_to + neighbour
    return -1


@numba.njit(cache=True)
def first_not_finite(x):
    """Return the first row of ``x`` [N, F] with a value that is NaN or infinite, and its column; -1, -1: none."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if not np.isfinite(x[i, j]):
                return i, j
    return -1, -1
