"""Events per second in training, against PyG's DataLoader and SAGEConv: same network, same events, same run.

`python bench/training.py [--quick] [--json]` simulates a toy dataset and takes steps of 256 events (load, forward,
loss, backward, Adam), one of each variant after the other, so that whatever else the machine does hits all of them; on
a machine that is not quiet it still hits torch's own threads, which wait for each other, the hardest. Rates are of the
median step. `matmul_fraction` is what the network's matrix products alone would take at this machine's best measured
rate, over the shortest step. With a CUDA GPU the same is measured there; without one it says so.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A script's own folder comes first in the path, and there queue.py stands in the way of Python's own `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from bench.stage import pyg, roofline
from herd_tracking import Dataset, Loader, simulate_dataset
from herd_tracking.batch import Batch
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.model.compiling import GraphedGradients, compiled
from herd_tracking.model.config import PRESETS
from herd_tracking.model.gradients import accumulate_gradients, flat_gradients

TARGETS = {"fp32": 1.3, "bf16": 2.8}
LOADER_TARGET = 300_000
CUDA_TARGET = 150_000
CUDA_RATIO_TARGET = 10
Step = Callable[[], None]


def batches_of(dataset: Dataset, batch_events: int, **options: Any) -> Iterator[Batch]:
    """Full batches of the training split, epoch after epoch."""
    loader = Loader(dataset, "train", batch_events, **options)
    epoch = 0
    while True:
        loader.set_epoch(epoch)
        for batch in loader:
            if "node_budget" in options or len(batch.event) == batch_events:
                yield batch
        epoch += 1


def stepper(dataset: Dataset, name: str, precision: str, batch_events: int, device: str = "cpu") -> Step:
    """A function that loads a batch and does a step of training on it."""
    model = HitClassifier(PRESETS[name], precision).to(device)
    flat = flat_gradients(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    batches = batches_of(dataset, batch_events, device=device)

    def step() -> None:
        flat.zero_()
        _, hits = accumulate_gradients(model, next(batches))
        flat.div_(hits)
        optimizer.step()

    return step


def interleaved(steps: dict[str, Step], rounds: int, settle: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds of each step: every round takes all of them, beginning with another one each time."""
    names = list(steps)
    for name in names:
        steps[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            settle()
            began = time.perf_counter()
            steps[name]()
            settle()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def loader_rate(dataset: Dataset, batch_events: int, passes: int) -> float:
    """Events per second of the loader alone, the best of some passes."""
    loader = Loader(dataset, "train", batch_events)
    best = 0.0
    for epoch in range(passes):
        loader.set_epoch(epoch)
        began = time.perf_counter()
        events = sum(len(batch.event) for batch in loader)
        best = max(best, events / (time.perf_counter() - began))
    return best


def on_cpu(dataset: Dataset, batch_events: int, rounds: int) -> dict[str, float]:
    """All figures of the CPU."""
    stock = pyg.stepper(dataset.events(dataset.split("train"), limit=4 * batch_events), batch_events)
    steps = {
        "stock_pyg": stock,
        "fp32": stepper(dataset, "slides", "fp32", batch_events),
        "bf16": stepper(dataset, "slides", "bf16", batch_events),
        "deep_fp32": stepper(dataset, "deep", "fp32", batch_events),
        "deep_bf16": stepper(dataset, "deep", "bf16", batch_events),
    }
    seconds = interleaved(steps, rounds, lambda: None)
    figures = {name: batch_events / statistics.median(values) for name, values in seconds.items()}
    figures |= {f"{name}_best": batch_events / min(values) for name, values in seconds.items()}
    figures["loader"] = loader_rate(dataset, batch_events, 4)
    flop = roofline.flop_per_hit(PRESETS["slides"]) * hits_per_event(dataset)
    for name, key, dtype in (("fp32", "", torch.float32), ("bf16", "bf16_", torch.bfloat16)):
        rate = roofline.matmul_flop_per_s(dtype, max(rounds, 10))
        figures[f"{key}matmul_gflop_per_s"] = rate / 1e9
        figures[f"{key}matmul_fraction"] = figures[f"{name}_best"] * flop / rate
    return figures


def hits_per_event(dataset: Dataset) -> float:
    """Mean hits of the first training events."""
    events = dataset.events(dataset.split("train"), limit=2000)
    return float(events.node_ptr[-1]) / len(events)


def on_cuda(dataset: Dataset, batch_events: int, rounds: int) -> dict[str, float]:
    """All figures of the GPU; the recorded steps read batches that are there already, as a dataset that fits is."""
    some = dataset.events(dataset.split("train"), limit=4 * batch_events)
    hits, edges = (int(ptr[-1]) / len(some) for ptr in (some.node_ptr, some.edge_ptr))
    budgets = {
        "node_budget": int(hits * batch_events * 1.05),
        "edge_budget": int(edges * batch_events * 1.05),
    }
    steps: dict[str, Step] = {"cuda_stock_pyg": pyg.stepper(some, batch_events, "cuda")}
    for precision in ("fp32", "bf16"):
        steps[f"cuda_{precision}"] = stepper(dataset, "slides", precision, batch_events, "cuda")
    loaded = batches_of(dataset, batch_events, device="cuda", **budgets)
    resident = [next(loaded) for _ in range(4)]
    for name, is_compiled in (("cuda_graphed", False), ("cuda_compiled", True)):
        steps[name] = _graphed(resident, is_compiled)
    seconds = interleaved(steps, rounds, torch.cuda.synchronize)
    filled = sum(len(batch.event) for batch in resident) / len(resident)
    figures = {
        name: (filled if name in ("cuda_graphed", "cuda_compiled") else batch_events)
        / statistics.median(values)
        for name, values in seconds.items()
    }
    flop = roofline.flop_per_hit(PRESETS["slides"]) * hits
    moved = roofline.bytes_per_hit(PRESETS["slides"], 2) * hits
    figures["cuda_gflop_per_event"], figures["cuda_mb_per_event"] = flop / 1e9, moved / 1e6
    figures["cuda_tflop_per_s"] = roofline.cuda_flop_per_s(torch.bfloat16) / 1e12
    figures["cuda_gb_per_s"] = roofline.cuda_bytes_per_s() / 1e9
    by_flop, by_bytes = figures["cuda_tflop_per_s"] * 1e12 / flop, figures["cuda_gb_per_s"] * 1e9 / moved
    figures["cuda_roofline"] = min(by_flop, by_bytes)
    return figures


def _graphed(resident: list[Batch], is_compiled: bool) -> Step:
    model = HitClassifier(PRESETS["slides"], "bf16").cuda()
    forward = compiled(model, dynamic=False) if is_compiled else None
    gradients = GraphedGradients(model, resident[0], forward)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    turn = 0

    def step() -> None:
        nonlocal turn
        turn += 1
        _, hits = gradients(resident[turn % len(resident)])
        gradients.flat.div_(hits)
        optimizer.step()

    return step


def show(figures: dict[str, Any]) -> None:
    """Print the tables."""
    table = Table("variant", "events/s (median)", "best", "x stock", "wanted", title=figures["machine"])
    for name in ("stock_pyg", "fp32", "bf16", "deep_fp32", "deep_bf16"):
        ratio = figures[name] / figures["stock_pyg"]
        wanted = f"≥ {TARGETS[name]}" if name in TARGETS else ""
        table.add_row(name, f"{figures[name]:.0f}", f"{figures[f'{name}_best']:.0f}", f"{ratio:.2f}", wanted)
    table.add_row("loader alone", "", f"{figures['loader']:.0f}", "", f"≥ {LOADER_TARGET}")
    console = Console()
    console.print(table)
    for name, key in (("fp32", ""), ("bf16", "bf16_")):
        share, rate = figures[f"{key}matmul_fraction"], figures[f"{key}matmul_gflop_per_s"]
        console.print(
            f"{name}: {share:.0%} of the shortest step is matrix products at the measured {rate:.0f} GFLOP/s"
        )
    if figures["cuda"] is None:
        console.print(
            f"CUDA: not measured, no GPU here (wanted: ≥ {CUDA_TARGET} events/s, ≥ {CUDA_RATIO_TARGET} x stock)"
        )
        return
    gpu = Table("CUDA", "measured", title=torch.cuda.get_device_name())
    for name, value in figures["cuda"].items():
        gpu.add_row(name.removeprefix("cuda_"), f"{value:,.1f}")
    console.print(gpu)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer events and rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--batch-events", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    events, rounds = (12_000, 5) if options.quick else (120_000, 25)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as directory:
        dataset = simulate_dataset(Path(directory) / "toy", events, seed=1, progress=False)
        load = os.getloadavg()[0]
        figures: dict[str, Any] = dict(on_cpu(dataset, options.batch_events, rounds))
        is_cuda = torch.cuda.is_available()
        figures["cuda"] = on_cuda(dataset, options.batch_events, rounds) if is_cuda else None
    figures["machine"] = (
        f"{options.threads} threads of {os.cpu_count()} cores,"
        f" load {load:.1f} before and {os.getloadavg()[0]:.1f} after,"
        f" {options.batch_events} events a step, torch {torch.__version__}"
    )
    if options.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
