"""Reads events from Parquet: a row for each event, list columns for its hits."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from herd_tracking.dataset.columns import Column, names_in
from herd_tracking.events import TrackingError

ENDINGS = (".parquet", ".pq")


def count_parquet(path: Path) -> int:
    """Return how many events ``path`` has. Raises TrackingError with the reason if it cannot be read."""
    return int(_opened(path).metadata.num_rows)


def read_parquet(
    path: Path, names: Mapping[str, str], events: int
) -> Iterator[tuple[str, dict[str, Column]]]:
    """Yield where it stands, and columns, of ``events`` rows at a time; ``names``: as in `names_in`.

    Raises TrackingError for a file that cannot be read, for columns that are missing, for values that are null.
    """
    import pyarrow

    file = _opened(path)
    found = names_in(file.schema_arrow.names, names, str(path))
    try:
        for batch in file.iter_batches(batch_size=events, columns=list(found.values())):
            yield (
                str(path),
                {column: _column(batch.column(name), path, name) for column, name in found.items()},
            )
    except (OSError, pyarrow.ArrowException) as error:
        raise TrackingError(f"{path}: truncated or damaged: {error}. Copy or make it again.") from error


def _opened(path: Path):
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except FileNotFoundError:
        raise TrackingError(f"{path}: there is no such file.") from None
    except (OSError, pyarrow.ArrowException) as error:
        raise TrackingError(f"{path}: no Parquet file, or a truncated one: {error}") from error


def _column(array, path: Path, name: str) -> Column:
    from pyarrow import types

    kind = array.type
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    counts = None
    if is_list and not array.null_count:
        counts = np.asarray(array.value_lengths(), dtype=np.int64)
        array = array.flatten()
    if array.null_count:
        raise TrackingError(f"{path}: column {name}: has {array.null_count} nulls; each event needs a value.")
    if not (types.is_integer(array.type) or types.is_floating(array.type) or types.is_boolean(array.type)):
        raise TrackingError(f"{path}: column {name}: is {kind}; only numbers and lists of them are allowed.")
    return Column(array.to_numpy(zero_copy_only=False), counts)
