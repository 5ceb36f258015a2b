"""What a training leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd_tracking.training.checkpoint import BEST, LAST, find_checkpoint, read_checkpoint


@dataclass(frozen=True)
class TrainResult:
    """``history``: a report for each epoch (``val_auc``, ``val_loss``, ``train_loss``, ``events_per_s``, ...).

    ``ended``: "finished", or "settled" (no better for ``patience`` epochs). Both checkpoints are in ``directory``.
    """

    directory: Path
    history: list[dict[str, Any]]
    ended: str
    seconds: float
    workers: int | None

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.directory / BEST

    @property
    def last_checkpoint(self) -> Path:
        """The newest checkpoint, from which ``resume=True`` goes on."""
        return self.directory / LAST

    @property
    def best(self) -> dict[str, Any]:
        """The report of the best epoch."""
        return max(self.history, key=lambda one: -1.0 if one["val_auc"] is None else one["val_auc"])

    @property
    def summary(self) -> str:
        """How many epochs there are, and what the best one came to."""
        if not self.history:
            return "no epoch done"
        best = self.best
        auc = "none" if best["val_auc"] is None else f"{best['val_auc']:.4f}"
        done = f"{len(self.history)} epoch{'' if len(self.history) == 1 else 's'}"
        return f"{done} in {self.seconds:.0f} s, best AUC {auc} in epoch {best['epoch']}"

    def __repr__(self) -> str:
        return f"TrainResult({str(self.directory)!r}: {self.summary})"


class TrainingStopped(KeyboardInterrupt):
    """A training was interrupted; its checkpoint is in ``directory``, None if there was no time for one."""

    def __init__(self, directory: Path | None) -> None:
        super().__init__(
            "Stopped, and nothing of it is kept."
            if directory is None
            else f"Stopped. The checkpoint is in {directory}; go on with directory={str(directory)!r}, resume=True."
        )
        self.directory = directory

    def _render_traceback_(self) -> list[str]:
        # IPython shows this instead of where the interrupt was.
        return [str(self)]


def result_of(directory: Path, ended: str, seconds: float, workers: int | None) -> TrainResult:
    """Return the result of the training whose last checkpoint is in ``directory``."""
    history = read_checkpoint(find_checkpoint(directory, LAST))["progress"]["history"]
    return TrainResult(directory, history, ended, seconds, workers)
