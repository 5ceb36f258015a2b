"""The arithmetic of one layer, forward and backward, without autograd: what all ways to train have in common.

A layer is PyG's ``SAGEConv(aggr="mean")``: out_i = W_l mean_{j in N(i)} x_j + b + W_r x_i. Mean and W_r are one matrix
product on [mean | x] with [W_l | W_r]. Each edge is there in both directions, so the transposed mean, which the
gradient needs, walks the same rows with other weights: nothing is sorted, scattered or added by atomics.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from herd_tracking.batch import Batch


def onednn_types() -> frozenset[torch.dtype]:
    """Return the types that torch's product by oneDNN takes here, as `linear` calls it.

    The operator is private to torch, so another version may have it in another form, or not at all; and bfloat16 needs
    a processor with AVX-512. Otherwise the public product gives the same numbers, at the speed of MKL.
    """
    return frozenset(dtype for dtype in (torch.float32, torch.bfloat16) if _multiplies(dtype))


def _multiplies(dtype: torch.dtype) -> bool:
    one = torch.ones(1, 2, dtype=dtype)
    try:
        two = torch.ops.mkldnn._linear_pointwise(one, one, None, "none", [], "")
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return torch.backends.mkldnn.is_available() and two.tolist() == [[2.0]]


ONEDNN = onednn_types()
SUM = 0  # torch's number of this mode of embedding_bag


@dataclass(frozen=True)
class Neighbours:
    """The mean over neighbours as a matrix in compressed rows, and its transpose.

    ``rowptr`` [N+1] and ``src`` [M] as in `Batch`; ``weight`` [M] is 1/degree of the hit that an edge goes to,
    ``weight_transposed`` [M] of the hit that it comes from.
    """

    rowptr: Tensor
    src: Tensor
    weight: Tensor
    weight_transposed: Tensor

    @classmethod
    def of(cls, batch: Batch, dtype: torch.dtype) -> "Neighbours":
        """Return the neighbours in ``batch``, weights of ``dtype``; shapes depend on the batch's shapes only."""
        inverse = batch.inverse_degree.to(dtype)
        place = torch.arange(len(batch.src), device=batch.src.device, dtype=batch.rowptr.dtype)
        row = torch.searchsorted(batch.rowptr, place, right=True).sub_(1).clamp_(max=max(len(inverse) - 1, 0))
        return cls(batch.rowptr, batch.src, inverse[row], inverse[batch.src])


def weighted_sum(x: Tensor, rowptr: Tensor, src: Tensor, weight: Tensor) -> Tensor:
    """Return sum_j weight_ij x_j over each row i, [N, F], added in fp32 in the order of ``src`` whatever x's type is.

    torch.embedding_bag is this sum: on x86 a kernel of FBGEMM with AVX-512, on CUDA one that adds in order.
    """
    if not len(x):
        return torch.zeros_like(x)
    return torch.embedding_bag(x, src, rowptr, False, SUM, False, weight, True)[0]


def sage_forward(
    x: Tensor, neighbours: Neighbours, weight: Tensor, bias: Tensor, relu: bool
) -> tuple[Tensor, Tensor]:
    """Return (out [N, O], [mean | x] [N, 2F]) with ``weight`` = [W_l | W_r] [O, 2F]; all of x's type."""
    mean = weighted_sum(x, neighbours.rowptr, neighbours.src, neighbours.weight)
    both = torch.cat((mean, x), 1)
    return linear(both, weight, bias, relu), both


def sage_backward(
    grad: Tensor, both: Tensor, neighbours: Neighbours, transposed: Tensor | None
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the gradients to (x, weight, bias) from ``grad``, that to the output before its ReLU.

    ``transposed``: [W_l | W_r]ᵀ [2F, O], contiguous, or None if nobody asks for the gradient to x.
    """
    grad_weight = transposed_product(grad, both)
    grad_bias = grad.sum(0)
    if transposed is None:
        return None, grad_weight, grad_bias
    half = len(transposed) // 2
    grad_mean = linear(grad, transposed[:half])
    grad_x = weighted_sum(grad_mean, neighbours.rowptr, neighbours.src, neighbours.weight_transposed)
    return grad_x.add_(linear(grad, transposed[half:])), grad_weight, grad_bias


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    """Return x weightᵀ + bias, and its ReLU if ``relu``.

    ``weight`` must be contiguous: for a part of a wider matrix oneDNN falls back to a loop a hundred times slower.
    """
    if uses_onednn(x):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "relu" if relu else "none", [], "")
    out = torch.nn.functional.linear(x, weight, bias)
    return out.relu_() if relu else out


def transposed_product(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left``ᵀ ``right`` of [N, O] and [N, F]: the gradient of a weight."""
    if uses_onednn(left) and left.dtype == torch.float32:
        return torch.ops.mkldnn._linear_pointwise(left.t().contiguous(), right.t(), None, "none", [], "")
    return left.t() @ right


def uses_onednn(x: Tensor) -> bool:
    """Whether oneDNN multiplies: in fp32 torch calls MKL, which leaves AVX-512 unused on processors of AMD.

    Not under torch.compile, whose own use of oneDNN wants weights that never change.
    """
    return x.dtype in ONEDNN and x.device.type == "cpu" and len(x) > 0 and not torch.compiler.is_compiling()
