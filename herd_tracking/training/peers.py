"""The workers that train together, as one of them sees the others: sums over all, and what the first one says."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Peers:
    """``rank`` of ``world`` workers; with more than one, torch's process group must be there."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that writes and reports."""
        return self.rank == 0

    def add_up(self, *tensors: torch.Tensor) -> None:
        """Replace each of ``tensors`` by its sum over all workers; all of them are on their way at the same time."""
        if self.world > 1:
            for work in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
                work.wait()

    def all_have(self, value: bool, device: torch.device | str = "cpu") -> bool:
        """Return whether ``value`` is true on every worker."""
        count = torch.tensor(float(value), device=device)
        self.add_up(count)
        return int(count) == self.world

    def from_all(self, value: Any) -> list[Any]:
        """Return the ``value`` of each worker, by rank."""
        found = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(found, value)
        return found

    def from_first(self, value: Any) -> Any:
        """Return the ``value`` that the first worker has."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]
