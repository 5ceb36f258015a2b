"""What a training is asked to do: the numbers that its result depends on, and how often it says something."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from herd_tracking.events import TrackingError
from herd_tracking.model.config import ModelConfig, preset

PRECISIONS = ("auto", "fp32", "bf16")
_MAY_CHANGE = {"epochs", "patience", "report_steps", "checkpoint_seconds"}
"""What a training that is resumed may have otherwise than before: none of it changes the steps that were done."""


@dataclass(frozen=True)
class Settings:
    """``batch_events``: events of one step, of all workers together. ``limit_events``: train on the first so many
    events of the split (and validate on a fifth of that number). ``patience``: stop after so many epochs without a
    better validation AUC, None: never. ``warmup_steps``: the learning rate grows to ``learning_rate`` over so many.
    """

    preset: str = "slides"
    epochs: int = 10
    batch_events: int = 256
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    precision: str = "auto"
    seed: int = 0
    patience: int | None = None
    limit_events: int | None = None
    report_steps: int = 10
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        preset(self.preset)
        for name in ("epochs", "batch_events", "report_steps"):
            _at_least(name, getattr(self, name), 1)
        for name in ("patience", "limit_events"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        _at_least("warmup_steps", self.warmup_steps, 0)
        _at_least("seed", self.seed, 0)
        if not 0 < self.learning_rate < 1:
            raise TrackingError(
                f"training: learning_rate is {self.learning_rate!r}; allowed is more than 0, less than 1"
            )
        if self.checkpoint_seconds < 0:
            raise TrackingError(
                f"training: checkpoint_seconds is {self.checkpoint_seconds!r}; allowed is 0 and more"
            )
        if self.precision not in PRECISIONS:
            raise TrackingError(
                f"training: precision is {self.precision!r}; allowed are {', '.join(PRECISIONS)}"
            )

    @property
    def model(self) -> ModelConfig:
        """The network that the preset names."""
        return preset(self.preset)

    @property
    def limit_validation(self) -> int | None:
        """As many validation events as belong to ``limit_events``: the split is 75 to 15."""
        return None if self.limit_events is None else max(1, self.limit_events // 5)

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of step ``step`` (the first is 0)."""
        if step >= self.warmup_steps:
            return self.learning_rate
        return self.learning_rate * (step + 1) / self.warmup_steps

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def check_resumable(before: dict[str, Any], now: Settings, where: str) -> None:
    """Raise TrackingError if a training with settings ``before`` cannot go on with ``now``: it would be another one."""
    names = [field.name for field in fields(Settings) if field.name not in _MAY_CHANGE]
    differ = [name for name in names if before.get(name) != getattr(now, name)]
    if differ:
        told = ", ".join(f"{name} {before.get(name)!r} (now {getattr(now, name)!r})" for name in differ)
        raise TrackingError(
            f"{where}: was trained with {told}. To go on, give the same; to begin anew, choose another directory."
        )


def _at_least(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise TrackingError(f"training: {name} is {value!r}; allowed are whole numbers from {least} on")
