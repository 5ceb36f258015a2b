"""The split of events, and the order in which an epoch visits them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herd_tracking.dataset.order import batch_begins, batch_begins_in_budget, epoch_order, share_of
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


@given(st.integers(0, 300), st.integers(1, 90), st.integers(1, 9))
def test_workers_share_each_global_batch_without_a_rest(events, batch_events, world):
    # given global batches, and a share of each of them for each worker
    begins = batch_begins(events, batch_events)
    assert begins[0] == 0 and begins[-1] == events and np.all(np.diff(begins)[:-1] == batch_events)
    shares = [share_of(begins, rank, world) for rank in range(world)]
    for batch, (first, last) in enumerate(itertools.pairwise(begins)):
        # when the workers put their shares of a batch together
        parts = [places[own[batch] : own[batch + 1]] for places, own in shares]
        # then it is that batch, and no worker has two events more than another
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(first, last))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(1, 50)), max_size=60),
    st.integers(1, 20),
    st.integers(1, 4),
)
def test_no_share_is_over_its_budget_and_no_batch_is_needlessly_small(sizes, batch_events, world):
    hits, edges = np.array([a for a, _ in sizes], int), np.array([b for _, b in sizes], int)
    begins = batch_begins_in_budget(hits, edges, batch_events, world, 40, 100)
    assert begins[0] == 0 and begins[-1] == len(sizes)

    def is_within(first, last):
        shares = [slice(first + rank, last, world) for rank in range(world)]
        return all(hits[one].sum() <= 40 and edges[one].sum() <= 100 for one in shares)

    for first, last in itertools.pairwise(begins):
        assert first < last <= first + batch_events and is_within(first, last)
        if last < len(sizes) and last < first + batch_events:
            assert not is_within(first, last + 1)
