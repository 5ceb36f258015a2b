"""How a batch is cut into blocks of whole events, and batches with little or nothing in them."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from herd_tracking.events import TrackingError
from herd_tracking.model import PRESETS, HitClassifier, accumulate_gradients, flat_gradients, loss
from herd_tracking.model.blocks import block_ends, blocks_of
from herd_tracking.model.config import preset


@given(hits=st.lists(st.integers(0, 500), max_size=80), size=st.integers(1, 2000))
def test_blocks_are_all_events_once_in_order(hits, size):
    # given events of any size
    node_ptr = np.concatenate(([0], np.cumsum(hits, dtype=np.int64)))
    # when they are cut
    ends = block_ends(node_ptr, int(node_ptr[-1]), size)
    # then ends rise to the last event with hits, and no block is larger than asked for by more than two events
    assert ends == sorted(set(ends))
    if hits:
        assert node_ptr[ends[-1]] == node_ptr[-1]
        sizes = np.diff(node_ptr[[0, *ends]])
        assert sizes.max() <= 1.5 * size + 2 * max(hits)


def test_blocks_hold_the_same_hits_and_neighbours(make_batch):
    # given a batch
    batch = make_batch(9)
    # when it is cut and put together again
    blocks = list(blocks_of(batch, 100))
    offsets = np.cumsum([0, *(len(block.x) for block in blocks)])
    # then nothing is lost, and neighbours count from the block's first hit
    assert len(blocks) > 3
    assert torch.equal(torch.cat([block.x for block in blocks]), batch.x)
    assert torch.equal(torch.cat([block.event for block in blocks]), batch.event)
    moved = [block.src + int(first) for block, first in zip(blocks, offsets, strict=False)]
    assert torch.equal(torch.cat(moved), batch.src)
    assert all(int(block.rowptr[0]) == 0 and int(block.rowptr[-1]) == len(block.src) for block in blocks)


def padded(batch, hits, edges):
    """``batch`` with ``hits`` isolated hits and ``edges`` entries behind the last row that belong to nobody."""

    def more(values, count, fill):
        return torch.cat((values, torch.full((count, *values.shape[1:]), fill, dtype=values.dtype)))

    return dataclasses.replace(
        batch,
        x=more(batch.x, hits, 3.0),
        y=more(batch.y, hits, 1.0),
        rowptr=more(batch.rowptr, hits, int(batch.rowptr[-1])),
        src=more(batch.src, edges, len(batch.x)),
        inverse_degree=more(batch.inverse_degree, hits, 0.0),
        mask=more(torch.ones(len(batch.x)), hits, 0.0),
    )


@pytest.mark.parametrize("way", ["blocks", "autograd"])
@pytest.mark.parametrize("name", PRESETS)
def test_padding_changes_nothing(make_batch, name, way):
    # given gradients of a batch
    batch = make_batch(5)
    torch.manual_seed(3)
    model = HitClassifier(PRESETS[name])
    flat = flat_gradients(model)
    total, hits = accumulate_gradients(model, batch)
    expected = flat.clone()
    flat.zero_()
    # when the same events come padded to a fixed size
    filled = padded(batch, 70, 40)
    if way == "blocks":
        again, count = accumulate_gradients(model, filled)
    else:
        again, count = loss(model(filled), filled)
        again.backward()
    # then the loss, the count and the gradients are those of the real hits
    assert count == hits
    torch.testing.assert_close(again.detach(), total, rtol=1e-5, atol=0)
    torch.testing.assert_close(flat, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_a_share_without_events_adds_nothing(make_batch, name):
    # given a worker whose share of the last batch is empty
    batch = make_batch(1)
    none = dataclasses.replace(
        batch,
        x=batch.x[:0],
        y=batch.y[:0],
        rowptr=batch.rowptr[:1],
        src=batch.src[:0],
        inverse_degree=batch.inverse_degree[:0],
        node_ptr=batch.node_ptr[:1],
        event=batch.event[:0],
    )
    model = HitClassifier(PRESETS[name])
    flat = flat_gradients(model)
    # when it takes its step
    total, hits = accumulate_gradients(model, none)
    # then it contributes zeros, and still has a gradient to reduce
    assert total == hits == flat.abs().sum() == 0
    assert model(none).shape == (0,)


def test_an_event_larger_than_a_block_has_its_own(make_batch):
    # given blocks smaller than any event
    batch = make_batch(4)
    # when cut
    blocks = list(blocks_of(batch, 1))
    # then each event is a block
    assert [len(block.event) for block in blocks] == [1, 1, 1, 1]


def test_flat_gradients_are_the_parameters_own(make_batch):
    # given one vector for all gradients
    model = HitClassifier(preset("deep", layers=2, hidden=16))
    flat = flat_gradients(model)
    # when gradients are added twice
    accumulate_gradients(model, make_batch(3))
    once = flat.clone()
    accumulate_gradients(model, make_batch(3))
    # then the vector has them, twice, in the parameters' order
    torch.testing.assert_close(flat, 2 * once)
    assert torch.equal(flat, torch.cat([p.grad.flatten() for p in model.parameters()]))


@pytest.mark.parametrize("threads", [1, 2])
def test_number_of_threads_is_left_as_it_was(make_batch, threads):
    # given torch's number of threads
    torch.set_num_threads(threads)
    # when a step runs
    accumulate_gradients(
        HitClassifier(preset("slides", layers=1, hidden=8)), make_batch(4), hits_per_block=50
    )
    # then it is the same
    assert torch.get_num_threads() == threads


def test_a_batch_of_other_features_is_refused(make_batch):
    # given a model of two features
    model = HitClassifier(preset("slides", layers=1, hidden=8, features=("coordinate", "depth")))
    # when it is given hits with seven
    for use in (model, lambda batch: accumulate_gradients(model, batch)):
        with pytest.raises(TrackingError, match=r"field x has 7 features .* made for 2: coordinate, depth"):
            # then it says which field, how many, and which it wants
            use(make_batch(2))
