"""What every process of these tests needs, and the testbed's API server as one of them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import yaml


def wait_until(what: Callable[[], Any], timeout_seconds: float = 20, every_seconds: float = 0.05) -> Any:
    """Return the first true answer of ``what``; an exception of the last try is raised at the end."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            if answer := what():
                return answer
        except (requests.RequestException, AssertionError, KeyError):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"not so after {timeout_seconds} s: {what}"
        time.sleep(every_seconds)


def own_ip() -> str:
    """Return a loopback address that is this process's own.

    Whatever else runs on the machine connects from, and listens at, 127.0.0.1: a port that the product has chosen may
    be taken there.
    """
    pid = os.getpid()
    return f"127.{1 + (pid >> 16) % 254}.{pid >> 8 & 255}.{pid & 255}"


def free_port() -> int:
    """Return a port of `own_ip` that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((own_ip(), 0))
        return probe.getsockname()[1]


def end(process: Any, how: int = signal.SIGTERM) -> None:
    """End a process that a fixture started, for sure."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Api:
    """The testbed's API server as a process of its own; it keeps its objects when it is killed."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{own_ip()}:{self.port}"
        self.kubeconfig = folder / "kubeconfig.yaml"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "tests",
                    "clusters": [{"name": "tests", "cluster": {"server": self.url}}],
                    "users": [{"name": "tests", "user": {}}],
                    "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
                }
            )
        )
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        command = [sys.executable, "-m", "rayster_testbed.apiserver", "--bind", own_ip()]
        command += ["--port", str(self.port), "--data-dir", str(self.folder / "api")]
        with (self.folder / "api.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        try:
            wait_until(lambda: requests.get(f"{self.url}/readyz", timeout=2).ok, 60)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill the process where it stands."""
        assert self.process is not None
        end(self.process, signal.SIGKILL)

    def say_node(self, name: str, *, is_ready: bool) -> None:
        """Say whether a node is ready, as its kubelet does."""
        condition = {"type": "Ready", "status": "True" if is_ready else "False"}
        headers = {"Content-Type": "application/merge-patch+json"}
        body = {"status": {"conditions": [condition]}}
        answer = requests.patch(
            f"{self.url}/api/v1/nodes/{name}/status", json=body, headers=headers, timeout=5
        )
        assert answer.ok, answer.text
