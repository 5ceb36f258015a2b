"""The area under the ROC curve from histograms of scores: they add up over workers, and no score is kept."""

import numpy as np
import torch

BINS = 1 << 16


def new_histogram(device: torch.device | str = "cpu") -> torch.Tensor:
    """Return i64[2, BINS] of zeros: background and signal hits by `bin_of`."""
    return torch.zeros((2, BINS), dtype=torch.int64, device=device)


def bin_of(logits: torch.Tensor) -> torch.Tensor:
    """Return i64[N], a bin for each logit, in the order of the logits: sign, exponent and 7 bits of the mantissa.

    Two logits share a bin only if they differ by less than 1 %, so what ties cost the area is far below its error.
    """
    bits = logits.float().contiguous().view(torch.int32)
    # Floats are ordered as their bits are, negative ones backwards.
    ordered = torch.where(bits < 0, -1 - (bits & 0x7FFFFFFF), bits)
    return (ordered >> 16).long() + BINS // 2


def add_scores(
    histogram: torch.Tensor, logits: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None
) -> None:
    """Count the hits with ``logits`` f32[N] and labels ``y`` f32[N] in ``histogram``, but none that only pad."""
    place = bin_of(logits) + BINS * (y > 0.5).long()
    if mask is not None:
        place = place[mask > 0]
    histogram.view(-1).add_(torch.bincount(place, minlength=2 * BINS))


def area(histogram: torch.Tensor) -> float | None:
    """Return the area under the ROC curve, ties counting half (Mann and Whitney); None if a class has no hits."""
    background, signal = (row.astype(np.float64) for row in histogram.cpu().numpy())
    pairs = background.sum() * signal.sum()
    if pairs == 0:
        return None
    below = np.cumsum(background) - background
    return float(np.sum(signal * (below + background / 2)) / pairs)
