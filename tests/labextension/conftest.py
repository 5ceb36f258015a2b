"""A real Jupyter server with the extension in it, as a job would start it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, sync_playwright

from ..chromium import LAUNCH

TOKEN = "walltime-of-a-test"
# Whatever batch job the tests themselves run in is not the one they speak of.
ABOUT_JOBS = ("SLURM_", "RAYSTER_")


@dataclass(frozen=True)
class Server:
    """A running Jupyter server."""

    url: str
    directory: Path

    def get(self, path: str, **options: object) -> requests.Response:
        """Ask as its user, or with other ``headers``."""
        headers = {"Authorization": f"token {TOKEN}"}
        return requests.get(self.url + path, **{"headers": headers, "timeout": 30, **options})

    @property
    def page(self) -> str:
        """The address of JupyterLab, with the token."""
        return f"{self.url}lab?token={TOKEN}"

    def write_settings(self, plugin: str, settings: dict[str, object]) -> None:
        """Write what a user has set for ``plugin``, such as ``@jupyterlab/apputils-extension:themes``."""
        package, _, name = plugin.partition(":")
        file = self.directory / "settings" / package / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))


@contextmanager
def server_in(directory: Path, environment: dict[str, str]) -> Iterator[Server]:
    """Run JupyterLab in an empty directory, with ``environment`` besides that of the tests."""
    runtime = directory / "runtime"
    mine = {
        "HOME": str(directory / "home"),
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_SETTINGS_DIR": str(directory / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(directory / "workspaces"),
    }
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(ABOUT_JOBS)}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0", "--ServerApp.base_url=/user/ada/", f"--IdentityProvider.token={TOKEN}",
    ]  # fmt: skip
    log_file = directory / "server.log"
    home = directory / "home"
    home.mkdir()
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env={**inherited, **mine, **environment}, stdout=log, stderr=log
        )
    try:
        info = _wait_for_info(process, runtime, log_file)
        yield Server(info["url"], directory)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_info(process: subprocess.Popen[bytes], runtime: Path, log_file: Path) -> dict[str, str]:
    file = runtime / f"jpserver-{process.pid}.json"
    deadline = time.monotonic() + 90
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log_file.read_text(errors="replace")
        if file.exists():
            info = json.loads(file.read_text() or "{}")
            try:
                if info and requests.get(f"{info['url']}api", timeout=30).ok:
                    return info
            except requests.ConnectionError:
                pass
        time.sleep(0.1)


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Factory of servers; each variable of the job is a keyword."""
    with ExitStack() as stack:

        def start(**environment: object) -> Server:
            directory = tmp_path_factory.mktemp("jupyter")
            texts = {name: str(value) for name, value in environment.items()}
            return stack.enter_context(server_in(directory, texts))

        yield start


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**LAUNCH)
        yield chromium
        chromium.close()
