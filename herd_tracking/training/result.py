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

    def __repr__(self) -> str:
        if not self.history:
            return f"TrainResult({str(self.directory)!r}: no epoch done)"
        best = self.best
        return (
            f"TrainResult({str(self.directory)!r}: {len(self.history)} epochs in {self.seconds:.0f} s, "
            f"best AUC {best['val_auc']:.4f} in epoch {best['epoch']})"
        )


class TrainingStopped(KeyboardInterrupt):
    """A training was interrupted, and has written a checkpoint in ``directory``."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"Stopped. The checkpoint is in {directory}; go on with directory={str(directory)!r}, resume=True."
        )
        self.directory = directory

    def _render_traceback_(self) -> list[str]:
        # IPython shows this instead of where the interrupt was.
        return [str(self)]


def result_of(directory: Path, ended: str, seconds: float, workers: int | None) -> TrainResult:
    """Return the result of the training whose last checkpoint is in ``directory``."""
    history = read_checkpoint(find_checkpoint(directory, LAST))["progress"]["history"]
    return TrainResult(directory, history, ended, seconds, workers)
