"""Reads some events of a dataset into memory for training, piece by piece, and looks at each of them.

Files are read, not mapped: a file that shrinks under a map ends the process without a word, and the pages of a map
count as the worker's memory until they are given back.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from herd_tracking.dataset.checks import check_events
from herd_tracking.dataset.files import open_array, shape_of
from herd_tracking.dataset.packing import gather
from herd_tracking.dataset.store import Dataset
from herd_tracking.events import FEATURES, TrackingError

PIECE_EVENTS = 1024
"""Read at a time: what stays in a processor's cache until it is copied."""

AHEAD_PIECES = 8
"""How many pieces ahead the system is told what will be read: from a cold disk twice as fast as one by one."""


@dataclass(frozen=True)
class Window:
    """Events in memory: ``numbers`` i64[E] in the dataset, ascending, the rest as in `Events`."""

    numbers: np.ndarray
    node_ptr: np.ndarray
    edge_ptr: np.ndarray
    x: np.ndarray
    y: np.ndarray
    degree: np.ndarray
    src: np.ndarray


class Reader:
    """Reads events of ``dataset``; threads wait for each other, since they share what files are read into."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._layout: dict[tuple[int, str], tuple[np.dtype, int]] = {}
        self._room: dict[tuple[str, np.dtype], np.ndarray] = {}
        self._lock = Lock()

    def sizes(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return hits and edges of the events ``numbers`` (ascending), i32[E] each.

        Raises TrackingError for an event without hits or edges.
        """
        hits, edges = np.empty(len(numbers), np.int32), np.empty(len(numbers), np.int32)
        begins = np.searchsorted(numbers, self._dataset.first)
        for shard in range(len(self._dataset.meta.shards)):
            here = slice(begins[shard], begins[shard + 1])
            local = numbers[here] - self._dataset.first[shard]
            if len(local):
                for name, values in (("node_ptr", hits), ("edge_ptr", edges)):
                    pointer = self._read(shard, name, 0, self._dataset.meta.shards[shard].events + 1)
                    sizes = np.diff(pointer)[local]
                    if sizes.min() < 1:
                        self._refuse(shard, int(local[np.argmin(sizes)]))
                    values[here] = sizes
        return hits, edges

    def window(self, numbers: np.ndarray, hits: np.ndarray, edges: np.ndarray) -> Window:
        """Return the events ``numbers`` (ascending), which have so many ``hits`` and ``edges``.

        Raises TrackingError for a shard that is gone or cut off, and for an event that cannot be trained with.
        """
        node_ptr = np.concatenate([[0], np.cumsum(hits, dtype=np.int64)])
        edge_ptr = np.concatenate([[0], np.cumsum(edges, dtype=np.int64)])
        shards = np.searchsorted(self._dataset.first, numbers, side="right") - 1
        types = {
            name: np.result_type(np.uint8, *(self._described(int(one), name)[0] for one in np.unique(shards)))
            for name in ("degree", "src")
        }
        window = Window(
            numbers=numbers,
            node_ptr=node_ptr,
            edge_ptr=edge_ptr,
            x=np.empty((node_ptr[-1], len(FEATURES)), np.float32),
            y=np.empty(node_ptr[-1], np.uint8),
            degree=np.empty(node_ptr[-1], types["degree"]),
            src=np.empty(edge_ptr[-1], types["src"]),
        )
        pieces = self._pieces(numbers, shards)
        for number, piece in enumerate(pieces):
            ahead = pieces[number + AHEAD_PIECES :][:1] if number else pieces[: AHEAD_PIECES + 1]
            with self._lock:
                for one in ahead:
                    self._announce(numbers, *one)
                self._fill(window, *piece)
        return window

    def _pieces(self, numbers: np.ndarray, shards: np.ndarray) -> list[tuple[int, int, int]]:
        """Return first and last place in ``numbers``, and shard, of what is read at a time."""
        pieces, first = [], 0
        while first < len(numbers):
            shard = int(shards[first])
            end = min(numbers[first] + PIECE_EVENTS, self._dataset.first[shard + 1])
            last = int(np.searchsorted(numbers, end))
            pieces.append((first, last, shard))
            first = last
        return pieces

    def _announce(self, numbers: np.ndarray, first: int, last: int, shard: int) -> None:
        """Let the system read a piece from the disk while those before it are copied."""
        begin, end = (int(numbers[at] - self._dataset.first[shard]) for at in (first, last - 1))
        for pointer, names in (("node_ptr", ("x", "y", "degree")), ("edge_ptr", ("src",))):
            row, row_after = (int(self._read(shard, pointer, at, at + 1)[0]) for at in (begin, end + 1))
            for name in names:
                kind, offset = self._described(shard, name)
                row_bytes = kind.itemsize * (len(FEATURES) if name == "x" else 1)
                # A file that is gone, or a pointer that is wrong, is told when it is read.
                with (
                    suppress(OSError, OverflowError),
                    self._path(shard, name).open("rb", buffering=0) as file,
                ):
                    _advise(file.fileno(), offset + row * row_bytes, (row_after - row) * row_bytes)

    def _fill(self, window: Window, first: int, last: int, shard: int) -> None:
        begin = self._dataset.first[shard]
        local = window.numbers[first:last] - begin
        rows = int(local[0]), int(local[-1]) + 2
        node_ptr = self._read(shard, "node_ptr", *rows)
        edge_ptr = self._read(shard, "edge_ptr", *rows)
        x, y, degree = (self._read(shard, name, node_ptr[0], node_ptr[-1]) for name in ("x", "y", "degree"))
        src = self._read(shard, "src", edge_ptr[0], edge_ptr[-1])
        done = gather(
            node_ptr, edge_ptr, x.view(np.uint32), y, degree, src, local - local[0],
            first, window.node_ptr, window.edge_ptr, window.x.reshape(-1).view(np.uint32), window.y,
            window.degree, window.src, len(FEATURES),
        )  # fmt: skip
        if done < len(local):
            self._refuse(shard, int(local[done]))

    def _refuse(self, shard: int, local: int) -> None:
        where = f"{self._dataset.directory / self._dataset.meta.shards[shard].name}"
        number = int(self._dataset.first[shard]) + local
        event = self._dataset.shard(shard).take(local, local + 1)
        check_events(event, where, are_classes_needed=False, first_event=number)
        raise TrackingError(f"{where}: event {number}: changed while it was read. Start again.")

    def _read(self, shard: int, name: str, first: int, last: int) -> np.ndarray:
        """Return rows ``first`` to before ``last`` of an array, flat; overwritten when such an array is read again."""
        kind, offset = self._described(shard, name)
        path = self._path(shard, name)
        width = len(FEATURES) if name == "x" else 1
        count = int(last - first) * width
        rows = shape_of(name, self._dataset.meta.shards[shard])[0]
        if not 0 <= first <= last <= rows:
            pointer = "edge_ptr" if name == "src" else "node_ptr"
            raise TrackingError(
                f"{path.parent}: field {pointer}: says rows {first} to {last} of {name}, which has {rows}."
            )
        room = self._room.get((name, kind))
        if room is None or len(room) < count:
            room = self._room[name, kind] = np.empty(count + count // 4, kind)
        values = room[:count]
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(offset + int(first) * width * kind.itemsize)
                view, done = memoryview(values.data).cast("B") if count else memoryview(b""), 0
                while done < len(view):
                    some = file.readinto(view[done:])
                    if not some:
                        raise TrackingError(
                            f"{path}: truncated, ends before row {last}. Copy or make it again."
                        )
                    done += some
        except FileNotFoundError:
            raise TrackingError(
                f"{path}: is missing; it was there when the dataset was opened. Copy or make it again."
            ) from None
        except OSError as error:
            raise TrackingError(f"{path}: cannot be read: {error.strerror or error}.") from error
        return values

    def _path(self, shard: int, name: str) -> Path:
        return self._dataset.directory / self._dataset.meta.shards[shard].name / f"{name}.npy"

    def _described(self, shard: int, name: str) -> tuple[np.dtype, int]:
        """Type of an array, and where in its file it begins."""
        if (shard, name) not in self._layout:
            array = open_array(self._dataset.directory, self._dataset.meta.shards[shard], name)
            assert isinstance(array, np.memmap)
            self._layout[shard, name] = array.dtype, array.offset
        return self._layout[shard, name]


def _advise(file: int, offset: int, count: int) -> None:
    """Say that ``count`` bytes from ``offset`` on will be read; nothing where the system has no such call."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, offset, count, os.POSIX_FADV_WILLNEED)
