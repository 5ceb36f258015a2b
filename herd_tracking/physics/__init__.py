"""From scores of hits to tracks, and from tracks to numbers, pictures and a report."""

import importlib
from typing import Any

_WHERE = {
    "FitSettings": "fit",
    "Tracks": "fit",
    "fit_tracks": "fit",
    "truth_scores": "baselines",
    "road_hough_scores": "baselines",
    "all_hits_scores": "baselines",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "load_evaluation": "saved",
    "event_display": "display",
    "event_picture": "picture",
    "write_report": "report",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the fit compiles, and the figures take a second to load."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
