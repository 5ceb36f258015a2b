"""Batches of a split, as the network reads them: in an order that does not depend on how many workers share them."""

import itertools
import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from herd_tracking.batch import Batch
from herd_tracking.dataset.order import BLOCK_EVENTS, WINDOW_BLOCKS, epoch_order, fill_budget, share_of
from herd_tracking.dataset.packing import first_not_finite, pack
from herd_tracking.dataset.store import Dataset
from herd_tracking.events import FEATURES, Events, TrackingError


@dataclass
class _Sizes:
    """Hits and edges of each event that is visited, by its place in ``numbers``."""

    hits: np.ndarray
    edges: np.ndarray


class Loader:
    """Iterates over `Batch`es of a split, on ``device``.

    Each epoch (`set_epoch`) visits all events once, in an order given by ``seed`` and the epoch. A global batch has
    ``batch_events`` of them (the last one fewer), and worker ``rank`` of ``world`` gets every ``world``-th event of it,
    maybe none. With ``node_budget`` and ``edge_budget`` a worker's batch has that fixed shape
    instead: events until the next one would not fit, filled up with hits that `Batch.mask` leaves out; then workers
    share events, not batches.

    Raises TrackingError when there are no events, one is larger than a budget, a value is not finite, a shard is gone.
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
    ) -> None:
        if batch_events < 1:
            raise TrackingError(f"batch_events: {batch_events}; allowed are numbers from 1.")
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
        self._opened: dict[int, Events] = {}
        if node_budget is not None and edge_budget is not None:
            self._check_budget(node_budget, edge_budget)

    @property
    def events(self) -> int:
        """Events of an epoch, of all workers."""
        return len(self.numbers)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of an epoch; with budgets those of this epoch's order."""
        if self.node_budget is None:
            return -(-len(self.numbers) // self.batch_events)
        return len(self._budget_begins(self._share())) - 1

    def __iter__(self) -> Iterator[Batch]:
        window = BLOCK_EVENTS * WINDOW_BLOCKS
        if self.node_budget is None:
            order = epoch_order(self.numbers, self.seed, self.epoch, self.shuffle)
            for number, first in enumerate(range(0, len(order), self.batch_events)):
                if number and first // window != (first - self.batch_events) // window:
                    self._let_go()
                yield self._batch(share_of(order[first : first + self.batch_events], self.rank, self.world))
        else:
            order = self._share()
            begins = self._budget_begins(order)
            for first, last in itertools.pairwise(begins):
                if first // window != last // window:
                    self._let_go()
                yield self._padded(self._batch(order[first:last]))
        self._let_go()

    def _share(self) -> np.ndarray:
        order = epoch_order(self.numbers, self.seed, self.epoch, self.shuffle)
        return share_of(order, self.rank, self.world)

    def _shard(self, number: int) -> Events:
        if number not in self._opened:
            mapped = self.dataset.shard(number)
            # Plain arrays: compiled code does not know the other kind.
            self._opened[number] = Events(**{name: np.asarray(value) for name, value in vars(mapped).items()})
        return self._opened[number]

    def _let_go(self) -> None:
        """Give the pages of the shards back: without it a worker would come to hold the whole dataset."""
        for events in self._opened.values():
            for array in vars(events).values():
                base = array
                while base is not None and not isinstance(base, mmap.mmap):
                    base = getattr(base, "_mmap", None) or getattr(base, "base", None)
                if base is not None and hasattr(mmap, "MADV_DONTNEED"):
                    base.madvise(mmap.MADV_DONTNEED)

    def _sizes(self, numbers: np.ndarray) -> _Sizes:
        shards = np.searchsorted(self.dataset.first, numbers, side="right") - 1
        sizes = _Sizes(np.empty(len(numbers), dtype=np.int64), np.empty(len(numbers), dtype=np.int64))
        for shard in np.unique(shards):
            here = shards == shard
            local = numbers[here] - self.dataset.first[shard]
            events = self._shard(int(shard))
            sizes.hits[here] = events.node_ptr[local + 1] - events.node_ptr[local]
            sizes.edges[here] = events.edge_ptr[local + 1] - events.edge_ptr[local]
        return sizes

    def _budget_begins(self, order: np.ndarray) -> np.ndarray:
        assert self.node_budget is not None and self.edge_budget is not None
        sizes = self._sizes(order)
        # One hit is kept back: padding edges are loops at it.
        return fill_budget(sizes.hits, sizes.edges, self.node_budget - 1, self.edge_budget)

    def _check_budget(self, node_budget: int, edge_budget: int) -> None:
        sizes = self._sizes(self.numbers)
        for name, values, budget in (
            ("node", sizes.hits, node_budget - 1),
            ("edge", sizes.edges, edge_budget),
        ):
            if values.max() > budget:
                worst = int(np.argmax(values))
                raise TrackingError(
                    f"{self.dataset.directory}: event {self.numbers[worst]} has {values[worst]} {name}s; "
                    f"the {name}_budget leaves room for {budget}. Give {values[worst] + 1} or more."
                )

    def _batch(self, numbers: np.ndarray) -> Batch:
        sizes = self._sizes(numbers)
        node_at = np.concatenate([[0], np.cumsum(sizes.hits)])
        edge_at = np.concatenate([[0], np.cumsum(sizes.edges)])
        hits, edges = int(node_at[-1]), int(edge_at[-1])
        x, y = np.empty((hits, len(FEATURES)), np.float32), np.empty(hits, np.float32)
        rowptr, src = np.zeros(hits + 1, np.int32), np.empty(edges, np.int32)
        inverse = np.empty(hits, np.float32)
        shards = np.searchsorted(self.dataset.first, numbers, side="right") - 1
        for shard in np.unique(shards):
            place = np.flatnonzero(shards == shard)
            local = numbers[place] - self.dataset.first[shard]
            one = self._shard(int(shard))
            bad = pack(
                one.node_ptr, one.edge_ptr, one.x, one.y, one.degree, one.src, local, place, node_at, edge_at,
                x, y, rowptr, src, inverse,
            )  # fmt: skip
            if bad >= 0:
                raise TrackingError(
                    f"{self.dataset.directory}: event {bad + self.dataset.first[shard]} in "
                    f"{self.dataset.meta.shards[int(shard)].name}: degree and src do not fit its hits and edges."
                )
        row, column = first_not_finite(x)
        if row >= 0:
            event = numbers[int(np.searchsorted(node_at, row, side="right") - 1)]
            raise TrackingError(
                f"{self.dataset.directory}: event {event}: field x, feature {FEATURES[column]}: is {x[row, column]}; "
                "it must be finite."
            )
        batch = Batch(
            x=torch.from_numpy(x),
            y=torch.from_numpy(y),
            rowptr=torch.from_numpy(rowptr),
            src=torch.from_numpy(src),
            inverse_degree=torch.from_numpy(inverse),
            node_ptr=torch.from_numpy(node_at),
            event=torch.from_numpy(np.ascontiguousarray(numbers)),
        )
        return batch if self.device.type == "cpu" else batch.to(self.device, non_blocking=True)

    def _padded(self, batch: Batch) -> Batch:
        assert self.node_budget is not None and self.edge_budget is not None
        hits, edges = len(batch.y), len(batch.src)
        more, loops = self.node_budget - hits, self.edge_budget - edges
        rowptr = torch.full((more,), edges, dtype=batch.rowptr.dtype, device=batch.rowptr.device)
        rowptr[-1] = edges + loops
        mask = torch.zeros(self.node_budget, device=batch.x.device)
        mask[:hits] = 1
        last = torch.full((loops,), self.node_budget - 1, dtype=batch.src.dtype, device=batch.src.device)
        return Batch(
            x=torch.nn.functional.pad(batch.x, (0, 0, 0, more)),
            y=torch.nn.functional.pad(batch.y, (0, more)),
            rowptr=torch.cat([batch.rowptr, rowptr]),
            src=torch.cat([batch.src, last]),
            inverse_degree=torch.nn.functional.pad(batch.inverse_degree, (0, more)),
            node_ptr=batch.node_ptr,
            event=batch.event,
            mask=mask,
        )
