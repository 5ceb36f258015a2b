"""Reads events from ROOT by way of uproot: a flat TTree or RNTuple, an entry for each event, lists for its hits."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from herd_tracking.dataset.columns import Column, names_in
from herd_tracking.events import TrackingError

ENDINGS = (".root",)
KINDS = ("TTree", "ROOT::RNTuple")


def count_root(path: Path, tree: str | None = None) -> int:
    """Return how many events ``path`` has. Raises TrackingError with the reason if it cannot be read."""
    with _opened(path) as file:
        return int(_tree(file, path, tree).num_entries)


def read_root(
    path: Path, names: Mapping[str, str], events: int, tree: str | None = None
) -> Iterator[tuple[str, dict[str, Column]]]:
    """Yield where it stands, and columns, of ``events`` entries at a time; ``names``: as in `names_in`.

    ``tree`` None: the only one in the file. Raises TrackingError for a file that cannot be read, for branches that are
    missing or hold something else than numbers.
    """
    with _opened(path) as file:
        entries = _tree(file, path, tree)
        where = f"{path}, tree {entries.name}"
        found = names_in(entries.keys(recursive=True, full_paths=False), names, where)
        branches = list(found.values())
        for first in range(0, int(entries.num_entries), events):
            try:
                arrays = entries.arrays(branches, entry_start=first, entry_stop=first + events, library="ak")
            except _errors() as error:
                raise TrackingError(f"{where}: truncated or damaged: {error}") from error
            yield where, {column: _column(arrays[name], where, name) for column, name in found.items()}


def _errors() -> tuple[type[Exception], ...]:
    import zlib

    import uproot

    # What uproot lets through when bytes are missing or are none of ROOT's.
    return (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        NotImplementedError,
        AssertionError,
        zlib.error,
        uproot.deserialization.DeserializationError,
    )


def _opened(path: Path):
    import uproot

    try:
        return uproot.open(path)
    except FileNotFoundError:
        raise TrackingError(f"{path}: there is no such file.") from None
    except _errors() as error:
        reason = " ".join(str(error).split())
        raise TrackingError(f"{path}: no ROOT file, or a truncated one: {reason}") from error


def _tree(file, path: Path, tree: str | None):
    trees = sorted({key.partition(";")[0] for key, kind in file.classnames().items() if kind in KINDS})
    if tree is not None and tree not in trees:
        raise TrackingError(f"{path}: has no tree {tree}; it has {', '.join(trees) or 'none'}.")
    if tree is None and len(trees) != 1:
        raise TrackingError(
            f"{path}: has {len(trees)} trees ({', '.join(trees) or 'none'}); say which one with --tree."
        )
    return file[tree or trees[0]]


def _column(array, where: str, name: str) -> Column:
    import awkward

    if array.ndim > 2:
        raise TrackingError(
            f"{where}: branch {name}: is {array.type}; only numbers and lists of them are allowed."
        )
    counts = None
    if array.ndim == 2:
        counts = awkward.to_numpy(awkward.num(array, axis=1)).astype(np.int64)
        array = awkward.flatten(array, axis=1)
    try:
        return Column(awkward.to_numpy(array, allow_missing=False), counts)
    except (ValueError, TypeError) as error:
        raise TrackingError(f"{where}: branch {name}: holds no numbers ({error}).") from error
