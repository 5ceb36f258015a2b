"""Forward, loss and backward of one block of events, written out: what autograd does, without its records and copies.

Everything is [hits of the block, channels] and stays in a cache from the forward to the backward pass. Products are in
the model's precision; gradients add up in fp32 over the blocks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from herd_tracking.batch import Batch
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.model.kernels import Neighbours, sage_backward, sage_forward
from herd_tracking.model.objective import gradient, loss
from herd_tracking.model.precision import dtype_of

native_layer_norm = torch.ops.aten.native_layer_norm
native_layer_norm_backward = torch.ops.aten.native_layer_norm_backward
threshold_backward = torch.ops.aten.threshold_backward


@dataclass(frozen=True)
class Layer:
    """A layer's weights as the products want them, and the LayerNorm before it (None: no such)."""

    weight: Tensor
    transposed: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Weights:
    """The parameters of a `HitClassifier` in its precision, for one step; the head and LayerNorms in fp32."""

    dtype: torch.dtype
    residual: bool
    layers: list[Layer]
    norms: list[tuple[Tensor, Tensor, float]]
    head: Tensor
    head_bias: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, model: HitClassifier) -> "Weights":
        dtype = dtype_of(model.precision)
        packed = [conv.packed(dtype) for conv in model.layers()]
        return cls(
            dtype=dtype,
            residual=model.config.residual,
            layers=[Layer(weight, weight.t().contiguous(), bias) for weight, bias in packed],
            norms=[(norm.weight.detach(), norm.bias.detach(), norm.eps) for norm in model.layer_norms()],
            head=model.head.weight.detach()[0],
            head_bias=model.head.bias.detach(),
        )


class Gradients:
    """Sums of gradients over blocks, fp32, in the shapes of `Weights`; and of the loss and the hits."""

    def __init__(self, weights: Weights) -> None:
        self.layers = [_zeros(layer.weight, layer.bias) for layer in weights.layers]
        self.norms = [_zeros(weight, bias) for weight, bias, _ in weights.norms]
        self.head = _zeros(weights.head, weights.head_bias)
        self.total = torch.zeros(())
        self.hits = torch.zeros(())

    def add(self, other: "Gradients") -> None:
        """Add what another lane summed."""
        torch._foreach_add_(self.tensors(), other.tensors())

    def tensors(self) -> list[Tensor]:
        """All sums in one list."""
        pairs = [*self.layers, *self.norms, self.head]
        return [*(tensor for pair in pairs for tensor in pair), self.total, self.hits]

    def store(self, model: HitClassifier) -> None:
        """Add the sums to the ``grad`` of the parameters."""
        for conv, (weight, bias) in zip(model.layers(), self.layers, strict=True):
            half = weight.shape[1] // 2
            _accumulate(conv.lin_l.weight, weight[:, :half])
            _accumulate(conv.lin_r.weight, weight[:, half:])
            _accumulate(conv.lin_l.bias, bias)
        for norm, (weight, bias) in zip(model.layer_norms(), self.norms, strict=True):
            _accumulate(norm.weight, weight)
            _accumulate(norm.bias, bias)
        _accumulate(model.head.weight, self.head[0][None])
        _accumulate(model.head.bias, self.head[1])


def _zeros(*like: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.zeros_like(tensor, dtype=torch.float32) for tensor in like)


def _accumulate(parameter: Tensor, grad: Tensor) -> None:
    if not parameter.requires_grad:
        return
    if parameter.grad is None:
        parameter.grad = grad.clone(memory_format=torch.contiguous_format)
    else:
        parameter.grad.add_(grad)


def add_block(weights: Weights, sums: Gradients, block: Batch) -> None:
    """Add the loss of ``block`` and its gradients to ``sums``."""
    neighbours = Neighbours.of(block, weights.dtype)
    run = _normed if weights.norms else _plain
    run(weights, sums, block, neighbours)


def _head(weights: Weights, sums: Gradients, block: Batch, x: Tensor) -> Tensor:
    """Add the loss and the head's gradients; return the gradient to ``x``, the head's input."""
    wide = x.float()
    logits = torch.mv(wide, weights.head).add_(weights.head_bias)
    total, hits = loss(logits, block)
    sums.total += total
    sums.hits += hits
    slope = gradient(logits, block)
    sums.head[0].add_(torch.mv(wide.t(), slope))
    sums.head[1].add_(slope.sum())
    return torch.outer(slope, weights.head).to(weights.dtype)


def _layer_back(
    weights: Weights, sums: Gradients, number: int, grad: Tensor, both: Tensor, nb: Neighbours
) -> Tensor:
    """Add the gradients of layer ``number``; return the one to its input (to its output, for the first layer)."""
    transposed = weights.layers[number].transposed if number else None
    to_x, to_weight, to_bias = sage_backward(grad, both, nb, transposed)
    sums.layers[number][0].add_(to_weight)
    sums.layers[number][1].add_(to_bias)
    return grad if to_x is None else to_x


def _plain(weights: Weights, sums: Gradients, block: Batch, neighbours: Neighbours) -> None:
    """Layer, ReLU and, with residuals, the way around both."""
    x = block.x.to(weights.dtype)
    saved = []
    for number, layer in enumerate(weights.layers):
        out, both = sage_forward(x, neighbours, layer.weight, layer.bias, True)
        saved.append((out, both))
        x = x + out if weights.residual and number else out
    grad = _head(weights, sums, block, x)
    for number in reversed(range(len(saved))):
        out, both = saved.pop()
        inner = threshold_backward(grad, out, 0)
        to_x = _layer_back(weights, sums, number, inner, both, neighbours)
        grad = to_x.add_(grad) if weights.residual else to_x


def _normed(weights: Weights, sums: Gradients, block: Batch, neighbours: Neighbours) -> None:
    """LayerNorm, ReLU, layer, and the way around all three; LayerNorm and ReLU before the head."""
    first, *others = weights.layers
    x, both = sage_forward(block.x.to(weights.dtype), neighbours, first.weight, first.bias, False)
    saved_layers = [both]
    saved_norms = []
    for layer, norm in zip(others, weights.norms, strict=False):
        active, record = _activate(norm, x)
        out, both = sage_forward(active, neighbours, layer.weight, layer.bias, False)
        saved_norms.append(record)
        saved_layers.append(both)
        x = out.add_(x)
    active, record = _activate(weights.norms[-1], x)
    grad = _activate_back(weights, sums, len(others), _head(weights, sums, block, active), record)
    for number in reversed(range(len(weights.layers))):
        inner = _layer_back(weights, sums, number, grad, saved_layers[number], neighbours)
        if number:
            grad = grad + _activate_back(weights, sums, number - 1, inner, saved_norms[number - 1])


def _activate(norm: tuple[Tensor, Tensor, float], x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return ReLU(LayerNorm(x)), and what its gradient needs."""
    weight, bias, eps = norm
    active, mean, rstd = native_layer_norm(x, (len(weight),), weight, bias, eps)
    active.relu_()
    return active, (active, x, mean, rstd)


def _activate_back(
    weights: Weights, sums: Gradients, number: int, grad: Tensor, record: tuple[Tensor, ...]
) -> Tensor:
    """Add the gradients of LayerNorm ``number``; return the one to its input."""
    active, x, mean, rstd = record
    weight, bias, _ = weights.norms[number]
    inner = threshold_backward(grad, active, 0)
    to_x, to_weight, to_bias = native_layer_norm_backward(
        inner, x, (len(weight),), mean, rstd, weight, bias, (True, True, True)
    )
    sums.norms[number][0].add_(to_weight)
    sums.norms[number][1].add_(to_bias)
    return to_x
