"""What a training has reported so far, small enough to be sent to a browser again and again."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

MOST_STEPS = 400
"""Points of a curve; when there are twice as many, neighbours are averaged."""
SHOWN_MESSAGES = 4
"""Some are followed by another within a second, and by hours in which somebody asks what has happened."""
_SHOWN_STEPS = ("step", "loss", "events_per_s")
_SHOWN_EPOCHS = ("epoch", "step", "val_loss", "val_auc")
_NEWEST_WEIGHT = 0.2


def is_epoch(report: dict[str, Any]) -> bool:
    """Tell whether ``report`` ends an epoch: it has a validation value."""
    return "epoch" in report and any(key.startswith("val_") for key in report)


@dataclass
class Story:
    """``steps``: within epochs; ``epochs``: at the end of each; ``messages``: the newest, with time; ``workers`` now.

    ``all_steps``, ``all_epochs``: how many there will be; ``seconds_per_step``: lately.
    """

    steps: list[dict[str, float]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    workers: int | None = None
    all_epochs: int | None = None
    all_steps: int | None = None
    seconds_per_step: float | None = None

    def take(self, report: dict[str, Any]) -> None:
        """Add a report. What is not a finite number is no point of a curve; a repeated epoch replaces the older one."""
        if "message" in report:
            self.say(str(report["message"]))
        if isinstance(report.get("workers"), int):
            self.workers = report["workers"]
        if isinstance(report.get("epochs"), int):
            self.all_epochs = report["epochs"]
        if self.all_epochs and isinstance(report.get("steps_per_epoch"), int):
            self.all_steps = self.all_epochs * report["steps_per_epoch"]
        numbers = {key: float(value) for key, value in report.items() if _is_number(value)}
        if is_epoch(report):
            self.epochs = [one for one in self.epochs if one["epoch"] < numbers["epoch"]] + [numbers]
        elif "step" in numbers and "loss" in numbers:
            # A training that was resumed goes over some steps again.
            self.steps = [one for one in self.steps if one["step"] < numbers["step"]]
            self._take_pace(numbers)
            self.steps.append({key: numbers[key] for key in _SHOWN_STEPS if key in numbers})
            if len(self.steps) >= 2 * MOST_STEPS:
                self.steps = [_mean(pair) for pair in zip(self.steps[::2], self.steps[1::2], strict=False)]

    def say(self, text: str) -> None:
        """Add a message, with the time of day, unless it was just said; the oldest goes."""
        if self.messages and self.messages[-1].endswith(f"  {text[:500]}"):
            return
        self.messages = [*self.messages, f"{time.strftime('%H:%M:%S')}  {text[:500]}"][-SHOWN_MESSAGES:]

    def _take_pace(self, numbers: dict[str, float]) -> None:
        """Note how long steps take, as a mean in which older ones fade; ``seconds`` of a report are since the last."""
        done = numbers["step"] - (self.steps[-1]["step"] if self.steps else 0)
        if numbers.get("seconds", 0) <= 0 or done <= 0:
            return
        newest = numbers["seconds"] / done
        before = newest if self.seconds_per_step is None else self.seconds_per_step
        self.seconds_per_step = before + _NEWEST_WEIGHT * (newest - before)

    def seconds_left(self) -> float | None:
        """Return how long the steps that are left will take, without validation; None before that can be said."""
        if not self.all_steps or self.seconds_per_step is None or not self.steps:
            return None
        return max(self.all_steps - self.steps[-1]["step"], 0) * self.seconds_per_step

    def headline(self, is_over: bool = False) -> str:
        """Return how far it is: ``1 of 3 epochs · step 120 of 300 · 2 workers · about 4 min left``."""
        epochs = f"{self.epochs[-1]['epoch']:.0f}" if self.epochs else "0"
        of = f" of {self.all_epochs}" if self.all_epochs else ""
        parts = [f"{epochs}{of} epoch{'' if (self.all_epochs or int(epochs)) == 1 else 's'}"]
        if self.steps:
            of = f" of {self.all_steps:,}" if self.all_steps else ""
            parts.append(f"step {self.steps[-1]['step']:,.0f}{of}")
        if self.workers:
            parts.append(f"{self.workers} worker{'' if self.workers == 1 else 's'}")
        left = self.seconds_left()
        if left and not is_over:
            parts.append(f"about {duration(left)} left")
        return " · ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return what a browser draws: a list for each value, None where there is none, rounded to what can be seen."""
        return {
            "steps": _columns(self.steps, _SHOWN_STEPS),
            "epochs": _columns(self.epochs, _SHOWN_EPOCHS),
            "messages": self.messages,
        }


def _columns(points: list[dict[str, float]], keys: tuple[str, ...]) -> dict[str, list[float | None]]:
    return {key: [float(f"{one[key]:.5g}") if key in one else None for one in points] for key in keys}


def duration(seconds: float) -> str:
    """Return ``40 s``, ``12 min`` or ``3 h 05 min``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _mean(pair: tuple[dict[str, float], dict[str, float]]) -> dict[str, float]:
    """Return one point for two: the later place, the mean values."""
    first, second = pair
    return {
        key: value if key == "step" else (value + first.get(key, value)) / 2 for key, value in second.items()
    }
