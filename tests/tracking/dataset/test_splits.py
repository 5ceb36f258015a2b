"""The split of events, and the order in which an epoch visits them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd_tracking.dataset.order import epoch_order, fill_budget, share_of
from herd_tracking.dataset.splits import split_number, split_of
from herd_tracking.events import TrackingError

IDS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50)


@given(IDS, st.integers(0, 2**32), st.randoms())
def test_split_of_an_event_depends_on_nothing_but_the_event_and_the_seed(ids, seed, random):
    shuffled = random.sample(range(len(ids)), len(ids))
    array = np.array(ids, dtype=np.uint64)
    np.testing.assert_array_equal(split_of(array[shuffled], seed), split_of(array, seed)[shuffled])


@given(st.integers(0, 2**32))
def test_shares_are_those_of_the_task(seed):
    counts = np.bincount(split_of(np.arange(100_000, dtype=np.uint64), seed), minlength=3) / 100_000
    np.testing.assert_allclose(counts, [0.75, 0.15, 0.10], atol=0.006)


def test_unknown_split_is_refused():
    with pytest.raises(TrackingError, match="'val'; allowed are train, validation, test"):
        split_number("val")


@given(st.integers(1, 10_000), st.integers(0, 99), st.integers(0, 99))
def test_epoch_visits_each_event_once(events, seed, epoch):
    numbers = np.arange(events) * 3
    order = epoch_order(numbers, seed, epoch)
    np.testing.assert_array_equal(np.sort(order), numbers)
    np.testing.assert_array_equal(order, epoch_order(numbers, seed, epoch))


def test_epochs_differ():
    numbers = np.arange(1000)
    assert (epoch_order(numbers, 1, 0) != epoch_order(numbers, 1, 1)).any()


@given(st.integers(0, 300), st.integers(1, 9))
def test_workers_share_a_batch_without_a_rest(events, world):
    batch = np.arange(events)
    shares = [share_of(batch, rank, world) for rank in range(world)]
    np.testing.assert_array_equal(np.sort(np.concatenate(shares)), batch)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 50)), max_size=60))
def test_no_batch_is_over_its_budget_and_none_is_needlessly_small(sizes):
    hits, edges = np.array([a for a, _ in sizes]), np.array([b for _, b in sizes])
    begins = fill_budget(hits, edges, 40, 100)
    assert begins[0] == 0 and begins[-1] == len(sizes)
    for first, last in itertools.pairwise(begins):
        assert hits[first:last].sum() <= 40 and edges[first:last].sum() <= 100
        if last < len(sizes):
            assert hits[first : last + 1].sum() > 40 or edges[first : last + 1].sum() > 100
