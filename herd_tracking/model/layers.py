"""One GraphSAGE layer whose parameters have the names and shapes of PyG's ``SAGEConv``, for use under autograd."""

from typing import Any

import torch
from torch import Tensor, nn

from herd_tracking.model.kernels import Neighbours, sage_backward, sage_forward


class _Sage(torch.autograd.Function):
    """`sage_forward` with `sage_backward`: all tensors are arguments, so that torch.compile can follow."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        rowptr: Tensor,
        src: Tensor,
        edge_weight: Tensor,
        edge_weight_transposed: Tensor,
        relu: bool,
    ) -> Tensor:
        neighbours = Neighbours(rowptr, src, edge_weight, edge_weight_transposed)
        out, both = sage_forward(x, neighbours, weight, bias, relu)
        ctx.relu = relu
        ctx.save_for_backward(both, weight, rowptr, src, edge_weight, edge_weight_transposed, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        both, weight, rowptr, src, edge_weight, edge_weight_transposed, out = ctx.saved_tensors
        grad = torch.where(out > 0, grads[0], 0.0).to(out.dtype) if ctx.relu else grads[0].contiguous()
        neighbours = Neighbours(rowptr, src, edge_weight, edge_weight_transposed)
        transposed = weight.t().contiguous() if ctx.needs_input_grad[0] else None
        to_x, to_weight, to_bias = sage_backward(grad, both, neighbours, transposed)
        return to_x, to_weight, to_bias, None, None, None, None, None


class SageLayer(nn.Module):
    """PyG's ``SAGEConv(inputs, outputs, aggr="mean")``: W_l on the mean over neighbours, with bias, and W_r on the hit.

    State dicts interchange with PyG's both ways (``lin_l.weight``, ``lin_l.bias``, ``lin_r.weight``). A hit without
    neighbours has the mean 0, as there.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lin_l = nn.Linear(inputs, outputs)
        self.lin_r = nn.Linear(inputs, outputs, bias=False)

    def packed(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return [W_l | W_r] and the bias in ``dtype``."""
        weight = torch.cat((self.lin_l.weight, self.lin_r.weight), 1)
        return weight.to(dtype), self.lin_l.bias.to(dtype)

    def forward(self, x: Tensor, neighbours: Neighbours, relu: bool = False) -> Tensor:
        """Return f[N, outputs] of x's type, after a ReLU if ``relu``."""
        weight, bias = self.packed(x.dtype)
        edges = (neighbours.rowptr, neighbours.src, neighbours.weight, neighbours.weight_transposed)
        return _Sage.apply(x, weight, bias, *edges, relu)
