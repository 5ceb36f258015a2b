"""The gradients of a training step: in blocks that stay in the caches on a CPU, by autograd on a GPU."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from herd_tracking.batch import Batch
from herd_tracking.model.blocks import HITS_PER_BLOCK, blocks_of, rounded
from herd_tracking.model.classifier import HitClassifier, check_width
from herd_tracking.model.lanes import in_lanes
from herd_tracking.model.objective import loss
from herd_tracking.model.passes import Gradients, Weights, add_block


def accumulate_gradients(
    model: HitClassifier, batch: Batch, hits_per_block: int = HITS_PER_BLOCK
) -> tuple[Tensor, Tensor]:
    """Add the gradients of the summed loss to each parameter's ``grad``; return (that sum, number of hits), both f32[].

    The caller divides the gradients by the hits of all workers, once all are known. On a CPU torch's threads each take
    blocks of about ``hits_per_block`` hits; autograd and its hooks are not involved there.
    """
    check_width(model, batch)
    if batch.x.device.type != "cpu":
        return by_autograd(model, batch)
    weights = Weights.of(model)

    @torch.no_grad()
    def work(blocks: Sequence[Batch]) -> Gradients:
        sums = Gradients(weights)
        for block in blocks:
            add_block(weights, sums, rounded(block))
        return sums

    sums, *others = in_lanes(work, list(blocks_of(batch, hits_per_block)))
    with torch.no_grad():
        for other in others:
            sums.add(other)
        sums.store(model)
    return sums.total, sums.hits


def by_autograd(forward: Callable[[Batch], Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
    """Do the same with a network, or a compiled one, under autograd; nothing waits for a GPU."""
    total, hits = loss(forward(batch), batch)
    total.backward()
    return total.detach(), hits


def flat_gradients(model: HitClassifier) -> Tensor:
    """Return one f32[parameters] of zeros whose parts are from now on the ``grad`` of each parameter, in their order.

    One all-reduce, one division and one ``zero_()`` then serve all of them; so call ``flat.zero_()``, never
    ``zero_grad()``, which would let go of it.
    """
    parameters = list(model.parameters())
    flat = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device)
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
    return flat
