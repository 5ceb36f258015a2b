"""What a long queue costs the hub, and what a restart costs the queue: RaySTER against plain KubeSpawner.

`python bench/queue.py [--quick] [--json]` starts the testbed's API server, and on it one hub after the other, with each
spawner. Each hub gets 1,000 servers (`--quick`: 60) whose pods say what a virtual node says of a waiting job. Measured
are the hub's memory and processor time while they wait, how soon the spawn form is there, and, after the hub was
killed (SIGKILL) and started again, when its API answers, when every spawn is pending as before, and how many are lost.
RaySTER also has an agent of its site to listen to, which knows every job. Routes are kept in memory: the proxy is not
measured. Everything listens on loopback and is ended.
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
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
import yaml
from rich.console import Console
from rich.table import Table

from bench.stage import site
from bench.stage.hub import Hub
from bench.stage.parts import apiserver, until

AMOUNTS = {
    "cpu": {"min": 1, "max": 16, "default": 1},
    "memory": {"min": "1Gi", "max": "60Gi", "default": "1Gi"},
    "images": [{"name": "lab", "title": "JupyterLab", "image": "rayster/notebook:0.1.0"}],
}
PADOVA = {
    **AMOUNTS,
    "name": "padova-slurm",
    "title": "Padova SLURM",
    "site": "padova",
    "scheduler": "slurm",
    "walltime": {"max": "48h", "default": "1h"},
    "slurm": {"partition": "padova"},
}
CLOUD = {**AMOUNTS, "name": "cloud", "title": "Cloud", "site": "cloud"}
# A plain hub waits this long for each server that it does not find up, and then deletes it.
GIVES_UP_AFTER_SECONDS = 100
SPAWNERS = ("plain", "rayster")


def write_profiles(folder: Path, agent_url: str) -> Path:
    """Write the profiles of both hubs and return their file."""
    token = folder / "agent-token"
    token.write_text("bench-agent-token\n")
    file = folder / "profiles.yaml"
    sites = {"padova": {"agent": {"url": agent_url, "token_file": str(token)}}}
    file.write_text(yaml.safe_dump({"sites": sites, "profiles": [CLOUD, PADOVA]}))
    return file


def fill(hub: Hub, url: str, names: list[str], uids: list[str]) -> float:
    """Let every user ask for a server and every pod say that it queues; return the seconds that asking took."""
    started = time.monotonic()

    def spawn(name: str) -> None:
        answer = hub.ask("POST", f"/users/{name}/server", {"profile": PADOVA["name"]})
        if answer.status_code not in (201, 202):
            raise RuntimeError(f"{name}: HTTP {answer.status_code} {answer.text[:300]}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(spawn, names))
    until(lambda: len(site.pods(url)) >= len(names), 300, "not every pod was created")
    took = time.monotonic() - started
    for number, pod in enumerate(site.pods(url), 1):
        uids.append(pod["metadata"]["uid"])
        site.say_queued(url, number, pod["metadata"]["name"])
    return took


def form_times(hub: Hub, loads: int) -> list[float]:
    """Return the seconds of each load of the spawn form, by somebody who has no server."""
    browser = hub.log_in("visitor")
    times = []
    for _ in range(loads):
        started = time.perf_counter()
        page = browser.get(f"{hub.url}/spawn/visitor", timeout=60, headers={"Sec-Fetch-Mode": "navigate"})
        times.append(time.perf_counter() - started)
        if page.status_code != 200 or "spawn_form" not in page.text:
            raise RuntimeError(f"no form: HTTP {page.status_code} {page.text[:300]}")
    return times


def recover(hub: Hub, url: str, names: list[str], uids: list[str]) -> dict[str, Any]:
    """Kill the hub, start it again, and tell what became of the queue."""
    cpu_before_kill = hub.cpu_seconds()
    hub.kill()
    started = time.monotonic()
    api_seconds = hub.start(300)
    recovered: float | None = None
    deadline = started + GIVES_UP_AFTER_SECONDS
    while time.monotonic() < deadline:
        try:
            if hub.pending() == len(names):
                recovered = time.monotonic() - started
                break
        except (requests.RequestException, ValueError):
            pass  # a hub that takes up a thousand servers may be slow to answer
        time.sleep(0.2)
    if recovered is not None:
        # What a hub loses, it loses when its patience with servers that do not answer is over.
        time.sleep(45)
    kept = {pod["metadata"]["uid"] for pod in site.pods(url) if not pod["metadata"].get("deletionTimestamp")}
    return {
        "restart_api_s": api_seconds,
        "restart_recovered_s": recovered,
        "lost": len(set(uids) - kept) if recovered is not None else len(names) - hub_keeps(hub, uids, kept),
        "cpu_s_before_restart": cpu_before_kill,
    }


def hub_keeps(hub: Hub, uids: list[str], kept: set[str]) -> int:
    """Return how many servers still have both their pod and the hub's attention."""
    return min(hub.pending(), len(set(uids) & kept))


