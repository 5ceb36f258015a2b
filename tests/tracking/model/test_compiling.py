"""The ways that spare a GPU its launches, on the CPU: compiled against eager, and batches of one shape."""

import dataclasses

import pytest
import torch

from herd_tracking.events import TrackingError
from herd_tracking.model import (
    GraphedGradients,
    HitClassifier,
    accumulate_gradients,
    compiled,
    flat_gradients,
)
from herd_tracking.model.config import preset
from herd_tracking.model.gradients import by_autograd


def fixed(batch, hits, edges):
    """``batch`` filled to ``hits`` and ``edges`` with hits that have no neighbours and count nothing."""
    real, links = len(batch.x), len(batch.src)

    def fill(values, length, value=0):
        extra = torch.full((length - len(values), *values.shape[1:]), value, dtype=values.dtype)
        return torch.cat((values, extra))

    return dataclasses.replace(
        batch,
        x=fill(batch.x, hits),
        y=fill(batch.y, hits),
        rowptr=fill(batch.rowptr, hits + 1, links),
        src=fill(batch.src, edges, hits - 1),
        inverse_degree=fill(batch.inverse_degree, hits),
        mask=fill(torch.ones(real), hits),
    )


@pytest.mark.parametrize(("backend", "name"), [("aot_eager", "deep"), ("inductor", "slides")])
def test_compiled_agrees_with_eager(make_batch, backend, name):
    # given a small network, eager and compiled: traced alone (quick), and with generated code
    torch.manual_seed(0)
    model = HitClassifier(preset(name, layers=2, hidden=16))
    flat = flat_gradients(model)
    fast = compiled(model, dynamic=True, backend=backend)
    for seed in (1, 2):
        batch = make_batch(3, seed=seed)
        # when both see the same batches, of two sizes
        flat.zero_()
        total, _ = by_autograd(model, batch)
        expected = flat.clone()
        flat.zero_()
        again, _ = by_autograd(fast, batch)
        # then losses and gradients agree
        torch.testing.assert_close(again, total, rtol=1e-5, atol=0)
        torch.testing.assert_close(flat, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_batches_of_one_shape_give_the_gradients_of_each(make_batch):
    # given steps recorded for 400 hits and 3000 edges, from one batch
    torch.manual_seed(0)
    model = HitClassifier(preset("slides", layers=3, hidden=16))
    batches = [make_batch(4, seed=seed) for seed in range(3)]
    graphed = GraphedGradients(model, fixed(batches[0], 400, 3000))
    for batch in batches:
        # when another batch is put through them
        total, hits = graphed(fixed(batch, 400, 3000))
        flat = graphed.flat.clone()
        graphed.flat.zero_()
        expected, count = accumulate_gradients(model, batch)
        # then the gradients are that batch's alone, without its padding
        assert hits == count == len(batch.x)
        torch.testing.assert_close(total, expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(flat, graphed.flat, rtol=1e-4, atol=1e-5 * float(flat.abs().max()))


def test_another_shape_is_refused(make_batch):
    # given steps recorded for one shape
    model = HitClassifier(preset("slides", layers=1, hidden=8))
    graphed = GraphedGradients(model, fixed(make_batch(2), 200, 2000))
    # when a batch of another comes, then it is named with both shapes
    with pytest.raises(
        TrackingError, match=r"field x is torch.float32 \[300, 7\], but torch.float32 \[200, 7\]"
    ):
        graphed(fixed(make_batch(2), 300, 2000))
    with pytest.raises(TrackingError, match="field mask is missing, but"):
        graphed(dataclasses.replace(fixed(make_batch(2), 200, 2000), mask=None))
    with pytest.raises(
        TrackingError, match="field mask is missing; batches of one shape come from a node budget"
    ):
        GraphedGradients(model, make_batch(2))
