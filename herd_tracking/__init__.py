"""Finds the primary particle's track among the hits of the HERD Fiber Tracker with a graph network.

>>> from herd_tracking import Dataset, simulate_dataset, train
>>> simulate_dataset("toy", events=20_000, seed=1)
>>> result = train(Dataset.open("toy"), preset="deep", epochs=2)
"""

from typing import Any

from herd_tracking.lazy import attribute

_HOME = {
    "Dataset": "dataset",
    "Events": "events",
    "HitClassifier": "model",
    "Knobs": "simulation",
    "Loader": "dataset",
    "PRESETS": "model",
    "TrackingError": "events",
    "baselines": "physics.baselines",
    "evaluate": "physics",
    "event_display": "physics",
    "score": "training",
    "simulate": "simulation",
    "simulate_dataset": "simulation.producing",
    "train": "training",
    "write_report": "physics",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing else."""
    return attribute(__name__, _HOME, name)
