"""Events that stay on a device: read once, then packed into batches there, with nothing but their numbers sent."""

import numpy as np
import torch
from torch import Tensor

from herd_tracking.batch import Batch
from herd_tracking.dataset.reading import Reader
from herd_tracking.events import FEATURES

_READ_AT_A_TIME = 32_768
_PER_HIT_BYTES = 4 * len(FEATURES) + 2 + 2
_PER_EDGE_BYTES = 2
_PER_EVENT_BYTES = 16


def resident_bytes(hits: int, edges: int, events: int) -> int:
    """Return what ``events`` events with so many hits and edges need at most, in bytes."""
    return hits * _PER_HIT_BYTES + edges * _PER_EDGE_BYTES + events * _PER_EVENT_BYTES


def fits(needed: int, device: torch.device) -> bool:
    """Return whether ``device`` is a GPU with twice the free memory; the other half is the training's."""
    return device.type == "cuda" and needed <= torch.cuda.mem_get_info(device)[0] // 2


class ResidentEvents:
    """The events ``numbers`` of a dataset on ``device``; ``hits`` and ``edges``: how many each has."""

    def __init__(
        self,
        reader: Reader,
        numbers: np.ndarray,
        hits: np.ndarray,
        edges: np.ndarray,
        device: torch.device,
    ) -> None:
        self._hits, self._edges = hits.astype(np.int64), edges.astype(np.int64)
        self._device = device
        total, links = int(self._hits.sum()), int(self._edges.sum())
        self._node_ptr = torch.from_numpy(np.concatenate([[0], np.cumsum(self._hits)])).to(device)
        self._edge_ptr = torch.from_numpy(np.concatenate([[0], np.cumsum(self._edges)])).to(device)
        self._x = torch.empty((total, len(FEATURES)), dtype=torch.float32, device=device)
        self._y = torch.empty(total, dtype=torch.uint8, device=device)
        # Types that torch can index with and add, at the least width that the numbers need.
        wide = torch.uint8 if self._hits.max() <= 256 else torch.int16
        self._degree = torch.empty(total, dtype=wide, device=device)
        self._src = torch.empty(links, dtype=wide, device=device)
        node, edge = 0, 0
        for first in range(0, len(numbers), _READ_AT_A_TIME):
            some = slice(first, first + _READ_AT_A_TIME)
            window = reader.window(numbers[some], hits[some], edges[some])
            nodes, links = len(window.y), len(window.src)
            for own, read, at in (
                (self._x, window.x, node),
                (self._y, window.y, node),
                (self._degree, window.degree, node),
                (self._src, window.src, edge),
            ):
                signed = read.astype(np.int16) if read.dtype == np.uint16 else read
                own[at : at + len(read)] = torch.from_numpy(signed)
            node, edge = node + nodes, edge + links

    def pack(self, places: np.ndarray, numbers: np.ndarray) -> Batch:
        """Return the events at ``places`` i64[B] as a batch; ``numbers`` i64[B]: which they are in the dataset."""
        # The sizes are known here too, so that nothing waits for the device.
        total, links = int(self._hits[places].sum()), int(self._edges[places].sum())
        sent = torch.from_numpy(np.stack([places, numbers])).to(self._device, non_blocking=True)
        node_ptr, node = _gathered(self._node_ptr, sent[0], total)
        edge_ptr, edge = _gathered(self._edge_ptr, sent[0], links)
        degree = self._degree[node].to(torch.int32)
        rowptr = torch.zeros(total + 1, dtype=torch.int32, device=self._device)
        torch.cumsum(degree, 0, dtype=torch.int32, out=rowptr[1:])
        begin = torch.repeat_interleave(node_ptr[:-1].to(torch.int32), edge_ptr.diff(), output_size=links)
        return Batch(
            x=self._x[node],
            y=self._y[node].to(torch.float32),
            rowptr=rowptr,
            src=self._src[edge].to(torch.int32) + begin,
            inverse_degree=_inverse(degree),
            node_ptr=node_ptr,
            event=sent[1],
        )


def _gathered(pointer: Tensor, places: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """Return where the events ``places`` begin once they stand together, and which rows they are, i64[total]."""
    first = pointer[places]
    count = pointer[places + 1] - first
    begin = torch.zeros(len(places) + 1, dtype=torch.int64, device=places.device)
    torch.cumsum(count, 0, out=begin[1:])
    row = torch.arange(total, device=places.device)
    return begin, row + torch.repeat_interleave(first - begin[:-1], count, output_size=total)


def _inverse(degree: Tensor) -> Tensor:
    return torch.where(degree > 0, 1 / degree.clamp(min=1), 0.0).to(torch.float32)
