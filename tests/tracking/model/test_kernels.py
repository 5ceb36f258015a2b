"""The products: the same numbers whichever library of torch's multiplies."""

from types import SimpleNamespace

import pytest
import torch

from herd_tracking.model import PRESETS, HitClassifier, accumulate_gradients, kernels
from herd_tracking.model.config import preset


def results(model, batch):
    """Logits, loss and gradients."""
    model.zero_grad()
    total, _ = accumulate_gradients(model, batch, hits_per_block=150)
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    return {"logits": model(batch).detach(), "loss": total, **gradients}


@pytest.mark.parametrize("config", [PRESETS["slides"], preset("deep", layers=4)], ids=["slides", "deep"])
def test_without_the_private_operator_the_numbers_are_the_same(make_batch, monkeypatch, config):
    # given a network, and what it says with the fastest product that there is
    batch = make_batch()
    torch.manual_seed(1)
    model = HitClassifier(config)
    fast = results(model, batch)
    # when torch has no such operator any more
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    monkeypatch.setattr(kernels, "ONEDNN", kernels.onednn_types())
    plain = results(model, batch)
    # then nothing but rounding differs
    assert not kernels.ONEDNN
    for name, values in fast.items():
        scale = max(1.0, float(values.abs().max()))
        torch.testing.assert_close(plain[name], values, atol=1e-5 * scale, rtol=0, msg=name)


@pytest.mark.parametrize(
    "operator",
    [lambda x, weight: x, lambda *_: torch.zeros(1, 1)],
    ids=["other arguments", "other meaning"],
)
def test_operator_that_has_become_another_is_not_used(monkeypatch, operator):
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(_linear_pointwise=operator))
    assert not kernels.onednn_types()
