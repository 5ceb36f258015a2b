"""Copies events between flat arrays, compiled: from a shard into memory, looking at them, and from there to a batch.

The loops run over whole slices: only so does the compiler know that no index is negative, and use vector instructions.
"""

import numpy as np

from herd_tracking.compiled import compiled

_EXPONENT = np.uint32(0x7F800000)
"""The bits of a float32 that are all set in NaN and infinity, and in nothing else."""


@compiled(nogil=True)
def gather(
    from_node_ptr, from_edge_ptr, from_bits, from_y, from_degree, from_src, local,
    at, node_ptr, edge_ptr, bits, y, degree, src, features,
):  # fmt: skip
    """Copy the events ``local`` of a piece of a shard to the events from ``at`` on, which have room for them.

    The piece's pointers count from its shard's begin; its other arrays begin with its first event. Of ``x`` these are
    the bits, u32[N * ``features``]: copied and looked at without a branch for each value. Returns how many
    events were copied: fewer than all if the next one cannot be trained with. That is one which has no hits or no
    edges, other sizes than there is room for, a feature that is not finite, a label that is neither 0 nor 1, degrees
    that do not add up to its edges, or neighbours that it has not.
    """
    for k in range(len(local)):
        node = from_node_ptr[local[k]] - from_node_ptr[0]
        edge = from_edge_ptr[local[k]] - from_edge_ptr[0]
        node_end = from_node_ptr[local[k] + 1] - from_node_ptr[0]
        edge_end = from_edge_ptr[local[k] + 1] - from_edge_ptr[0]
        node_to, node_to_end = node_ptr[at + k], node_ptr[at + k + 1]
        edge_to, edge_to_end = edge_ptr[at + k], edge_ptr[at + k + 1]
        nodes, edges = node_end - node, edge_end - edge
        if nodes != node_to_end - node_to or edges != edge_to_end - edge_to:
            return k
        if nodes < 1 or edges < 1 or node < 0 or edge < 0:
            return k
        if node_end > len(from_y) or edge_end > len(from_src):
            return k
        exponent = _copy_bits(
            from_bits[node * features : node_end * features],
            bits[node_to * features : node_to_end * features],
        )
        label = _copy_most(from_y[node:node_end], y[node_to:node_to_end])
        total = _copy_sum(from_degree[node:node_end], degree[node_to:node_to_end])
        neighbour = _copy_most(from_src[edge:edge_end], src[edge_to:edge_to_end])
        if exponent == _EXPONENT or label > 1 or total != edges or neighbour >= nodes:
            return k
    return len(local)


@compiled(nogil=True)
def pack(
    from_node_ptr, from_edge_ptr, from_x, from_y, from_degree, from_src, local,
    at, node_ptr, edge, x, y, rowptr, src, inverse_degree, inverse, features,
):  # fmt: skip
    """Copy the events ``local`` to the events from ``at`` on of a batch, of which ``node_ptr`` is set up to there.

    Both ``x`` are f32[N * ``features``]. ``edge``: edges before. ``inverse``: 1/n by n, and 0 for 0. Returns how many
    edges there are now.
    """
    for k in range(len(local)):
        first, last = from_node_ptr[local[k]], from_node_ptr[local[k] + 1]
        begin = node_ptr[at + k]
        end = begin + last - first
        node_ptr[at + k + 1] = end
        _copy(from_x[first * features : last * features], x[begin * features : end * features])
        _copy(from_y[first:last], y[begin:end])
        row = _rows(
            from_degree[first:last], edge, rowptr[begin + 1 : end + 1], inverse_degree[begin:end], inverse
        )
        from_edge = from_edge_ptr[local[k]]
        _shift(from_src[from_edge : from_edge + row - edge], np.int32(begin), src[edge:row])
        edge = row
    return edge


@compiled()
def first_not_finite(x):
    """Return the first row of ``x`` [N, F] with a value that is NaN or infinite, and its column; -1, -1: none."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if not np.isfinite(x[i, j]):
                return i, j
    return -1, -1


@compiled(nogil=True)
def first_one_way(node_ptr, edge_ptr, degree, src):
    """Return the first event with an edge that is not there in the other direction, and its two hits; -1, -1, -1: none.

    Pointers, degrees and neighbours must fit to each other.
    """
    most = np.diff(node_ptr).max()
    row, at = np.zeros(most + 1, dtype=np.int64), np.zeros(most, dtype=np.int64)
    for event in range(len(node_ptr) - 1):
        first, count = node_ptr[event], node_ptr[event + 1] - node_ptr[event]
        row[0] = edge_ptr[event]
        for i in range(count):
            row[i + 1] = row[i] + degree[first + i]
            at[i] = row[i]
        for i in range(count):
            for j in src[row[i] : row[i + 1]]:
                # Where neighbours are sorted, the hits that a hit is a neighbour of come in the order of its own row.
                if at[j] < row[j + 1] and src[at[j]] == i:
                    at[j] += 1
                    continue
                is_there = False
                for back in src[row[j] : row[j + 1]]:
                    is_there |= back == i
                if not is_there:
                    return event, i, j
    return -1, -1, -1


@compiled(nogil=True)
def _copy(values, to):
    for i in range(len(values)):
        to[i] = values[i]


@compiled(nogil=True)
def _copy_bits(values, to):
    most = np.uint32(0)
    for i in range(len(values)):
        most = max(most, values[i] & _EXPONENT)
        to[i] = values[i]
    return most


@compiled(nogil=True)
def _copy_most(values, to):
    most = values[0]
    for i in range(len(values)):
        most = max(most, values[i])
        to[i] = values[i]
    return most


@compiled(nogil=True)
def _copy_sum(values, to):
    total = 0
    for i in range(len(values)):
        total += values[i]
        to[i] = values[i]
    return total


@compiled(nogil=True)
def _rows(degree, edge, rowptr, inverse_degree, inverse):
    for i in range(len(degree)):
        edge += degree[i]
        rowptr[i] = edge
        inverse_degree[i] = inverse[degree[i]]
    return edge


@compiled(nogil=True)
def _shift(values, by, to):
    for i in range(len(values)):
        to[i] = by + np.int32(values[i])
