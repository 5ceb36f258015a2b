"""Datasets: directories of shards, each a set of memory-mapped arrays, with splits and a loader of batches."""

from importlib import import_module
from typing import Any

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
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
