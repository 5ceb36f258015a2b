"""Makes a dataset of files with events: Parquet or ROOT, looked through hit by hit, with graphs built anew."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from herd_tracking.dataset import parquet, root
from herd_tracking.dataset.columns import Column, to_events
from herd_tracking.dataset.store import Dataset, picked
from herd_tracking.dataset.writer import DatasetWriter
from herd_tracking.events import Events, TrackingError
from herd_tracking.geometry import FIT, Geometry

EVENTS_AT_A_TIME = 8192


@dataclass(frozen=True)
class Imported:
    """The dataset that was made, and how many events were left out since they had no hits or no edges."""

    dataset: Dataset
    left_out: int


def import_dataset(
    sources: Sequence[str | Path],
    directory: str | Path,
    *,
    tree: str | None = None,
    names: Mapping[str, str] | None = None,
    leave_out_empty: bool = False,
    is_overwritten: bool = False,
    geometry: Geometry = FIT,
    progress: bool = True,
) -> Imported:
    """Make a dataset in ``directory`` of the events of ``sources``, whose columns are those of `columns`.

    ``tree``: the tree of ROOT files, None: the only one. ``names``: how columns are called in the files, where they are
    not called as usual. An event without hits or edges is refused, or counted and left out if ``leave_out_empty``.
    ``geometry``: the one that the planes are of. Raises TrackingError that names file, event and column; nothing is
    left of the dataset then.
    """
    from herd_tracking.live.bar import event_bar

    paths = [Path(source) for source in sources]
    if not paths:
        raise TrackingError("sources: none given; allowed are Parquet and ROOT files.")
    events = sum(_count(path, tree) for path in paths)
    meta = {
        "source": f"imported from {', '.join(path.name for path in paths)}",
        "particles": "as imported",
        "knobs": {"names": dict(names or {}), "leave_out_empty": leave_out_empty},
        "geometry": asdict(geometry),
        "geometry_hash": geometry.hash,
        "made_by": f"rayster {version('rayster')}",
    }
    first, left_out = 0, 0
    bar = event_bar("importing", events, progress)
    with bar as advance, DatasetWriter(directory, meta, is_overwritten) as writer:
        seen = _Ids()
        for path in paths:
            for where, table in _read(path, names or {}, tree):
                piece = to_events(table, first, where, geometry)
                seen.add(piece.event_id, where, first)
                kept = _with_edges(piece) if leave_out_empty else piece
                left_out += len(piece) - len(kept)
                if len(kept):
                    writer.append(kept, where, first)
                first += len(piece)
                advance(len(piece))
    return Imported(Dataset.open(directory), left_out)


class _Ids:
    """The ids so far: one that comes twice would let an event be trained with and tested with."""

    def __init__(self) -> None:
        self._seen: list[np.ndarray] = []
        self._most = -1

    def add(self, event_id: np.ndarray, where: str, first_event: int) -> None:
        """Remember ``event_id`` u64[E]. Raises TrackingError for the first one that was there before."""
        is_rising = bool(np.all(event_id[1:] > event_id[:-1])) and int(event_id[0]) > self._most
        self._seen.append(event_id)
        if not is_rising:
            together = np.concatenate(self._seen)
            _, index, count = np.unique(together, return_index=True, return_counts=True)
            if np.any(count > 1):
                again = together[index[np.argmax(count > 1)]]
                raise TrackingError(
                    f"{where}: column event_id: {again} comes again in the events from {first_event} on; "
                    "allowed are unique ids. Import files of different runs with ids that tell the runs apart."
                )
        self._most = max(self._most, int(event_id.max()))


def _count(path: Path, tree: str | None) -> int:
    if path.suffix in parquet.ENDINGS:
        return parquet.count_parquet(path)
    if path.suffix in root.ENDINGS:
        return root.count_root(path, tree)
    allowed = ", ".join((*parquet.ENDINGS, *root.ENDINGS))
    raise TrackingError(f"{path}: ends with {path.suffix!r}; allowed are {allowed}.")


def _read(path: Path, names: Mapping[str, str], tree: str | None) -> Iterator[tuple[str, dict[str, Column]]]:
    if path.suffix in parquet.ENDINGS:
        return parquet.read_parquet(path, names, EVENTS_AT_A_TIME)
    return root.read_root(path, names, EVENTS_AT_A_TIME, tree)


def _with_edges(events: Events) -> Events:
    has_edges = np.diff(events.edge_ptr) > 0
    return events if np.all(has_edges) else picked(events, np.flatnonzero(has_edges))
