"""What a training has reported so far, small enough to be sent to a browser again and again."""

import math
from dataclasses import dataclass, field
from typing import Any

MOST_STEPS = 400
"""Points of a curve; when there are twice as many, neighbours are averaged."""
_STEP_KEYS = ("epoch", "step", "loss", "events_per_s", "learning_rate")


def is_epoch(report: dict[str, Any]) -> bool:
    """Tell whether ``report`` ends an epoch: it has a validation value."""
    return "epoch" in report and any(key.startswith("val_") for key in report)


@dataclass
class Story:
    """``steps``: within epochs; ``epochs``: at the end of each; ``said``: the newest sentence; ``workers`` now."""

    steps: list[dict[str, float]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)
    said: str = ""
    workers: int | None = None
    total_epochs: int | None = None

    def take(self, report: dict[str, Any]) -> None:
        """Add a report. What is not a finite number is no point of a curve; a repeated epoch replaces the older one."""
        if "message" in report:
            self.said = str(report["message"])[:500]
        if isinstance(report.get("workers"), int):
            self.workers = report["workers"]
        if isinstance(report.get("epochs"), int):
            self.total_epochs = report["epochs"]
        numbers = {key: float(value) for key, value in report.items() if _is_number(value)}
        if is_epoch(report):
            self.epochs = [one for one in self.epochs if one["epoch"] < numbers["epoch"]] + [numbers]
        elif "step" in numbers and "loss" in numbers:
            # A training that was resumed goes over some steps again.
            self.steps = [one for one in self.steps if one["step"] < numbers["step"]]
            self.steps.append({key: numbers[key] for key in _STEP_KEYS if key in numbers})
            if len(self.steps) >= 2 * MOST_STEPS:
                self.steps = [_mean(pair) for pair in zip(self.steps[::2], self.steps[1::2], strict=False)]

    def best_auc(self) -> float | None:
        """Return the best validation AUC so far."""
        return max((one["val_auc"] for one in self.epochs if "val_auc" in one), default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return it for a browser."""
        return {
            "steps": self.steps,
            "epochs": self.epochs,
            "said": self.said,
            "workers": self.workers,
            "total_epochs": self.total_epochs,
        }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _mean(pair: tuple[dict[str, float], dict[str, float]]) -> dict[str, float]:
    """Return one point for two: the later place, the mean values."""
    first, second = pair
    return {
        key: value if key in ("step", "epoch") else (value + first.get(key, value)) / 2
        for key, value in second.items()
    }
