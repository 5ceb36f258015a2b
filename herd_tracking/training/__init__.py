"""Trains the hit classifier: a plain loop in this process, or the same loop on the workers of a Ray cluster.

>>> result = train(dataset, "deep", epochs=5)                       # here
>>> result = train(dataset, "deep", epochs=5, workers=(1, 4))       # on 1 to 4 workers, as many as there are
>>> scores = score(dataset, result.best_checkpoint, "test")
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Settings": "settings",
    "TrainResult": "result",
    "load_checkpoint": "checkpoint",
    "score": "scoring",
    "train": "api",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that settings can be checked without loading torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
