"""Datasets: directories of shards, each a set of memory-mapped arrays, with splits and a loader of batches."""

from typing import Any

from herd_tracking.lazy import attribute

_HOME = {
    "Dataset": "store",
    "DatasetWriter": "writer",
    "Loader": "loader",
    "Meta": "meta",
    "Selection": "store",
    "check_events": "checks",
    "import_dataset": "importing",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that a dataset can be described without loading torch."""
    return attribute(__name__, _HOME, name)
