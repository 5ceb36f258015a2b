"""Batches of a split, as the network reads them: in an order that does not depend on how many workers share them."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from herd_tracking.batch import Batch
from herd_tracking.dataset.order import (
    WINDOW_EVENTS,
    batch_begins,
    batch_begins_in_budget,
    epoch_order,
    share_of,
)
from herd_tracking.dataset.packing import pack
from herd_tracking.dataset.padding import padded
from herd_tracking.dataset.reading import Reader, Window
from herd_tracking.dataset.resident import ResidentEvents, fits, resident_bytes
from herd_tracking.dataset.store import Dataset
from herd_tracking.events import FEATURES, TrackingError

_DEGREES = np.arange(2**16)
_INVERSE = np.where(_DEGREES > 0, 1 / np.maximum(_DEGREES, 1), 0).astype(np.float32)

_Part = tuple[Window, np.ndarray]


class Loader:
    """Iterates over `Batch`es of a split, on ``device``.

    Each epoch (`set_epoch`) visits all events once, in an order given by ``seed`` and the epoch. A global batch has
    ``batch_events`` of them (the last one fewer), and worker ``rank`` of ``world`` gets every ``world``-th event of it,
    maybe none. With ``node_budget`` and ``edge_budget`` all batches of all workers have that shape, filled up with hits
    that `Batch.mask` leaves out; a global batch then ends earlier if a worker's share would not fit. ``limit``: only
    the first events of the split.

    What a worker holds in memory does not grow with the dataset but for some 60 bytes an event: two windows of 65,536
    events, the second read by a thread while the first is used. ``is_resident``: whether the split stays on the device
    and is packed there; by default if that is a GPU with twice the room. Each event is looked at when it is read.

    Raises TrackingError when there are no events, one is larger than a budget or cannot be trained with, a shard is
    gone or cut off.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        batch_events: int = 256,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world: int = 1,
        node_budget: int | None = None,
        edge_budget: int | None = None,
        device: str | torch.device = "cpu",
        limit: int | None = None,
        is_resident: bool | None = None,
    ) -> None:
        if batch_events < 1:
            raise TrackingError(f"batch_events: {batch_events}; allowed are numbers from 1.")
        for name, number, least in (("seed", seed, 0), ("limit", 1 if limit is None else limit, 1)):
            if number < least:
                raise TrackingError(f"{name}: {number}; allowed are numbers from {least}.")
        if not 0 <= rank < world:
            raise TrackingError(f"rank: {rank} of {world} workers; allowed are 0 to {world - 1}.")
        if (node_budget is None) != (edge_budget is None):
            raise TrackingError("node_budget and edge_budget: give both, or neither.")
        self.dataset, self.split, self.batch_events = dataset, split, batch_events
        self.seed, self.shuffle, self.rank, self.world = seed, shuffle, rank, world
        self.node_budget, self.edge_budget = node_budget, edge_budget
        self.device, self.epoch = torch.device(device), 0
        selection = dataset.split(split)
        self.numbers = selection.numbers if limit is None else selection.numbers[:limit]
        if len(self.numbers) == 0:
            raise TrackingError(f"{dataset.directory}: the split {split} has no events.")
        self._reader = Reader(dataset)
        self._hits, self._edges = self._reader.sizes(self.numbers)
        if node_budget is not None and edge_budget is not None:
            # One hit is kept back: the edges that fill a batch are loops at it.
            self._check_budget("node", self._hits, node_budget - 1)
            self._check_budget("edge", self._edges, edge_budget)
        self._resident: ResidentEvents | None = None
        needed = resident_bytes(int(self._hits.sum()), int(self._edges.sum()), len(self.numbers))
        if fits(needed, self.device) if is_resident is None else is_resident:
            self._resident = ResidentEvents(self._reader, self.numbers, self._hits, self._edges, self.device)

    @property
    def events(self) -> int:
        """Events of an epoch, of all workers."""
        return len(self.numbers)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of an epoch, the same for all workers; with budgets those of this epoch's order."""
        if self.node_budget is None:
            return -(-len(self.numbers) // self.batch_events)
        return len(self._begins(self._order())) - 1

    def __iter__(self) -> Iterator[Batch]:
        return self.batches()

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of this epoch from number ``first`` on; those before are not read."""
        order = self._order()
        places, begins = share_of(self._begins(order)[first:], self.rank, self.world)
        own = order[places]
        if self._resident is not None:
            for begin, end in itertools.pairwise(begins):
                yield self._shaped(self._resident.pack(own[begin:end], self.numbers[own[begin:end]]))
            return
        for begin, end, parts in self._parts(
            own, begins, np.flatnonzero(np.diff(places // WINDOW_EVENTS)) + 1
        ):
            batch = self._shaped(self._pack(own[begin:end], parts))
            yield batch if self.device.type == "cpu" else batch.to(self.device, non_blocking=True)

    def _order(self) -> np.ndarray:
        """Places in ``numbers``, in the order of this epoch."""
        return epoch_order(np.arange(len(self.numbers)), self.seed, self.epoch, self.shuffle)

    def _begins(self, order: np.ndarray) -> np.ndarray:
        if self.node_budget is None or self.edge_budget is None:
            return batch_begins(len(order), self.batch_events)
        return batch_begins_in_budget(
            self._hits[order], self._edges[order], self.batch_events, self.world,
            self.node_budget - 1, self.edge_budget,
        )  # fmt: skip

    def _parts(
        self, own: np.ndarray, begins: np.ndarray, cuts: np.ndarray
    ) -> Iterator[tuple[int, int, list[_Part]]]:
        """Yield begin, end and parts of each batch: of which windows, which of their events."""
        windows = self._windows(own, np.unique([0, *cuts, len(own)]))
        window, left = None, own[:0]
        for begin, end in itertools.pairwise(begins.tolist()):
            parts: list[_Part] = []
            wanted = end - begin
            while wanted:
                if not len(left):
                    window, left = next(windows)
                assert window is not None
                parts.append((window, left[:wanted]))
                wanted, left = wanted - len(parts[-1][1]), left[wanted:]
            yield begin, end, parts

    def _windows(self, own: np.ndarray, cuts: np.ndarray) -> Iterator[_Part]:
        """Yield windows and which of their events come one after the other; the next one is read meanwhile."""

        def read(begin: int, end: int) -> _Part:
            sort = np.argsort(own[begin:end])
            places = own[begin:end][sort]
            local = np.empty(len(sort), dtype=np.int64)
            local[sort] = np.arange(len(sort))
            window = self._reader.window(self.numbers[places], self._hits[places], self._edges[places])
            return window, local

        with ThreadPoolExecutor(1, thread_name_prefix="herd-read") as pool:
            coming = None
            for begin, end in itertools.pairwise(cuts.tolist()):
                now, coming = coming, pool.submit(read, begin, end)
                if now is not None:
                    yield now.result()
            if coming is not None:
                yield coming.result()

    def _pack(self, own: np.ndarray, parts: list[_Part]) -> Batch:
        hits, edges = int(self._hits[own].sum()), int(self._edges[own].sum())
        x, y = np.empty((hits, len(FEATURES)), np.float32), np.empty(hits, np.float32)
        rowptr, src = np.zeros(hits + 1, np.int32), np.empty(edges, np.int32)
        inverse_degree, node_ptr = np.empty(hits, np.float32), np.zeros(len(own) + 1, np.int64)
        at, edge = 0, 0
        for window, local in parts:
            edge = pack(
                window.node_ptr, window.edge_ptr, window.x.reshape(-1), window.y, window.degree, window.src, local,
                at, node_ptr, edge, x.reshape(-1), y, rowptr, src, inverse_degree, _INVERSE, len(FEATURES),
            )  # fmt: skip
            at += len(local)
        return Batch(
            x=torch.from_numpy(x),
            y=torch.from_numpy(y),
            rowptr=torch.from_numpy(rowptr),
            src=torch.from_numpy(src),
            inverse_degree=torch.from_numpy(inverse_degree),
            node_ptr=torch.from_numpy(node_ptr),
            event=torch.from_numpy(self.numbers[own]),
        )

    def _shaped(self, batch: Batch) -> Batch:
        if self.node_budget is None or self.edge_budget is None:
            return batch
        return padded(batch, self.node_budget, self.edge_budget)

    def _check_budget(self, what: str, sizes: np.ndarray, budget: int) -> None:
        worst = int(np.argmax(sizes))
        if sizes[worst] > budget:
            raise TrackingError(
                f"{self.dataset.directory}: event {self.numbers[worst]} has {sizes[worst]} {what}s; "
                f"the {what}_budget leaves room for {budget}. Give {sizes[worst] + 1} or more."
            )
