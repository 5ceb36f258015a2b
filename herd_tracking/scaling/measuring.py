"""Measures how the training scales: one short training for each number of workers, on the attached cluster."""

import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from herd_tracking.dataset import Dataset
from herd_tracking.events import TrackingError
from herd_tracking.scaling.points import KINDS, Point, Scaling, point_of
from herd_tracking.scaling.showing import figure
from herd_tracking.training import train
from herd_tracking.training.cluster import connection
from herd_tracking.training.result import TrainingStopped

_REPORTS = 8
"""Reports of a training: the first one is not counted."""


def scale(
    dataset: Dataset | str | Path,
    workers: Sequence[int] = (1, 2, 4),
    *,
    preset: str = "slides",
    batch_events: int = 256,
    limit_events: int = 20_000,
    precision: str = "auto",
    cpus_per_worker: int | None = None,
    gpus_per_worker: float | None = None,
    directory: str | Path = "scaling",
    on_report: Callable[[dict[str, Any]], None] | None = None,
) -> Scaling:
    """Measure strong and weak scaling for each number of ``workers``; write ``scaling.json`` and ``scaling.png``.

    Strong: ``limit_events`` events in steps of ``batch_events`` of all workers. Weak: so many for each worker (as far
    as the dataset reaches). One epoch each; what is measured are its steps, without start and validation. ``on_report``
    gets all reports, with ``kind``. Raises TrackingError, also if there are too few events for ten steps.
    """
    numbers = sorted(set(workers))
    opened = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    place = Path(directory).resolve()
    available = len(opened.split("train"))
    _check(numbers, limit_events, batch_events, available)
    points: list[Point] = []
    with _whole(), connection(), tempfile.TemporaryDirectory(dir=_made(place), prefix=".runs-") as runs:
        for kind in KINDS:
            for number in numbers:
                if kind == "weak" and number == 1 and points and points[0].workers == 1:
                    # One worker does the same for both.
                    points.append(Point(**{**vars(points[0]), "kind": "weak"}))
                    continue
                more = number if kind == "weak" else 1
                reports: list[dict[str, Any]] = []
                events = min(limit_events * more, available)
                steps = -(-events // (batch_events * more))
                train(
                    opened,
                    preset,
                    epochs=1,
                    batch_events=batch_events * more,
                    limit_events=events,
                    precision=precision,
                    workers=number,
                    cpus_per_worker=cpus_per_worker,
                    gpus_per_worker=gpus_per_worker,
                    directory=Path(runs, f"{kind}-{number}"),
                    report_steps=max(1, steps // _REPORTS),
                    checkpoint_seconds=1e9,
                    on_report=_both(reports, on_report, {"kind": kind, "of": numbers}),
                    live="none" if on_report else "auto",
                )
                points.append(point_of(kind, number, batch_events * more, events, reports))
    scaling = Scaling(
        points, _about(opened, preset, reports), [place / "scaling.json", place / "scaling.png"]
    )
    try:
        scaling.files[0].write_text(json.dumps(scaling.as_dict(), indent=1), encoding="utf-8")
        figure(scaling).savefig(scaling.files[1], dpi=150)
    except OSError as error:
        raise TrackingError(f"{place}: cannot be written: {error.strerror or error}.") from None
    return scaling


@contextmanager
def _whole() -> Iterator[None]:
    """Say of a measurement that is interrupted that none of it is kept, not even its trainings' checkpoints."""
    try:
        yield
    except TrainingStopped:
        raise TrainingStopped(None) from None


def _check(numbers: Sequence[int], limit_events: int, batch_events: int, available: int) -> None:
    if not numbers or numbers[0] < 1:
        raise TrackingError(f"workers: {list(numbers)}; allowed are numbers from 1 on.")
    if min(limit_events, available) < 10 * batch_events:
        raise TrackingError(
            f"limit_events: {limit_events} of {available} in the dataset are less than ten steps of {batch_events}; "
            "take smaller steps, or a larger dataset."
        )


def _made(place: Path) -> Path:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(f"directory: {place}: cannot be made: {error.strerror or error}.") from None
    return place


def _both(
    kept: list[dict[str, Any]], on_report: Callable[[dict[str, Any]], None] | None, more: dict[str, Any]
) -> Callable[[dict[str, Any]], None]:
    def take(report: dict[str, Any]) -> None:
        kept.append(report)
        if on_report:
            on_report({**report, **more})

    return take


def _about(dataset: Dataset, preset: str, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    import ray
    import torch

    return {
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "host": platform.node(),
        "load_average": round(os.getloadavg()[0], 2),
        "preset": preset,
        "precision": next((one["precision"] for one in reports if "precision" in one), None),
        "dataset": str(dataset.directory),
        "torch": torch.__version__,
        "ray": ray.__version__,
    }
