"""The layer and the network against PyG's: same parameters, same numbers, same gradients."""

import pytest
import torch
from torch_geometric.nn import GraphSAGE, SAGEConv

from herd_tracking.model import PRESETS, HitClassifier, SageLayer, accumulate_gradients, loss
from herd_tracking.model.config import preset
from herd_tracking.model.kernels import Neighbours


def edge_index(batch):
    to = torch.arange(len(batch.x)).repeat_interleave(batch.rowptr.diff().long())
    return torch.stack([batch.src.long(), to])


@pytest.mark.parametrize("inputs", [1, 7, 128])
@pytest.mark.parametrize("towards", ["pyg", "ours"])
def test_state_dicts_interchange_and_outputs_agree(make_batch, inputs, towards):
    # given a layer of each kind, and one's parameters loaded into the other
    batch = make_batch(features=inputs)
    ours, theirs = SageLayer(inputs, 128), SAGEConv(inputs, 128, aggr="mean")
    source, target = (ours, theirs) if towards == "pyg" else (theirs, ours)
    target.load_state_dict(source.state_dict(), strict=True)
    # when both see the same hits
    x, y = batch.x.clone().requires_grad_(), batch.x.clone().requires_grad_()
    left = ours(x, Neighbours.of(batch, torch.float32))
    right = theirs(y, edge_index(batch))
    left.square().sum().backward()
    right.square().sum().backward()
    # then outputs and all gradients agree
    torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(x.grad, y.grad, atol=1e-4, rtol=1e-5)
    for (name, mine), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-3, rtol=1e-5, msg=name)


def test_slides_preset_is_eighteen_sage_convs_and_a_linear_head(make_batch):
    # given the preset, and PyG's own stack of 18 with the same parameters
    batch, ours = make_batch(), HitClassifier(PRESETS["slides"])
    stack = GraphSAGE(7, 128, num_layers=18)
    stack.load_state_dict({k: v for k, v in ours.state_dict().items() if k.startswith("convs")}, strict=True)
    # when both run, PyG's stack without its last ReLU being followed by one
    theirs = ours.head(stack(batch.x, edge_index(batch)).relu()).squeeze(1)
    # then they are the same network: 18 layers, 128 channels, and so many parameters
    torch.testing.assert_close(ours(batch), theirs, atol=1e-5, rtol=1e-5)
    assert sum(p.numel() for p in ours.parameters()) == 2 * 7 * 128 + 128 + 17 * (2 * 128 * 128 + 128) + 129


@pytest.mark.parametrize(
    "config",
    [
        PRESETS["slides"],
        PRESETS["deep"],
        preset("slides", residual=True, layers=3),
        preset("deep", layers=1, hidden=16),
        preset("slides", layers=2, hidden=16, init="he"),
    ],
    ids=["slides", "deep", "residual", "one normed layer", "he"],
)
def test_blocks_give_the_gradients_of_autograd(make_batch, config):
    # given gradients by autograd over the whole batch
    batch = make_batch(12)
    torch.manual_seed(1)
    model = HitClassifier(config)
    total, hits = loss(model(batch), batch)
    total.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    # when they are computed in blocks of events, in two threads
    again, count = accumulate_gradients(model, batch, hits_per_block=150)
    # then they are the same
    torch.testing.assert_close(again, total.detach(), rtol=1e-5, atol=0)
    assert count == hits == len(batch.x)
    for name, parameter in model.named_parameters():
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(
            parameter.grad, expected[name], atol=1e-5 * max(scale, 1), rtol=1e-4, msg=name
        )


@pytest.mark.parametrize("name", PRESETS)
def test_gradients_are_the_same_bits_each_time(make_batch, name):
    # given a model and a batch
    batch, model = make_batch(12), HitClassifier(PRESETS[name], "bf16")
    runs = []
    # when its gradients are computed three times over
    for _ in range(3):
        model.zero_grad()
        accumulate_gradients(model, batch, hits_per_block=100)
        runs.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    # then not a bit differs, though two threads made them
    assert torch.equal(runs[0], runs[1]) and torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("name", PRESETS)
def test_bf16_stays_near_fp32(make_batch, name):
    # given the same model in both precisions
    batch = make_batch(12)
    torch.manual_seed(2)
    model = HitClassifier(PRESETS[name])
    exact = model(batch).detach()
    accumulate_gradients(model, batch)
    gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
    model.zero_grad()
    # when it computes in bfloat16
    model.precision = "bf16"
    rough = model(batch).detach()
    accumulate_gradients(model, batch)
    roughly = torch.cat([p.grad.flatten() for p in model.parameters()])
    # then logits stay fp32 tensors near the exact ones, and the gradient keeps its direction
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0.05)
    assert torch.nn.functional.cosine_similarity(gradient, roughly, 0) > 0.99
