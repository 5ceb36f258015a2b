"""Starts single parts of the testbed for a measurement, and ends them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import yaml

NAMESPACE = "rayster"


@contextmanager
def part(name: str, *arguments: str) -> Iterator[subprocess.Popen]:
    """One process of the testbed."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"rayster_testbed.{name}", *arguments], stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def until(what: Callable[[], Any], timeout_seconds: float = 30, why: str = "a part did not start") -> Any:
    """Return the first true answer of ``what``; raise RuntimeError with ``why`` when there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while not (answer := what()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {timeout_seconds} s: {why}")
        time.sleep(0.05)
    return answer


def ask(url: str, body: Any = None, method: str | None = None, kind: str = "application/json") -> Any:
    """Send a request to the API server and return its JSON."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": kind}, method=method), timeout=10) as answer:
        return json.load(answer)


@contextmanager
def apiserver(folder: Path) -> Iterator[tuple[str, Path]]:
    """An API server with the namespace of the servers; yields its URL and a kubeconfig file for it."""
    kubeconfig, port = folder / "kubeconfig.yaml", folder / "port"
    with part("apiserver", "--port", "0", "--data-dir", f"{folder}/api", "--port-file", str(port)):
        url = f"http://127.0.0.1:{until(lambda: port.exists() and port.read_text().strip())}"
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "bench",
                    "clusters": [{"name": "bench", "cluster": {"server": url}}],
                    "users": [{"name": "bench", "user": {}}],
                    "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
                }
            )
        )
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        ask(f"{url}/api/v1/namespaces", namespace)
        yield url, kubeconfig
