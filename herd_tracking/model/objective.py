"""The loss: binary cross-entropy of each real hit, summed, so that batches of any size add up."""

import torch
from torch import Tensor

from herd_tracking.batch import Batch


def loss(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return (sum of the binary cross-entropy over the real hits f32[], their number f32[]).

    The mean over all workers is the sum of the first over the sum of the second; hits that pad a batch count nothing.
    """
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.y, reduction="none")
    if batch.mask is None:
        return each.sum(), torch.full((), float(len(logits)), device=logits.device)
    return (each * batch.mask).sum(), batch.mask.sum()


def gradient(logits: Tensor, batch: Batch) -> Tensor:
    """Return d(sum)/d(logits), f32[N]: sigmoid(logit) - y on real hits, 0 on padding."""
    slope = torch.sigmoid(logits).sub_(batch.y)
    return slope if batch.mask is None else slope.mul_(batch.mask)
