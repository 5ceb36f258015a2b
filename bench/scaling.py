"""What Ray costs: one worker of Ray Train against the plain loop, two against torchrun, all with the same loop.

`python bench/scaling.py [--quick] [--json]` simulates a toy dataset and trains preset slides on it, each way in turn,
there and back, so that whatever else the machine does hits all of them. Rates are events/s of the median report within
an epoch, without those of the first seconds: Ray is still starting processes of its own then, and a training lasts for
hours. Validation is not in them. Of the rounds the median counts, of the rates as of the shares, each of which is of
two trainings of one round.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A script's own folder comes first in the path, and there queue.py stands in the way of Python's own `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import itertools
import json
import logging
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from herd_tracking import Dataset, simulate_dataset, train
from herd_tracking.training.settings import Settings

TARGET = 0.97
SETTLING_SECONDS = 8.0
WORKER = Path(__file__).parent / "stage" / "torchrun_worker.py"
Reports = list[dict[str, Any]]


class Stage:
    """The dataset, the settings of all trainings, and a place for their runs."""

    def __init__(self, dataset: Dataset, place: Path, cores: int, quick: bool) -> None:
        self.dataset, self._place, self.cores, self._runs = dataset, place, cores, 0
        self.asked: dict[str, Any] = {
            "epochs": 1,
            "batch_events": 256,
            "limit_events": 256 * (24 if quick else 96),
            "warmup_steps": 0,
            "report_steps": 4,
            "checkpoint_seconds": 1e9,
        }

    def directory(self) -> Path:
        """Return a new directory for a run."""
        self._runs += 1
        return self._place / f"run-{self._runs}"

    def plain(self) -> Reports:
        """Train in this process, on all cores."""
        torch.set_num_threads(self.cores)
        return self._train()

    def ray(self, workers: int) -> Reports:
        """Train on Ray workers that share the cores."""
        return self._train(workers=workers, cpus_per_worker=self.cores // workers)

    def torchrun(self, workers: int) -> Reports:
        """Train by torchrun on workers that share the cores."""
        settings = json.dumps(Settings(preset="slides", **self.asked).to_dict())
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}"]
        job = [str(WORKER), settings, str(self.dataset.directory), str(self.directory())]
        done = subprocess.run(
            [*run, *job, str(self.cores // workers)],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            timeout=600,
        )
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def _train(self, **more: Any) -> Reports:
        reports: Reports = []
        train(
            self.dataset,
            "slides",
            directory=self.directory(),
            live="none",
            on_report=reports.append,
            **self.asked,
            **more,
        )
        return reports


def rate(reports: Reports) -> float:
    """Return the events/s of the median report of steps, without the first seconds; the last third at least."""
    steps = [one for one in reports if "loss" in one]
    since = list(itertools.accumulate(one["seconds"] for one in steps))
    first = min(sum(seconds <= SETTLING_SECONDS for seconds in since), 2 * len(steps) // 3)
    return statistics.median(one["events_per_s"] for one in steps[first:])


def measured(stage: Stage, rounds: int) -> dict[str, float]:
    """Return events/s of each way, and what Ray's are of the others': median, least and most of ``rounds``."""
    ways: dict[str, Callable[[], Reports]] = {
        "plain": stage.plain,
        "ray_1": lambda: stage.ray(1),
        "torchrun_2": lambda: stage.torchrun(2),
        "ray_2": lambda: stage.ray(2),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        # There and back: a machine that becomes slower or faster by and by favours none.
        for name in list(ways) if number % 2 == 0 else reversed(ways):
            found[name].append(rate(ways[name]()))
    figures = {name: statistics.median(values) for name, values in found.items()}
    for name, other in (("ray_1", "plain"), ("ray_2", "torchrun_2")):
        shares = [one / of for one, of in zip(found[name], found[other], strict=True)]
        figures[f"{name}_over_{other}"] = statistics.median(shares)
        figures[f"{name}_over_{other}_least"], figures[f"{name}_over_{other}_most"] = min(shares), max(shares)
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("training", "events/s", "Ray's share", "wanted", title=figures["machine"])
    for other, with_ray, share in (
        ("plain", "ray_1", "ray_1_over_plain"),
        ("torchrun_2", "ray_2", "ray_2_over_torchrun_2"),
    ):
        table.add_row(other, f"{figures[other]:,.0f}", "", "")
        spread = f"{figures[share]:.3f} ({figures[f'{share}_least']:.3f} to {figures[f'{share}_most']:.3f})"
        table.add_row(with_ray, f"{figures[with_ray]:,.0f}", spread, f"≥ {TARGET}")
    Console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer events and rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    import ray

    with tempfile.TemporaryDirectory() as place:
        ray.init(
            address="local",
            num_cpus=options.cores,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            events = 20_000 if options.quick else 40_000
            dataset = simulate_dataset(Path(place) / "toy", events, seed=1, progress=False)
            figures: dict[str, Any] = dict(
                measured(Stage(dataset, Path(place), options.cores, options.quick), 1 if options.quick else 3)
            )
        finally:
            ray.shutdown()
    figures["machine"] = (
        f"{options.cores} of {os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after,"
        f" torch {torch.__version__}, ray {ray.__version__}"
    )
    if options.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
