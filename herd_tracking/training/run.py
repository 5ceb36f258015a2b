"""A run: the model, its optimizer and its progress, and the directory that keeps all of that."""

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from herd_tracking.events import TrackingError
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.model.config import ModelConfig
from herd_tracking.training.checkpoint import (
    BEST,
    LAST,
    check_fits,
    load_weights,
    read_checkpoint,
    replace_file,
    write_checkpoint,
)
from herd_tracking.training.progress import Progress
from herd_tracking.training.settings import Settings, check_resumable
from herd_tracking.training.step import new_optimizer

HISTORY = "history.json"
# Torch has one stream of random numbers for a process; another thread must not take from it in between.
_SEEDING = threading.Lock()


@dataclass
class Run:
    """What is trained, on ``device``; all workers have the same."""

    settings: Settings
    model: HitClassifier
    optimizer: torch.optim.Adam
    progress: Progress
    dataset: dict[str, Any]

    @classmethod
    def new(cls, settings: Settings, dataset: dict[str, Any], device: torch.device | str = "cpu") -> "Run":
        """Return a run at its beginning; the weights depend on the seed only."""
        with _SEEDING, torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            model = HitClassifier(settings.model)
        model.to(device)
        return cls(settings, model, new_optimizer(model, settings.learning_rate), Progress(), dataset)

    def content(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        return {
            "model_config": self.model.config.to_dict(),
            "model": {name: value.detach().cpu() for name, value in self.model.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "settings": self.settings.to_dict(),
            "progress": self.progress.to_dict(),
            "dataset": self.dataset,
            "made_by": f"torch {torch.__version__}",
        }

    def take(self, found: dict[str, Any], path: Path | str) -> None:
        """Go on from the checkpoint ``found`` in ``path``. Raises TrackingError if it is of another training."""
        config = ModelConfig.from_dict(found["model_config"])
        check_fits(config, path, features=self.model.config.features, preset=self.model.config)
        check_resumable(found["settings"], self.settings, f"checkpoint: {path}")
        if found["dataset"] != self.dataset:
            raise TrackingError(
                f"checkpoint: {path}: was trained on {_told(found['dataset'])}; this is {_told(self.dataset)}. "
                "Give the same dataset, or begin anew in another directory."
            )
        if "optimizer" not in found:
            raise TrackingError(
                f"checkpoint: {path}: field optimizer is missing; it cannot be trained further."
            )
        load_weights(self.model, found["model"], path)
        self.optimizer.load_state_dict(found["optimizer"])
        self.progress = Progress.from_dict(found["progress"])

    def save(self, directory: Path, is_best: bool = False) -> None:
        """Write the checkpoint; with ``is_best`` also as the best one, and the history beside it."""
        content = self.content()
        write_checkpoint(directory / LAST, content)
        if is_best:
            write_checkpoint(directory / BEST, content)
        replace_file(directory / HISTORY, json.dumps(self.progress.history, indent=1).encode())


def latest(directory: Path) -> dict[str, Any] | None:
    """Return the checkpoint that a run in ``directory`` goes on from, None if there is none. Raises TrackingError."""
    path = directory / LAST
    return read_checkpoint(path) if path.is_file() else None


def check_directory(directory: Path, resume: bool) -> None:
    """Make ``directory``; TrackingError if it cannot be written to, or has a run that would be overwritten."""
    if (directory / LAST).exists() and not resume:
        raise TrackingError(
            f"directory: {directory} has a run. Go on with it by resume=True (--resume on the command line), or choose "
            "another directory."
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(f"directory: {directory}: cannot be made: {error.strerror or error}.") from None
    if not os.access(directory, os.W_OK):
        raise TrackingError(f"directory: {directory}: cannot be written to. Choose another one.")


def _told(dataset: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in dataset.items())
