"""The reference result of docs/tracking.md: presets and baselines on one toy dataset, with seed and versions.

`python bench/tracking_reference.py --events 100000 --epochs 3 --output reference [--json]` goes on with what an earlier
run has left in the folder. `--quick` tells only whether all of it runs: 1,000 events, one epoch, nothing kept.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Instead of this directory, whose queue.py would stand for Python's own.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from herd_tracking import Dataset, baselines, evaluate, score, simulate_dataset, train, write_report
from herd_tracking.geometry import FIT
from herd_tracking.physics.evaluation import Evaluation
from herd_tracking.physics.page import table_rows

PRESETS = ("slides", "deep")


def main() -> None:
    """Make the data, train both presets, evaluate all, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-events", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("reference"))
    parser.add_argument("--quick", action="store_true", help="1,000 events, one epoch, no folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.quick:
            asked.events, asked.epochs, asked.output = 1000, 1, Path(folder)
        evaluation, told = measured(asked)
    if asked.json:
        print(json.dumps({**told, "figures": figures(evaluation)}))
    else:
        print(table(evaluation, told))


def figures(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Return each method's metrics, with their intervals."""
    return {
        name: {metric: asdict(estimate) for metric, estimate in method.numbers.items()}
        for name, method in evaluation.methods.items()
    }


def measured(asked: argparse.Namespace) -> tuple[Evaluation, dict[str, Any]]:
    """Return the evaluation, and how it was made; data, trained presets, report and both as JSON stay in the folder."""
    asked.output.mkdir(parents=True, exist_ok=True)
    data = asked.output / "data"
    if not data.exists():
        simulate_dataset(data, asked.events, seed=asked.seed)
    dataset = Dataset.open(data)
    results = {preset: trained(dataset, preset, asked) for preset in PRESETS}
    test = dataset.events(dataset.split("test"))
    scores = {preset: score(dataset, asked.output / preset, "test") for preset in PRESETS}
    scores |= baselines(test, FIT)
    evaluation = evaluate(test, scores, about={"data": "toy, test split"})
    evaluation.save(asked.output / "evaluation.json")
    write_report(evaluation, asked.output, results["deep"]["history"])
    told = {"made": about(asked, dataset), "training": results}
    (asked.output / "reference.json").write_text(json.dumps(told, indent=1))
    return evaluation, told


def trained(dataset: Dataset, preset: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Train ``preset`` and return what it took."""
    begun = time.monotonic()
    result = train(
        dataset,
        preset,
        epochs=asked.epochs,
        batch_events=asked.batch_events,
        seed=asked.seed,
        directory=asked.output / preset,
        resume=True,
    )
    return {"seconds": time.monotonic() - begun, "history": result.history, "best": result.best}


def about(asked: argparse.Namespace, dataset: Dataset) -> dict[str, Any]:
    """Return all that is needed to make it again."""
    packages = ("torch", "numpy", "numba", "torch_geometric")
    return {
        "events": len(dataset),
        "seed": asked.seed,
        "epochs": asked.epochs,
        "batch_events": asked.batch_events,
        "geometry_hash": dataset.geometry_hash,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "at": time.strftime("%Y-%m-%d"),
    }


def table(evaluation: Evaluation, told: dict[str, Any]) -> str:
    """Return the result as a table in Markdown."""
    lines = [
        "| | " + " | ".join(evaluation.methods) + " |",
        "| --- |" + " --- |" * len(evaluation.methods),
    ]
    for row in table_rows(evaluation):
        label = f"{row['label']} ({row['unit']})" if row["unit"] else row["label"]
        cells = " | ".join(f"{value} {interval}".strip() for value, interval in row["cells"])
        lines.append(f"| {label} | {cells} |")
    for preset, one in told["training"].items():
        best = one["best"]
        lines.append(
            f"\n{preset}: {one['seconds']:.0f} s, best epoch {best['epoch']}, AUC {best['val_auc']:.4f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
