"""How long a server takes to start: RaysterSpawner against plain KubeSpawner, one after the other in one run.

`python bench/spawn.py [--quick] [--json]` starts the testbed's API server, its controllers and one cloud node on
loopback and ends them. Timed is what the hub waits for: the spawner's hooks and `start()`, until the pod runs, with
the hub's database in sqlite. The pods run `sleep`.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A script's own folder comes first in the path, and there queue.py stands in the way of Python's own `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import kubernetes_asyncio.config
import kubespawner.spawner
from jupyterhub import orm
from jupyterhub.user import User
from jupyterhub.utils import maybe_future
from kubespawner import KubeSpawner
from rich.console import Console
from rich.table import Table
from traitlets.config import Config

from bench.stage.parts import NAMESPACE, apiserver, ask, part, until
from rayster_spawner.spawner import RaysterSpawner

TARGET_RATIO = 1.10
IMAGE = "rayster/notebook:0.1.0"
PROFILES = {
    "profiles": [
        {
            "name": "cloud",
            "title": "Cloud",
            "site": "cloud",
            "cpu": {"min": 1, "max": 1, "default": 1},
            "memory": {"min": "64Mi", "max": "64Mi", "default": "64Mi"},
            "images": [{"name": "lab", "title": "Lab", "image": IMAGE}],
        }
    ]
}


@contextmanager
def cluster(folder: Path) -> Iterator[Path]:
    """API server, scheduler and a cloud node; yields the path of a kubeconfig file."""
    node = ["--node-name", "cloud-0", "--cpu", "8", "--memory", "16Gi", "--pod-cidr", "127.77.0.0/16"]
    with ExitStack() as stack:
        url, kubeconfig = stack.enter_context(apiserver(folder))
        for name in ("scheduler", "node_lifecycle"):
            stack.enter_context(part(name, "--kubeconfig", str(kubeconfig)))
        stack.enter_context(
            part("kubelet", "--kubeconfig", str(kubeconfig), "--data-dir", f"{folder}/node", *node)
        )
        until(lambda: [n for n in ask(f"{url}/api/v1/nodes")["items"] if not n["spec"].get("taints")])
        yield kubeconfig


def make_spawner(kind: type[KubeSpawner], name: str, database: Any) -> KubeSpawner:
    """Return a spawner of ``kind`` for a new user in the hub's database."""
    traits = {
        "namespace": NAMESPACE,
        "image": IMAGE,
        "cmd": ["sleep", "3600"],
        "cpu_limit": 1,
        "mem_limit": "64M",
        "storage_pvc_ensure": False,
        "start_timeout": 300,
        "delete_grace_period": 1,
        "env_keep": [],
    }
    if kind is RaysterSpawner:
        traits["profiles"] = PROFILES
    hub = SimpleNamespace(api_url="http://127.0.0.1:1/hub/api", base_url="/hub/", public_host="", url="/")
    settings = {"spawner_class": kind, "config": Config({kind.__name__: traits}), "hub": hub}
    row = orm.User(name=name)
    database.add(row)
    database.commit()
    user = User(row, settings)
    user.db = database
    spawner = user.spawners[""]
    row.orm_spawners[""].server = orm.Server(base_url=f"/user/{name}/")
    database.commit()
    return spawner


async def time_spawn(kind: type[KubeSpawner], name: str, database: Any) -> float:
    """Return the seconds that one spawn takes; the server is stopped afterwards."""
    spawner = make_spawner(kind, name, database)
    spawner.clear_state()
    started = time.perf_counter()
    await spawner._run_apply_user_options(spawner.user_options)
    await maybe_future(spawner.run_pre_spawn_hook())
    await spawner.start()
    took = time.perf_counter() - started
    await spawner.stop(now=True)
    return took


async def compare(spawns: int, kubeconfig: Path) -> dict[str, list[float]]:
    """Return the seconds of each spawn by spawner, taken in turns."""
    await kubernetes_asyncio.config.load_kube_config(config_file=str(kubeconfig))
    kubespawner.spawner.load_config = lambda **_: None  # it would look for a cluster of its own
    database = orm.new_session_factory(f"sqlite:///{kubeconfig.parent}/hub.sqlite")()
    times: dict[str, list[float]] = {"plain": [], "rayster": []}
    kinds = {"plain": KubeSpawner, "rayster": RaysterSpawner}
    for n in range(-1, spawns):
        # The order is turned each time, so that neither always runs on a warmer machine.
        for name in sorted(kinds, reverse=bool(n % 2)):
            took = await time_spawn(kinds[name], f"{name}{n + 1}", database)
            if n >= 0:  # the first pair starts the watches
                times[name].append(took)
    await KubeSpawner._stop_all_reflectors()
    return times


def table_of(times: dict[str, list[float]], ratio: float) -> Table:
    """Return the figures for people."""
    table = Table("spawner", "spawns", "median s", "mean s", "p95 s", title="Start to running")
    for name, values in times.items():
        p95 = statistics.quantiles(values, n=20)[-1]
        cells = (statistics.median(values), statistics.fmean(values), p95)
        table.add_row(name, str(len(values)), *(f"{cell:.3f}" for cell in cells))
    verdict = "ok" if ratio <= TARGET_RATIO else "missed"
    table.caption = f"ratio of the medians: {ratio:.3f} (target ≤ {TARGET_RATIO:.2f}: {verdict})"
    return table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10 spawns each instead of 100")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as kubeconfig:
        times = asyncio.run(compare(10 if options.quick else 100, kubeconfig))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["rayster"] / medians["plain"]
    if options.json:
        figures = {f"{name}_median_s": round(median, 4) for name, median in medians.items()}
        figures |= {
            "median_ratio": round(ratio, 4),
            "spawns": len(times["plain"]),
            "target_ratio": TARGET_RATIO,
        }
        print(json.dumps(figures))
    else:
        Console().print(table_of(times, ratio))
    return 0 if ratio <= TARGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
