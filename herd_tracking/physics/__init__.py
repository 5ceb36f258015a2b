"""From scores of hits to tracks, and from tracks to numbers, pictures and a report."""

from typing import Any

from herd_tracking.lazy import attribute

_HOME = {
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

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the fit compiles, and the figures take a second to load."""
    return attribute(__name__, _HOME, name)
