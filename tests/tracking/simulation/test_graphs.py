"""Edges against a slow and plain way to the same rule, and what `Events` asks of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herd_tracking.graphs import build_edges

# Two neighbouring sectors, and few planes, so that a hit has more than k others to choose from.
hits_of_event = st.lists(
    st.tuples(st.integers(8, 19), st.integers(-5000, 5000)), min_size=0, max_size=40, unique=True
)


def plainly(plane, coordinate, k, reach):
    """All pairs (neighbour, hit) by the rule, for hits whose distances all differ."""
    pairs = set()
    for i in range(len(plane)):
        for step in (step for step in range(-reach, reach + 1) if step):
            superlayer = plane[i] // 2 % 7 + step
            if not 0 <= superlayer < 7:
                continue
            there = [j for j in range(len(plane)) if plane[j] == plane[i] + 2 * step]
            there.sort(key=lambda j: abs(coordinate[j] - coordinate[i]))
            pairs |= {(i, j) for j in there[:k]} | {(j, i) for j in there[:k]}
        other = [j for j in range(len(plane)) if plane[j] == plane[i] ^ 1]
        if len(other) <= k:
            pairs |= {(i, j) for j in other} | {(j, i) for j in other}
    return pairs


def pairs_of(edge_ptr, degree, src, node_ptr, event):
    first, last = node_ptr[event], node_ptr[event + 1]
    hit = np.repeat(np.arange(last - first), degree[first:last])
    return list(zip(src[edge_ptr[event] : edge_ptr[event + 1]].tolist(), hit.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(events=st.lists(hits_of_event, min_size=1, max_size=3), k=st.integers(1, 4), skip=st.booleans())
def test_edges_are_those_of_the_rule_in_both_directions_and_once(events, k, skip):
    node_ptr = np.cumsum([0, *map(len, events)])
    plane = np.array([p for hits in events for p, _ in hits], dtype=np.uint8)
    # A different irrational part for each hit: no two distances are equal.
    coordinate = np.array([u / 100 for hits in events for _, u in hits], dtype=np.float32)
    coordinate += np.sqrt(np.arange(2, 2 + len(plane))).astype(np.float32) % 1
    edge_ptr, degree, src = build_edges(node_ptr, plane, coordinate, k, skip)
    assert edge_ptr[-1] == len(src) == degree.sum()
    for event in range(len(events)):
        some = slice(node_ptr[event], node_ptr[event + 1])
        found = pairs_of(edge_ptr, degree, src, node_ptr, event)
        assert len(found) == len(set(found))
        assert set(found) == plainly(plane[some].astype(int), coordinate[some], k, 2 if skip else 1)


@settings(max_examples=30, deadline=None)
@given(hits=hits_of_event, order=st.randoms(use_true_random=False))
def test_edges_do_not_depend_on_the_order_of_hits(hits, order):
    moved = list(range(len(hits)))
    order.shuffle(moved)
    ptr = np.array([0, len(hits)])
    plane = np.array([p for p, _ in hits], dtype=np.uint8)
    coordinate = np.array([u / 100 for _, u in hits], dtype=np.float32)
    coordinate += np.sqrt(np.arange(2, 2 + len(plane))).astype(np.float32) % 1
    here = pairs_of(*build_edges(ptr, plane, coordinate), ptr, 0)
    there = pairs_of(*build_edges(ptr, plane[moved], coordinate[moved]), ptr, 0)
    assert {(moved[i], moved[j]) for i, j in there} == set(here)


def test_a_straight_track_is_connected_within_each_view_even_over_a_missed_superlayer():
    # Given seven superlayers of the top, of which the third saw nothing
    superlayer = np.array([0, 1, 3, 4, 5, 6])
    plane = np.concatenate([superlayer * 2, superlayer * 2 + 1]).astype(np.uint8)
    ptr = np.array([0, 12])
    found = set(pairs_of(*build_edges(ptr, plane, np.zeros(12, dtype=np.float32)), ptr, 0))
    assert (1, 2) in found and (7, 8) in found


@pytest.mark.parametrize(("hits", "kind"), [(256, np.uint8), (257, np.uint16)])
def test_sources_take_one_byte_while_they_can(hits, kind):
    plane = np.arange(hits, dtype=np.uint8) % 70
    _, _, src = build_edges(np.array([0, hits]), plane, np.arange(hits, dtype=np.float32))
    assert src.dtype == kind and src.max() == hits - 1


def test_a_hit_chooses_its_nearest_on_both_sides():
    # Given a hit of superlayer 1 that no hit of superlayer 0 or 2 would choose
    plane = np.array([0, 2, 2, 2, 2, 4], dtype=np.uint8)
    coordinate = np.array([0, 30, 1, 2, 3, 0], dtype=np.float32)
    ptr = np.array([0, 6])
    found = set(pairs_of(*build_edges(ptr, plane, coordinate), ptr, 0))
    # Then it chooses them
    assert {(0, 1), (1, 0), (5, 1), (1, 5)} <= found


def test_no_events_have_no_edges():
    edge_ptr, degree, src = build_edges(np.array([0]), np.zeros(0, np.uint8), np.zeros(0, np.float32))
    assert edge_ptr.tolist() == [0] and len(degree) == len(src) == 0
