"""Strong and weak scaling of the training on a cluster, measured: how much faster, and where the time goes.

>>> scaling = scale("toy", [1, 2, 4], directory="scaling")   # writes scaling.json and scaling.png
"""

from importlib import import_module
from typing import Any

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
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
