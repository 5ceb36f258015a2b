"""What to say when a loss is no number any more: where in the training, in which events, and what can be done."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from herd_tracking.batch import Batch
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.training.scoring import logits_of

_NAMED = 8


@dataclass(frozen=True)
class Share:
    """A worker's part of a step: ``number`` of the batch in its epoch, from 1; ``loss`` f32[] that it summed."""

    number: int
    batch: Batch
    loss: torch.Tensor


def first_bad(shares: Iterable[Share]) -> Share | None:
    """Return the first of ``shares`` whose loss is not finite; None: that was another worker's."""
    return next((share for share in shares if not torch.isfinite(share.loss)), None)


def events_told(model: HitClassifier, batch: Batch) -> str:
    """Return which events of ``batch`` have a logit that is not finite; all of them, where no single one stands out."""
    wrong = ~torch.isfinite(logits_of(model, batch)).cpu()
    hits = torch.repeat_interleave(batch.node_ptr.cpu().diff())
    bad = torch.unique(hits[wrong[: len(hits)]])
    numbers = batch.event.cpu()
    found = (numbers[bad] if 0 < len(bad) < len(numbers) else numbers).tolist()
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"event{'s' if len(found) > 1 else ''} {', '.join(map(str, found[:_NAMED]))}{more}"


def advice(dataset: str, learning_rate: float, precision: str, checkpoint: str | None) -> str:
    """Return what a person can do about it."""
    kept = (
        f"{checkpoint} is from before it, and can be gone on from"
        if checkpoint
        else "there is no checkpoint yet"
    )
    ways = [f"a learning_rate below {learning_rate:g}"]
    ways += [] if precision == "fp32" else [f"precision='fp32' (it was {precision})"]
    return (
        f"The step was not counted; {kept}. Look at the events with `herd_tracking info {dataset} --check`. "
        f"If they are good, begin anew in another directory with {' or '.join(ways)}."
    )
