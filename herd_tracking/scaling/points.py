"""What was measured, and what follows from it: pure arithmetic."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["strong", "weak"]
KINDS: tuple[Kind, ...] = ("strong", "weak")
PARTS = ("data", "compute", "exchange")


@dataclass(frozen=True)
class Point:
    """One training. ``strong``: the same batches whatever the number of workers; ``weak``: they grow with that number.

    ``events_per_s`` of all workers together, ``epoch_seconds`` for ``epoch_events`` of them; ``parts``: the first
    worker's shares of the time by `PARTS` (exchange includes waiting for the others).
    """

    kind: Kind
    workers: int
    batch_events: int
    epoch_events: int
    events_per_s: float
    epoch_seconds: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Scaling:
    """All points, what they were measured on, and the files that say so."""

    points: list[Point]
    about: dict[str, Any]
    files: list[Path] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Point]:
        """Return the points of a kind, by workers."""
        return sorted((one for one in self.points if one.kind == kind), key=lambda one: one.workers)

    def as_dict(self) -> dict[str, Any]:
        """Return it for a file, with what follows from the numbers."""
        rows = [
            {**asdict(one), "speedup": speed, "efficiency": share}
            for kind in KINDS
            for one, speed, share in zip(
                self.of(kind), speedups(self.of(kind)), efficiencies(self.of(kind)), strict=True
            )
        ]
        return {"about": self.about, "points": rows}


def speedups(points: Sequence[Point]) -> list[float]:
    """Return events/s of each point over that of the one with the fewest workers."""
    first = points[0].events_per_s if points else 1.0
    return [one.events_per_s / first for one in points]


def efficiencies(points: Sequence[Point]) -> list[float]:
    """Return events/s per worker, over that of the point with the fewest workers: 1 is ideal, strong or weak."""
    first = points[0].events_per_s / points[0].workers if points else 1.0
    return [one.events_per_s / one.workers / first for one in points]


def point_of(
    kind: Kind, workers: int, batch_events: int, epoch_events: int, reports: Iterable[Mapping[str, Any]]
) -> Point:
    """Return the point that ``reports`` of steps give: the first of each start is left out, it has the warm-up in it.

    Raises ValueError if there are not two reports.
    """
    steps = [one for one in reports if "loss" in one and "seconds" in one][1:]
    seconds = sum(one["seconds"] for one in steps)
    if not steps or seconds <= 0:
        raise ValueError("a point needs two reports of steps at least")
    events_per_s = sum(one["events_per_s"] * one["seconds"] for one in steps) / seconds
    spent = {name: sum(one[f"{name}_s"] for one in steps) for name in PARTS}
    total = sum(spent.values()) or 1.0
    return Point(
        kind=kind,
        workers=workers,
        batch_events=batch_events,
        epoch_events=epoch_events,
        events_per_s=events_per_s,
        epoch_seconds=epoch_events / events_per_s,
        parts={name: value / total for name, value in spent.items()},
    )
