"""How far a training is: what a checkpoint keeps beside the weights, and what decides when to stop."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from herd_tracking.events import TrackingError


@dataclass
class Progress:
    """``epoch`` epochs are done, and ``batch`` steps of the next one; ``step`` steps in all.

    ``loss_sum`` over ``hits`` of the epoch under way, trained for ``seconds``. ``history``: a report for each epoch
    that is done. ``best_auc`` on validation so far, in ``best_epoch``.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: float = 0.0
    seconds: float = 0.0
    best_auc: float | None = None
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def begin_epoch(self) -> None:
        """Go on to the next epoch."""
        self.epoch += 1
        self.batch, self.loss_sum, self.hits, self.seconds = 0, 0.0, 0.0, 0.0

    def take(self, val_auc: float | None) -> bool:
        """Note the validation AUC of the epoch that has just ended; return whether it is the best so far.

        Without one (validation hits of one class only) the newest is the best.
        """
        is_best = val_auc is None or self.best_auc is None or val_auc > self.best_auc
        if is_best:
            self.best_auc, self.best_epoch = val_auc, self.epoch
        return is_best

    def is_over(self, epochs: int, patience: int | None) -> bool:
        """Return whether all epochs are done, or the last ``patience`` of them were not better than before."""
        return self.epoch >= epochs or self.has_settled(patience)

    def has_settled(self, patience: int | None) -> bool:
        """Return whether the last ``patience`` epochs were not better than one before."""
        return patience is not None and self.epoch - self.best_epoch >= patience

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Progress":
        """Return what `to_dict` gave; TrackingError for other fields."""
        names = {one.name for one in fields(cls)}
        if set(values) != names:
            raise TrackingError(
                f"checkpoint: field progress has {sorted(values)}; it must have {sorted(names)}."
            )
        return cls(**values)
