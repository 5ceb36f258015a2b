"""Scores: what a trained model says of each hit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from herd_tracking.batch import Batch
from herd_tracking.dataset import Dataset, Loader
from herd_tracking.model.blocks import blocks_of
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.model.lanes import in_lanes
from herd_tracking.model.precision import best_precision
from herd_tracking.training.checkpoint import load_checkpoint

_BATCH_EVENTS = 512


def logits_of(model: HitClassifier, batch: Batch) -> torch.Tensor:
    """Return the logits f32[N] of ``batch`` without gradients; on a CPU in blocks that stay in its caches."""
    if batch.x.device.type != "cpu":
        with torch.no_grad():
            return model(batch)
    blocks = list(blocks_of(batch))
    if not blocks:
        return torch.zeros(0)

    @torch.no_grad()
    def work(some: Sequence[Batch]) -> list[torch.Tensor]:
        return [model(block) for block in some]

    lanes = in_lanes(work, blocks)
    return torch.cat([lanes[number % len(lanes)][number // len(lanes)] for number in range(len(blocks))])


def score(
    dataset: Dataset | str | Path,
    checkpoint: str | Path,
    split: str = "test",
    limit: int | None = None,
    *,
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Return f32[N], the probability that a hit is the primary's, in the order of ``dataset.events(split, limit)``.

    ``checkpoint``: a file, or the directory of a run (its best one). ``device``: None for a GPU if there is one. Raises
    TrackingError for a checkpoint that does not fit to the dataset.
    """
    opened = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = load_checkpoint(checkpoint, features=opened.feature_names).to(place)
    model.precision = best_precision(place)
    loader = Loader(opened, split, _BATCH_EVENTS, shuffle=False, limit=limit, device=place)
    pieces = [torch.sigmoid(logits_of(model, batch)).cpu() for batch in loader]
    return torch.cat(pieces).numpy()
