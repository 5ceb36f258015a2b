"""A dataset as large as HERD's: making it, reading all of it, training on it, each with the memory it takes.

`python bench/whole_dataset.py [--events N | --quick] [--keep DIR] [--json]` simulates N events (4.3 million by default,
half of them electrons, half protons; 10 GB below the system's temporary directory or in DIR, which is used again if it
is there already), reads the training split once from the disk and once from the system's cache, and trains preset
slides on all of it by two Ray workers for a minute. Each stage is a process of its own, so its peak memory is its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A script's own folder comes first in the path, and there queue.py stands in the way of Python's own `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import logging
import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

EVENTS = 4_300_000
DISK_TARGET_BYTES = 12e9
MEMORY_TARGET_BYTES = 4 * 2**30
QUICK_EVENTS = 20_000
TRAINING_SECONDS, QUICK_SECONDS = 60.0, 10.0
BLOCK_BYTES = 1 << 22
Figures = dict[str, float]


def simulate(directory: Path, events: int) -> Figures:
    """Write the dataset, if it is not there; return events/s and bytes."""
    from herd_tracking import simulate_dataset

    found: Figures = {}
    if not directory.exists():
        begun = time.monotonic()
        simulate_dataset(directory, events, seed=1, particles="both", progress=False)
        found["simulated_events_per_s"] = events / (time.monotonic() - begun)
    return {**found, "disk_bytes": float(sum(path.stat().st_size for path in files(directory)))}


def files(directory: Path) -> list[Path]:
    """All files of a dataset."""
    return [path for path in directory.rglob("*") if path.is_file()]


def forget(directory: Path) -> None:
    """Let the system drop what it keeps of the files in memory."""
    for path in files(directory):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk(directory: Path, events: int) -> Figures:
    """Read the files as they are, and do nothing with them; return bytes/s."""
    forget(directory)
    begun, read, block = time.monotonic(), 0, bytearray(BLOCK_BYTES)
    for path in files(directory):
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(block):
                read += count
    return {"disk_bytes_per_s": read / (time.monotonic() - begun)}


def load(directory: Path, events: int) -> Figures:
    """Read the training split from the disk, and again from memory where it fits; return events/s of both."""
    from herd_tracking import Dataset, Loader

    forget(directory)
    loader = Loader(Dataset.open(directory), "train", 256)
    found: Figures = {}
    for epoch, name in enumerate(("read_events_per_s", "read_again_events_per_s")):
        loader.set_epoch(epoch)
        begun = time.monotonic()
        count = sum(len(batch.event) for batch in loader)
        found[name] = count / (time.monotonic() - begun)
    return {**found, "read_events": float(count)}


def train(directory: Path, events: int) -> Figures:
    """Train by two Ray workers for a minute; return the peak of the larger one, and the seconds to the first report."""
    import psutil
    import ray

    from herd_tracking import train as train_on
    from herd_tracking.training.result import TrainingStopped

    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    seconds = TRAINING_SECONDS if events > QUICK_EVENTS else QUICK_SECONDS
    peak, is_over, seen, begun = [0], threading.Event(), [0.0, 0.0], time.monotonic()

    def watch() -> None:
        while not is_over.wait(0.5):
            for process in psutil.process_iter(["name"]):
                if process.info["name"].startswith("ray::RayTrainWo"):
                    peak[0] = max(peak[0], _peak_bytes(process.pid))

    def on_report(report: dict[str, Any]) -> None:
        if "loss" in report:
            seen[0] = seen[0] or time.monotonic() - begun
            seen[1] = report["step"]
            if time.monotonic() - begun - seen[0] > seconds:
                os.kill(os.getpid(), 2)

    threading.Thread(target=watch, daemon=True).start()
    with tempfile.TemporaryDirectory() as runs:
        try:
            train_on(
                directory,
                "slides",
                workers=2,
                cpus_per_worker=1,
                directory=runs,
                live="none",
                on_report=on_report,
            )
        except TrainingStopped:
            pass
        finally:
            is_over.set()
            ray.shutdown()
    return {"worker_peak_bytes": float(peak[0]), "first_report_s": seen[0], "steps": seen[1]}


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had at once; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


STAGES: dict[str, Callable[[Path, int], Figures]] = {
    "simulate": simulate,
    "disk": disk,
    "load": load,
    "train": train,
}


def staged(name: str, directory: Path, events: int) -> Figures:
    """Do a stage in a process of its own; return its figures, with its peak memory."""
    command = [sys.executable, __file__, "--stage", name, "--events", str(events), "--keep", str(directory)]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, timeout=1800)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("of all events", "", "allowed", title=figures["machine"])
    if "simulated_events_per_s" in figures:
        table.add_row("simulation, events/s", f"{figures['simulated_events_per_s']:,.0f}", "")
    table.add_row("on disk, GB", f"{figures['disk_bytes'] / 1e9:.2f}", f"≤ {DISK_TARGET_BYTES / 1e9:.0f}")
    table.add_row("the disk alone, MB/s", f"{figures['disk_bytes_per_s'] / 1e6:,.0f}", "")
    per_event = figures["disk_bytes"] / figures["events"]
    for key, name in (("read_events_per_s", "first read"), ("read_again_events_per_s", "second read")):
        rate = figures[key]
        table.add_row(f"{name}, events/s (MB/s)", f"{rate:,.0f} ({rate * per_event / 1e6:,.0f})", "")
    limit = f"≤ {MEMORY_TARGET_BYTES / 2**20:,.0f}"
    table.add_row("peak of the reader, MiB", f"{figures['load_peak_bytes'] / 2**20:,.0f}", limit)
    table.add_row(
        "peak of a Ray worker in training, MiB", f"{figures['worker_peak_bytes'] / 2**20:,.0f}", limit
    )
    table.add_row("seconds to the first report", f"{figures['first_report_s']:.0f}", "")
    Console().print(table)


def main() -> None:
    """Measure and print; with --stage do one stage and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--quick", action="store_true", help="20,000 events, and a training of seconds")
    parser.add_argument("--keep", type=Path, help="where the dataset is, or stays")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.events = QUICK_EVENTS
    if options.stage:
        figures = STAGES[options.stage](options.keep, options.events)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({**figures, f"{options.stage}_peak_bytes": peak}))
        return
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        directory = options.keep or Path(place) / "whole"
        found: dict[str, Any] = {"events": options.events}
        for name in STAGES:
            found.update(staged(name, directory, options.events))
    found["machine"] = f"{os.cpu_count()} cores, load {load_before:.1f} before"
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
