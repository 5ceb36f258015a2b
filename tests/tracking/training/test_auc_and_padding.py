"""The area under the curve from histograms, and batches of one shape."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from herd_tracking.dataset import Loader
from herd_tracking.model import PRESETS, HitClassifier, accumulate_gradients
from herd_tracking.training.auc import add_scores, area, bin_of, new_histogram
from herd_tracking.training.padding import budget, of_one_shape


def exact_area(logits: np.ndarray, y: np.ndarray) -> float:
    """Pairs of a signal and a background hit in the right order; ties count half."""
    signal, background = logits[y == 1][:, None], logits[y == 0][None]
    return float(np.mean((signal > background) + 0.5 * (signal == background)))


@given(st.integers(0, 10**6), st.floats(0.5, 20), st.integers(200, 400))
@settings(max_examples=50, deadline=None)
def test_the_area_of_the_histogram_is_that_of_all_pairs(seed, width, hits):
    rng = np.random.default_rng(seed)
    y = np.concatenate(([0, 1], rng.integers(0, 2, hits)))
    logits = (rng.normal(size=len(y)) * width + 2 * y).astype(np.float32)
    histogram = new_histogram()
    for part in np.array_split(np.arange(len(y)), 3):
        add_scores(histogram, torch.from_numpy(logits[part]), torch.from_numpy(y[part]).float(), None)

    # Bins are 1 % wide: in so few hits at most some pairs of neighbours become ties.
    assert area(histogram) == pytest.approx(exact_area(logits, y), abs=0.02)


def test_bins_are_in_the_order_of_the_logits():
    logits = torch.tensor(
        [-float("inf"), -1e30, -7.0, -0.1, -1e-30, 0.0, 1e-30, 0.1, 7.0, 1e30, float("inf")]
    )
    bins = bin_of(logits)
    assert torch.all(bins[1:] >= bins[:-1])
    assert bins.min() >= 0 and bins.max() < 1 << 16
    assert len(set(bins.tolist())) == 11


def test_hits_that_pad_do_not_count_and_one_class_has_no_area():
    histogram = new_histogram()
    add_scores(
        histogram, torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    )
    assert histogram.sum(1).tolist() == [0, 2]
    assert area(histogram) is None


def test_a_padded_batch_gives_the_same_loss_and_gradients(toy):
    batch = next(iter(Loader(toy, "train", 8)))
    hits, edges = len(batch.y) + 37, len(batch.src) + 100
    found = []
    for one in (batch, of_one_shape(batch, hits, edges)):
        torch.manual_seed(0)
        model = HitClassifier(PRESETS["deep"])
        total, count = accumulate_gradients(model, one)
        found.append((total, count, model.convs[3].lin_l.weight.grad))
    assert of_one_shape(batch, hits, edges).x.shape[0] == hits
    for plain, filled in zip(*found, strict=True):
        torch.testing.assert_close(filled, plain, rtol=1e-5, atol=1e-5)


def test_a_batch_without_room_stays_as_it_is(toy):
    batch = next(iter(Loader(toy, "train", 8)))
    assert of_one_shape(batch, len(batch.y), len(batch.src) + 5) is batch
    assert of_one_shape(batch, len(batch.y) + 5, len(batch.src) - 1) is batch


def test_edges_that_fill_a_batch_up_are_shared_by_the_added_hits(toy):
    # given a batch with room for 50 hits and for many times the edges that hits have
    batch = next(iter(Loader(toy, "train", 16)))
    hits, edges = len(batch.y), len(batch.src)
    # when it is filled up
    filled = of_one_shape(batch, hits + 50, edges + 5_020)
    # then the real rows are as they were, and no added one is long
    degree = filled.rowptr.diff()
    assert torch.equal(degree[:hits], batch.rowptr.diff()) and torch.equal(filled.src[:edges], batch.src)
    assert degree[hits:].min() >= 100 and degree[hits:].max() <= 101 and degree.sum() == len(filled.src)
    # and each of their edges is a loop, which is there in both directions
    rows = torch.repeat_interleave(torch.arange(len(degree)), degree.long())
    assert torch.equal(rows[edges:], filled.src[edges:].long())


def test_the_budget_has_room_for_almost_all_batches(toy):
    hits = budget(toy.meta.hits / len(toy), 32)
    edges = budget(toy.meta.edges / len(toy), 32)
    batches = list(Loader(toy, "train", 32))
    assert hits % 128 == 0
    fitting = [len(batch.y) < hits and len(batch.src) <= edges for batch in batches]
    assert sum(fitting) >= 0.9 * len(batches)
    assert hits < 1.5 * max(len(batch.y) for batch in batches)