def measure(spawner: str, servers: int, folder: Path, say: Any) -> dict[str, Any]:
    """Return the figures of one hub."""
    names = [f"user{number:04d}" for number in range(servers)]
    uids: list[str] = []
    with apiserver(folder) as (url, kubeconfig), site.agent(uids) as agent_url:
        hub = Hub(folder / "hub", spawner, kubeconfig, write_profiles(folder, agent_url))
        try:
            say(f"{spawner}: starting a hub")
            hub.start()
            for at in range(0, servers, 100):
                hub.add_users(names[at : at + 100])
            hub.add_users(["visitor"])
            figures: dict[str, Any] = {
                "idle_memory_mib": hub.memory_mib(),
                "idle_cpu_percent": hub.cpu_percent(10),
            }
            say(f"{spawner}: asking for {servers} servers")
            figures["fill_s"] = fill(hub, url, names, uids)
            until(lambda: hub.pending() == servers, 120, "not every server is pending")
            say(f"{spawner}: watching the queue")
            time.sleep(15)  # the agent is heard, the first looks are over
            figures["queued_cpu_percent"] = hub.cpu_percent(30)
            figures["queued_memory_mib"] = hub.memory_mib()
            times = form_times(hub, 100)
            figures["form_median_s"] = statistics.median(times)
            figures["form_p95_s"] = statistics.quantiles(times, n=20)[-1]
            say(f"{spawner}: killing the hub and starting it again")
            figures |= recover(hub, url, names, uids)
            return figures
        finally:
            hub.kill()


ROWS = {
    "idle_memory_mib": ("memory, no servers", "{:.0f} MiB"),
    "queued_memory_mib": ("memory, all queued", "{:.0f} MiB"),
    "idle_cpu_percent": ("processor, no servers (of a core)", "{:.1f} %"),
    "queued_cpu_percent": ("processor, all queued (of a core)", "{:.1f} %"),
    "fill_s": ("asking for all of them", "{:.0f} s"),
    "form_median_s": ("spawn form, median", "{:.3f} s"),
    "form_p95_s": ("spawn form, p95", "{:.3f} s"),
    "restart_api_s": ("after SIGKILL: API answers", "{:.1f} s"),
    "restart_recovered_s": ("after SIGKILL: all pending again", "{:.1f} s"),
    "lost": ("servers lost by the restart", "{}"),
}


def table_of(figures: dict[str, dict[str, Any]], servers: int) -> Table:
    """Return the figures for people."""
    table = Table("", *SPAWNERS, title=f"{servers} queued servers")
    for key, (label, form) in ROWS.items():
        cells = [figures[name][key] for name in SPAWNERS]
        table.add_row(label, *("never" if cell is None else form.format(cell) for cell in cells))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="60 servers instead of 1,000")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--servers", type=int, help="another number of servers")
    options = parser.parse_args()
    servers = options.servers or (60 if options.quick else 1000)
    console = Console(stderr=True)
    figures = {}
    for spawner in SPAWNERS:
        with tempfile.TemporaryDirectory() as folder:
            figures[spawner] = measure(spawner, servers, Path(folder), console.print)
    if options.json:
        plain = {"servers": servers}
        for name, values in figures.items():
            plain |= {
                f"{name}_{key}": round(v, 4) if isinstance(v, float) else v for key, v in values.items()
            }
        print(json.dumps(plain))
    else:
        Console().print(table_of(figures, servers))
    return 0 if figures["rayster"]["lost"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
