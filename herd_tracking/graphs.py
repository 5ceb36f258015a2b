"""The graph of an event: which hits may belong to one track, as edges between them.

The edges are this package's own choice, since no published one is known. Within a sector and view, each hit is joined
with its ``k`` nearest hits (in the measured coordinate) of the next superlayers and, with ``skip``, of those after
them; and with the hits of the other view of its superlayer while these are ``k`` or fewer, since nothing tells which
of them belongs to it. Every edge is there in both directions.
"""

import numpy as np

from herd_tracking.compiled import compiled

_VIEWS, _SUPERLAYERS = 2, 7


def build_edges(
    node_ptr: np.ndarray, plane: np.ndarray, coordinate_cm: np.ndarray, k: int = 3, skip: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``edge_ptr`` i64[E+1], ``degree`` (u8 or u16)[N], ``src`` (u8 or u16)[M], as `Events` has them.

    ``node_ptr`` i64[E+1], ``plane`` u8[N] and ``coordinate_cm`` f32[N] are those of `Events`; hits may stand in any
    order. ``src`` is sorted within each hit's neighbours.
    """
    largest = int(np.diff(node_ptr).max(initial=0))
    small = np.uint8 if largest <= 256 else np.uint16
    degree = np.zeros(len(plane), dtype=np.int64)
    events = len(node_ptr) - 1
    edges = np.zeros(events, dtype=np.int64)
    # At most k in each of four superlayers and in the other view, each in both directions.
    room = 2 * 5 * k * len(plane) + 1
    src = np.empty(room, dtype=small)
    used = _fill(
        np.ascontiguousarray(node_ptr, dtype=np.int64),
        np.ascontiguousarray(plane, dtype=np.uint8),
        np.ascontiguousarray(coordinate_cm, dtype=np.float32),
        k,
        2 if skip else 1,
        largest,
        degree,
        edges,
        src,
    )
    edge_ptr = np.concatenate([[0], np.cumsum(edges)])
    most = int(degree.max(initial=0))
    return edge_ptr, degree.astype(np.uint8 if most < 256 else np.uint16), src[:used].copy()


@compiled(nogil=True, error_model="numpy")
def _fill(node_ptr, plane, coordinate, k, reach, largest, degree, edges, src):
    """Fill ``degree``, ``edges`` and ``src``; return how many edges there are."""
    used = 0
    is_joined = np.zeros((largest, largest), dtype=np.uint8)
    order = np.empty(largest, dtype=np.int64)
    begin = np.empty(257, dtype=np.int64)
    for event in range(len(node_ptr) - 1):
        first, count = node_ptr[event], node_ptr[event + 1] - node_ptr[event]
        is_joined[:count, :count] = 0
        # By plane, and within it by coordinate: counting sort, then insertion sort of the few hits of a plane.
        begin[:] = 0
        for i in range(count):
            begin[plane[first + i] + 1] += 1
        for p in range(256):
            begin[p + 1] += begin[p]
        place = begin.copy()
        for i in range(count):
            p = plane[first + i]
            j = place[p]
            while j > begin[p] and coordinate[first + order[j - 1]] > coordinate[first + i]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
            place[p] += 1
        for i in range(count):
            p = plane[first + i]
            superlayer = p // _VIEWS % _SUPERLAYERS
            for step in range(-reach, reach + 1):
                if step == 0 or superlayer + step < 0 or superlayer + step >= _SUPERLAYERS:
                    continue
                other = p + step * _VIEWS
                _join_nearest(
                    i,
                    coordinate[first + i],
                    first,
                    coordinate,
                    order,
                    begin[other],
                    begin[other + 1],
                    k,
                    is_joined,
                )
            # The other view of the same superlayer: nothing can be compared, so all are joined while they are few.
            other = p + 1 if p % _VIEWS == 0 else p - 1
            if begin[other + 1] - begin[other] <= k:
                for j in range(begin[other], begin[other + 1]):
                    is_joined[i, order[j]] = 1
                    is_joined[order[j], i] = 1
        for i in range(count):
            row = is_joined[i]
            begun = used
            for j in range(count):
                # Written whether or not it is an edge: faster than a branch that cannot be foretold.
                src[used] = j
                used += row[j]
            degree[first + i] = used - begun
            edges[event] += degree[first + i]
    return used


@compiled(nogil=True, error_model="numpy")
def _join_nearest(i, at, first, coordinate, order, low, high, k, is_joined):
    """Join hit ``i`` with the ``k`` of ``order[low:high]`` that are nearest to ``at``."""
    right = low
    while right < high and coordinate[first + order[right]] < at:
        right += 1
    left = right - 1
    for _ in range(k):
        if left < low and right >= high:
            return
        if right >= high or (
            left >= low and at - coordinate[first + order[left]] <= coordinate[first + order[right]] - at
        ):
            j = order[left]
            left -= 1
        else:
            j = order[right]
            right += 1
        is_joined[i, j] = 1
        is_joined[j, i] = 1
