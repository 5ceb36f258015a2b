"""Trains the hit classifier: a plain loop in this process, or the same loop on the workers of a Ray cluster.

>>> result = train(dataset, "deep", epochs=5)                       # here
>>> result = train(dataset, "deep", epochs=5, workers=(1, 4))       # on 1 to 4 workers, as many as there are
>>> scores = score(dataset, result.best_checkpoint, "test")
"""

from typing import Any

from herd_tracking.lazy import attribute

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
    return attribute(__name__, _HOME, name)
