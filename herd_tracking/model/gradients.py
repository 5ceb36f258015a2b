"""A training step's gradients."""

import torch
from torch import Tensor

from herd_tracking.batch import Batch
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.model.objective import loss


def accumulate_gradients(model: HitClassifier, batch: Batch) -> tuple[Tensor, Tensor]:
    """Add the gradients of the summed loss to each parameter's ``grad``; return (that sum, number of hits), both f32[].

    The caller divides the gradients by the hits of all workers, once all are known.
    """
    total, hits = loss(model(batch), batch)
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
