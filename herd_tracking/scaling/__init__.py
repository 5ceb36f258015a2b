"""Strong and weak scaling of the training on a cluster, measured: how much faster, and where the time goes.

>>> scaling = scale("toy", [1, 2, 4], directory="scaling")   # writes scaling.json and scaling.png
"""

from typing import Any

from herd_tracking.lazy import attribute

_HOME = {
    "Point": "points",
    "Scaling": "points",
    "scale": "measuring",
    "table": "showing",
    "figure": "showing",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing else."""
    return attribute(__name__, _HOME, name)
