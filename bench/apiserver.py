"""How fast the testbed's Kubernetes API is: gets, creates and patches per second, and how soon 100 watchers know.

`python bench/apiserver.py [--quick] [--json]` starts its own server on loopback, with objects kept on disk and tokens
and RBAC on, and ends it. One client sends one request after the other, as in the measurements of the real server.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A script's own folder comes first in the path, and there queue.py stands in the way of Python's own `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aiohttp
from rich.console import Console
from rich.table import Table

TARGETS = {"get_per_s": 500.0, "create_per_s": 300.0, "watch_fanout_ms": 100.0}
PODS = "/api/v1/namespaces/default/pods"
TOKEN = "bench-token"


def pod(name: str) -> dict:
    """A pod of the size KubeSpawner makes."""
    environment = [{"name": f"VARIABLE_{index}", "value": "x" * 40} for index in range(25)]
    container = {
        "name": "notebook",
        "image": "rayster/notebook:0.1.0",
        "args": ["jupyterhub-singleuser"],
        "env": environment,
        "ports": [{"name": "notebook-port", "containerPort": 8888}],
        "resources": {"limits": {"cpu": "4", "memory": "8Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
    }
    meta = {"name": name, "labels": {"component": "singleuser-server", "app": "jupyterhub"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }


@contextmanager
def server() -> Iterator[str]:
    """A server with a fresh directory; yields its URL."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "tokens").write_text(f'{TOKEN},bench,1,"bench"\nadmin,admin,2,"system:masters"\n')
        command = [sys.executable, "-m", "rayster_testbed.apiserver", "--port", "0"]
        command += ["--data-dir", str(folder / "data"), "--port-file", str(folder / "port")]
        command += ["--token-auth-file", str(folder / "tokens")]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 20
            while not (folder / "port").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the API server did not start")
                time.sleep(0.02)
            yield f"http://127.0.0.1:{(folder / 'port').read_text().strip()}"
        finally:
            process.terminate()
            process.wait(10)


async def allow(url: str) -> None:
    """Let the bench's user edit, so that RBAC is evaluated for every request."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "bench"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "User", "name": "bench"}],
    }
    path = f"{url}/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    headers = {"Authorization": "Bearer admin"}
    async with aiohttp.ClientSession(headers=headers) as admin, admin.post(path, json=binding) as answer:
        answer.raise_for_status()


async def rate(count: int, step: Callable[[int], Awaitable[None]]) -> float:
    """Steps per second, one after the other."""
    began = time.perf_counter()
    for index in range(count):
        await step(index)
    return count / (time.perf_counter() - began)


async def fanout_ms(session: aiohttp.ClientSession, watchers: int, writes: int) -> list[float]:
    """For each write, the milliseconds until the last of the watchers has read it."""
    seen: dict[str, list[float]] = {f"watched-{index}": [] for index in range(writes)}
    everybody = {name: asyncio.Event() for name in seen}
    ready = asyncio.Semaphore(0)

    async def watch() -> None:
        parameters = {"watch": "true", "timeoutSeconds": "120", "labelSelector": "watched=yes"}
        async with session.get(PODS, params=parameters) as answer:
            ready.release()
            async for line in answer.content:
                name = json.loads(line)["object"]["metadata"]["name"]
                seen[name].append(time.perf_counter())
                if len(seen[name]) == watchers:
                    everybody[name].set()

    tasks = [asyncio.create_task(watch()) for _ in range(watchers)]
    for _ in range(watchers):
        await ready.acquire()
    delays = []
    try:
        for name in seen:
            body = pod(name)
            body["metadata"]["labels"]["watched"] = "yes"
            began = time.perf_counter()
            async with session.post(PODS, json=body) as answer:
                answer.raise_for_status()
            await asyncio.wait_for(everybody[name].wait(), 10)
            delays.append((max(seen[name]) - began) * 1000)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return delays


async def measure(url: str, count: int, watchers: int, writes: int) -> dict[str, float]:
    """All figures."""
    await allow(url)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, headers=headers, connector=connector) as session:

        async def create(index: int) -> None:
            async with session.post(PODS, json=pod(f"bench-{index}")) as answer:
                assert answer.status == 201, await answer.text()

        async def get(index: int) -> None:
            async with session.get(f"{PODS}/bench-{index}") as answer:
                assert answer.status == 200
                await answer.read()

        async def patch(index: int) -> None:
            body = {"metadata": {"labels": {"round": "two"}}}
            kind = {"Content-Type": "application/merge-patch+json"}
            async with session.patch(f"{PODS}/bench-{index}", json=body, headers=kind) as answer:
                assert answer.status == 200

        figures = {"create_per_s": await rate(count, create), "get_per_s": await rate(count, get)}
        figures["patch_per_s"] = await rate(count, patch)
        began = time.perf_counter()
        async with session.get(PODS) as answer:
            assert len((await answer.json())["items"]) == count
        figures["list_ms"] = (time.perf_counter() - began) * 1000
        figures["listed_pods"] = count
        delays = await fanout_ms(session, watchers, writes)
    figures["watchers"] = watchers
    figures["watch_fanout_ms"] = statistics.median(delays)
    figures["watch_fanout_worst_ms"] = max(delays)
    return {name: round(value, 1) for name, value in figures.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    count, writes = (300, 10) if options.quick else (2000, 50)
    with server() as url:
        figures = asyncio.run(measure(url, count, 100, writes))
    if options.json:
        print(json.dumps(figures))
        return
    table = Table("figure", "measured", "wanted", title="Testbed Kubernetes API, one client, serial")
    for name, value in figures.items():
        wanted = TARGETS.get(name)
        sign = "" if wanted is None else f"{'≤' if name.endswith('_ms') else '≥'} {wanted:g}"
        table.add_row(name, f"{value:g}", sign)
    Console().print(table)


if __name__ == "__main__":
    main()
