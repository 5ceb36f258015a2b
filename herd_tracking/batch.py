"""One batch of events as the network reads it: a graph of separate events in compressed rows."""

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Batch:
    """B events, N hits, M directed edges.

    ``x`` f32[N, F], ``y`` f32[N]; row i of the adjacency has the columns ``src[rowptr[i]:rowptr[i+1]]`` (i32 or i64,
    counted within the batch); ``inverse_degree`` f32[N] is 0 where a hit has no neighbour. Each edge is there in both
    directions, so the transposed adjacency has the same rows. ``node_ptr`` i64[B+1]; ``event`` i64[B]: which
    events of the dataset. ``mask`` f32[N] is 0 for hits that only pad a batch to a fixed size, or None: no such hits.
    """

    x: torch.Tensor
    y: torch.Tensor
    rowptr: torch.Tensor
    src: torch.Tensor
    inverse_degree: torch.Tensor
    node_ptr: torch.Tensor
    event: torch.Tensor
    mask: torch.Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """Return this batch with all tensors on ``device``."""
        moved = {
            name: value.to(device, non_blocking=non_blocking)
            for name, value in vars(self).items()
            if value is not None
        }
        return replace(self, **moved)
