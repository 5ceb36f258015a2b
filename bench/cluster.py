"""From the click to the first remote task, against the same Ray nodes by hand; and attaching to a cluster that runs.

`python bench/cluster.py [--rounds N] [--quick] [--json]` starts the whole testbed (real SLURM where it is installed)
and a server of a user in it, whose kernel is the notebook. Each round takes, one after the other:

* **RaySTER**: `RayCluster(workers=1)`, `attach()`, and a task that waits for the worker;
* **by hand** (the floor): a head, a worker and the notebook's node by `ray start` on this machine, each as soon as the
  head's port is open, `ray.init` and the same task. No Kubernetes, no batch system, no waiting for anything else;
* **create and poll**: the same RayCluster made by its manifest, `status.state` asked every 5 s until it is *ready*, as
  codeflare-sdk does it, then a node by hand, `ray.init` and the same task.

Then, with one cluster that runs and is idle: `attach()` in a fresh kernel until a first result, against a node by hand.
Everything listens on loopback and is ended.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A script's own folder comes first in the path, and there queue.py stands in the way of Python's own `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import statistics
import tempfile
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.stage import by_hand
from bench.stage.notebook import Notebook
from bench.stage.poll import create_and_poll
from rayster_testbed.testbed import Testbed

PROFILE = "padova-slurm"
CLICK = """
import os, time
from rayster_lab import RayCluster
started = time.time()
cluster = RayCluster(profile={profile!r}, workers=1, cpus=1, memory="1Gi", walltime="30m")
made = time.time()
cluster.attach()
attached = time.time()
import ray
@ray.remote(num_cpus=1)
def job():
    return os.environ.get("SLURM_JOB_ID")
assert ray.get(job.remote(), timeout=120)
print("SECONDS", time.time() - started, made - started, attached - started)
print("CLUSTER", cluster.id)
"""
CLOSE = "cluster.close()"
ATTACH = """
import os, time
from rayster_lab import RayCluster
cluster = RayCluster.connect({cluster!r})
started = time.time()
cluster.attach()
import ray
@ray.remote(num_cpus=1)
def job():
    return os.environ.get("SLURM_JOB_ID")
assert ray.get(job.remote(), timeout=120)
print("SECONDS", time.time() - started)
cluster.detach()
"""


def measure(testbed: Testbed, notebook: Notebook, folder: Path, rounds: int) -> dict[str, Any]:
    """Return the seconds of every round."""
    seconds: dict[str, list[float]] = {
        name: [] for name in ("rayster", "by_hand", "create_and_poll", "attach", "attach_by_hand")
    }
    for _ in range(rounds):
        with notebook.kernel() as kernel:
            told = kernel.run(CLICK.format(profile=PROFILE), 240)
            seconds["rayster"].append(notebook.number(told, "SECONDS"))
            manifest, token = notebook.objects_of(notebook.word(told, "CLUSTER"))
            kernel.run(CLOSE, 30)
        notebook.wait_until_alone()
        seconds["by_hand"].append(by_hand.cluster(folder))
        seconds["create_and_poll"].append(create_and_poll(testbed, manifest, token, folder))
        notebook.wait_until_alone()

    with notebook.kernel() as first:
        cluster = notebook.word(first.run(CLICK.format(profile=PROFILE) + "cluster.detach()", 240), "CLUSTER")
        for _ in range(rounds):
            with notebook.kernel() as kernel:
                told = kernel.run(ATTACH.format(cluster=cluster), 120)
                seconds["attach"].append(notebook.number(told, "SECONDS"))
            manifest, token = notebook.objects_of(cluster)
            head = by_hand.read_rendezvous(manifest)
            seconds["attach_by_hand"].append(by_hand.attach(head, token, folder))
        first.run(CLOSE, 30)
    return {name: [round(value, 2) for value in values] for name, values in seconds.items()}


def ratio(seconds: dict[str, list[float]], name: str, floor: str) -> float:
    """Return the ratio of two medians."""
    return round(statistics.median(seconds[name]) / statistics.median(seconds[floor]), 2)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true", help="one JSON object, and no table")
    chosen = parser.parse_args()
    # Sockets need short paths.
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        state = Path(folder) / "tb"
        with Testbed(state, hub=True) as testbed, Notebook(testbed, "ada", PROFILE) as notebook:
            seconds = measure(testbed, notebook, Path(folder), 1 if chosen.quick else chosen.rounds)
    result = {
        "seconds": seconds,
        "click_ratio": ratio(seconds, "rayster", "by_hand"),
        "poll_ratio": ratio(seconds, "create_and_poll", "by_hand"),
        "attach_ratio": ratio(seconds, "attach", "attach_by_hand"),
    }
    if chosen.json:
        print(json.dumps(result))
        return
    table = Table("to the first remote task", "rounds", "median", "all")
    for name, values in seconds.items():
        median = f"{statistics.median(values):.1f} s"
        table.add_row(name.replace("_", " "), str(len(values)), median, " ".join(f"{v:.1f}" for v in values))
    console = Console()
    console.print(table)
    console.print(f"click to first task, RaySTER / by hand: {result['click_ratio']} (wanted: at most 1.2)")
    console.print(f"create and poll / by hand: {result['poll_ratio']}")
    console.print(f"attach, RaySTER / by hand: {result['attach_ratio']} (wanted: at most 1.3)")


if __name__ == "__main__":
    main()
