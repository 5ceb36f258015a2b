"""A hub as a process that a measurement can ask, weigh, kill and start again."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from .parts import until

HERE = Path(__file__).parent
TOKEN = "bench-token-0123456789"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = 200


class Hub:
    """A hub with the plain KubeSpawner (``spawner="plain"``) or RaySTER's, on an API server."""

    def __init__(self, folder: Path, spawner: str, kubeconfig: Path, profiles: Path):
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}/hub"
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "BENCH_SPAWNER": spawner,
            "BENCH_PORT": str(port),
            "BENCH_FOLDER": str(folder),
            "BENCH_PROFILES": str(profiles),
            "BENCH_TOKEN": TOKEN,
        }
        self._process: subprocess.Popen | None = None
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"token {TOKEN}"

    def start(self, timeout_seconds: float = 120) -> float:
        """Start the process; return the seconds until its API answers."""
        started = time.monotonic()
        with (self.folder / "hub.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "hub_config.py")],
                env=self._environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        until(self._is_up, timeout_seconds, "the hub did not start, see its log")
        return time.monotonic() - started

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the hub ended:\n{(self.folder / 'hub.log').read_text()[-2000:]}")
        try:
            return requests.get(f"{self.url}/api", timeout=5).ok
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """Kill the process where it stands; does nothing when there is none."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def memory_mib(self) -> float:
        """Return the memory that the process holds (resident)."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has used."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def cpu_percent(self, seconds: float) -> float:
        """Return how much of one core the process uses, watched for ``seconds``."""
        before, began = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return 100 * (self.cpu_seconds() - before) / (time.monotonic() - began)

    def ask(self, method: str, path: str, body: Any = None, timeout_seconds: float = 60) -> requests.Response:
        """Send a request to the REST API as its administrator."""
        data = None if body is None else json.dumps(body)
        return self._session.request(method, f"{self.url}/api{path}", data=data, timeout=timeout_seconds)

    def add_users(self, names: list[str]) -> None:
        """Make users."""
        answer = self.ask("POST", "/users", {"usernames": names})
        answer.raise_for_status()

    def pending(self) -> int:
        """Return how many servers are pending as spawns."""
        return sum(
            server["pending"] == "spawn" for user in self._active() for server in user["servers"].values()
        )

    def _active(self) -> Iterator[dict[str, Any]]:
        offset = 0
        while page := self.ask("GET", f"/users?state=active&limit={_PAGE}&offset={offset}").json():
            yield from page
            offset += len(page)

    def log_in(self, name: str) -> requests.Session:
        """Return a browser's session of a user."""
        session = requests.Session()
        session.get(f"{self.url}/login", timeout=30)
        xsrf = next(cookie.value for cookie in session.cookies if cookie.name == "_xsrf")
        data = {"username": name, "password": "x", "_xsrf": xsrf}
        session.post(f"{self.url}/login", data=data, timeout=30, allow_redirects=False)
        return session
