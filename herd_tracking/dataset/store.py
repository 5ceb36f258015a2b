"""A dataset that is there: opened, looked through, read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from herd_tracking.dataset.checks import check_events
from herd_tracking.dataset.files import open_array
from herd_tracking.dataset.meta import Meta, read_meta
from herd_tracking.dataset.splits import SHARES, split_number, split_of
from herd_tracking.events import ARRAYS, Events, TrackingError


@dataclass(frozen=True)
class Selection:
    """Some events of a dataset by number, i64[E], ascending; ``name`` is for messages."""

    name: str
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)


class Dataset:
    """A directory of shards. Arrays are mapped when they are used; only what is read comes into memory."""

    def __init__(self, directory: Path, meta: Meta) -> None:
        self.directory, self.meta = directory, meta
        counts = [shard.events for shard in meta.shards]
        self.first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        """Number of the first event of each shard, i64[S+1]."""

    @classmethod
    def open(cls, directory: Path | str) -> "Dataset":
        """Return the dataset in ``directory``; TrackingError when it is none, truncated or foreign."""
        path = Path(directory)
        dataset = cls(path, read_meta(path))
        if not dataset.meta.shards:
            raise TrackingError(f"{path}: has no events.")
        for shard in dataset.meta.shards:
            for name in ARRAYS:
                array = open_array(path, shard, name)
                if name in ("node_ptr", "edge_ptr"):
                    total = shard.hits if name == "node_ptr" else shard.edges
                    if array[0] != 0 or array[-1] != total:
                        raise TrackingError(
                            f"{path / shard.name / name}.npy: goes from {array[0]} to {array[-1]}, not 0 to {total}."
                        )
        return dataset

    def __len__(self) -> int:
        return int(self.first[-1])

    def __repr__(self) -> str:
        return f"Dataset({str(self.directory)!r}: {len(self):,} events, {self.meta.hits:,} hits)"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of ``x``."""
        return self.meta.features

    @property
    def geometry_hash(self) -> str:
        """The geometry that the events were made with."""
        return self.meta.geometry_hash

    def shard(self, number: int) -> Events:
        """Return a shard's events, memory-mapped. Raises TrackingError when it has vanished."""
        shard = self.meta.shards[number]
        return Events(**{name: open_array(self.directory, shard, name) for name in ARRAYS})

    def event_ids(self) -> np.ndarray:
        """Return all ids, u64[E]."""
        return np.concatenate([open_array(self.directory, shard, "event_id") for shard in self.meta.shards])

    def split(self, name: str) -> Selection:
        """Return the events of ``train``, ``validation`` or ``test``. Raises TrackingError for another name."""
        number = split_number(name)
        return Selection(name, np.flatnonzero(split_of(self.event_ids(), self.meta.split_seed) == number))

    def events(self, selection: Selection | None = None, limit: int | None = None) -> Events:
        """Return the events of ``selection`` (all by default), at most ``limit``, in memory."""
        numbers = np.arange(len(self)) if selection is None else selection.numbers
        numbers = numbers if limit is None else numbers[:limit]
        if len(numbers) == 0:
            what = "all events" if selection is None else f"the split {selection.name}"
            raise TrackingError(f"{self.directory}: {what} has no events.")
        return joined(list(self._pieces(numbers)))

    def _pieces(self, numbers: np.ndarray) -> Iterator[Events]:
        shards = np.searchsorted(self.first, numbers, side="right") - 1
        for number in np.unique(shards):
            yield picked(self.shard(int(number)), numbers[shards == number] - self.first[number])

    def check(self) -> None:
        """Look at all events, and at all ids. Raises TrackingError for the first one that cannot be trained with."""
        ids = np.sort(self.event_ids())
        twice = np.flatnonzero(ids[1:] == ids[:-1])
        if len(twice):
            raise TrackingError(
                f"{self.directory}: field event_id: {ids[twice[0]]} is there twice; ids are unique."
            )
        reach_cm = self.meta.reach_cm()
        for number, shard in enumerate(self.meta.shards):
            # Plain arrays: compiled code does not know maps.
            arrays = {name: np.asarray(array) for name, array in vars(self.shard(number)).items()}
            first = int(self.first[number])
            check_events(Events(**arrays), f"{self.directory / shard.name}", False, first, reach_cm)
        labels = [open_array(self.directory, shard, "y") for shard in self.meta.shards]
        if len({int(limit) for y in labels for limit in (y.min(), y.max())}) < 2:
            raise TrackingError(
                f"{self.directory}: field y: all hits are {labels[0][0]}; 1 and 0 are needed."
            )

    def describe(self) -> dict[str, object]:
        """Return what a person wants to know of it."""
        meta = self.meta
        ids = split_of(self.event_ids(), meta.split_seed)
        sizes = (
            path.stat().st_size for shard in meta.shards for path in (self.directory / shard.name).iterdir()
        )
        size = sum(sizes)
        return {
            "directory": str(self.directory),
            "source": meta.source,
            "particles": meta.particles,
            "events": len(self),
            "hits": meta.hits,
            "edges": meta.edges,
            "hits_per_event": meta.hits / len(self),
            "edges_per_event": meta.edges / len(self),
            "splits": {name: int(np.sum(ids == number)) for number, name in enumerate(SHARES)},
            "size_mib": size / 2**20,
            "bytes_per_event": size / len(self),
            "shards": len(meta.shards),
            "features": list(meta.features),
            "geometry_hash": meta.geometry_hash,
            "seed": meta.seed,
            "split_seed": meta.split_seed,
            "schema_version": meta.schema_version,
            "made_by": meta.made_by,
        }


def _ranges(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return first[i], first[i] + 1, … (count[i] of them), for all i, i64."""
    ends = np.cumsum(count)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - (ends - count), count)


def picked(events: Events, numbers: np.ndarray) -> Events:
    """Return the events ``numbers`` of ``events``, copied, in that order."""
    nodes, edges = np.diff(events.node_ptr)[numbers], np.diff(events.edge_ptr)[numbers]
    node_index = _ranges(np.asarray(events.node_ptr)[numbers], nodes)
    edge_index = _ranges(np.asarray(events.edge_ptr)[numbers], edges)
    return Events(
        node_ptr=np.concatenate([[0], np.cumsum(nodes)]),
        edge_ptr=np.concatenate([[0], np.cumsum(edges)]),
        x=events.x[node_index],
        y=events.y[node_index],
        hit_class=events.hit_class[node_index],
        plane=events.plane[node_index],
        degree=events.degree[node_index],
        src=events.src[edge_index],
        event=events.event[numbers],
        event_id=events.event_id[numbers],
    )


def joined(pieces: list[Events]) -> Events:
    """Return the events of all ``pieces``, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    arrays = {
        name: np.concatenate([getattr(one, name) for one in pieces]) for name in ARRAYS if "ptr" not in name
    }
    pointers = {
        name: np.concatenate(
            [[0], np.cumsum(np.concatenate([np.diff(getattr(one, name)) for one in pieces]))]
        )
        for name in ("node_ptr", "edge_ptr")
    }
    return Events(**arrays, **pointers)
