"""Profiles made to measure, what a browser would send, and a real hub that shows the pages."""

import http.cookiejar
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bs4 import BeautifulSoup

from rayster_spawner.profiles import Profile
from rayster_testbed.ports import free_ports

from ..chromium import LAUNCH


def _make_profile(**changes: Any) -> Profile:
    data: dict[str, Any] = {
        "name": "padova",
        "title": "Padova",
        "site": "padova",
        "scheduler": "slurm",
        "cpu": {"min": 1, "max": 16, "default": 2},
        "memory": {"min": "1Gi", "max": "64Gi", "default": "4Gi"},
        "gpu": {"min": 0, "max": 4, "default": 0, "type": "A100"},
        "walltime": {"min": "10m", "max": "24h", "default": "4h"},
        "images": [
            {"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0", "default": True},
            {"name": "torch", "title": "Torch", "image": "rayster/torch:0.1.0"},
        ],
    }
    data.update(changes)
    return Profile.model_validate({key: value for key, value in data.items() if value is not None})


def _submitted(html: str, **edits: str) -> dict[str, list[str]]:
    """Return what a browser without JavaScript sends of a form, with ``edits`` by control name."""
    soup = BeautifulSoup(html, "html.parser")
    data: dict[str, list[str]] = {}
    for control in soup.select("input[name], select[name]"):
        if control.name == "select":
            value = control.select_one("option[selected]")["value"]
        elif control.get("type") in ("radio", "checkbox") and not control.has_attr("checked"):
            continue
        else:
            value = control["value"]
        data.setdefault(control["name"], []).append(value)
    return data | {name: [value] for name, value in edits.items()}


@pytest.fixture(scope="session")
def make_profile():
    """Return a factory of SLURM profiles; a value of None removes the field."""
    return _make_profile


@pytest.fixture(scope="session")
def submitted():
    """Return a function from a form's HTML to what a browser would send."""
    return _submitted


class Visitor:
    """Somebody without a browser: keeps cookies, follows redirects."""

    def __init__(self, base: str, user: str):
        self.base, self.user = base, user
        jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        login = self.get("/hub/login")[1]
        xsrf = BeautifulSoup(login, "html.parser").select_one("input[name=_xsrf]")["value"]
        self.post("/hub/login", {"username": [user], "password": ["x"], "_xsrf": [xsrf]})

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the body at ``path``."""
        return self._open(urllib.request.Request(self.base + path))

    def post(self, path: str, data: dict[str, list[str]]) -> tuple[int, str]:
        """Send a form to ``path``; return the status and the body."""
        body = urllib.parse.urlencode(data, doseq=True).encode()
        return self._open(urllib.request.Request(self.base + path, data=body))

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self._opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Stage(NamedTuple):
    """A running hub (see stage_hub_config.py) and the folder through which its servers are told what to do."""

    url: str
    folder: Path

    def tell(self, server: str, *events: dict[str, Any]) -> None:
        """Add progress events of ``server``, which is a user's name, or ``user-name`` for a named server."""
        self.write(f"{server}.events", *events)

    def write(self, name: str, *lines: dict[str, Any]) -> None:
        """Add JSON lines to one of the files that stage_hub_config.py names."""
        with (self.folder / name).open("a") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))

    def visitor(self, user: str) -> Visitor:
        """Return a visitor who has logged in."""
        return Visitor(self.url, user)


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """Start a hub on a free port for all tests; end it after the last."""
    folder = tmp_path_factory.mktemp("stage")
    (port,) = free_ports(1)
    config = Path(__file__).with_name("stage_hub_config.py")
    environment = os.environ | {"STAGE_PORT": str(port), "STAGE_FOLDER": str(folder)}
    with (folder / "hub.log").open("wb") as log:
        hub = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    stage = Stage(f"http://127.0.0.1:{port}", folder)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{stage.url}/hub/health", timeout=5)
                break
            except OSError:
                assert hub.poll() is None and time.monotonic() < deadline, (folder / "hub.log").read_text()
                time.sleep(0.1)
        yield stage
    finally:
        hub.terminate()
        hub.wait(timeout=20)


@pytest.fixture(scope="module")
def chromium():
    """Start a browser for the tests of one module. Playwright's loop must not outlive it: async tests follow."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        yield browser
        browser.close()


@pytest.fixture
def visit(stage, chromium):
    """Return a function that logs a user in and shows the form; complaints of the browser fail the test.

    ``prepare`` gets the page before anything is loaded; ``settings`` are those of a browser context.
    """
    contexts, complaints = [], []

    def visit(user, path="/hub/spawn", prepare=lambda page: None, **settings):
        settings.setdefault("viewport", {"width": 1280, "height": 900})
        context = chromium.new_context(base_url=stage.url, reduced_motion="reduce", **settings)
        contexts.append(context)
        context.set_default_timeout(45000)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None
        )
        prepare(page)
        page.goto("/hub/login?next=" + path.replace("?", "%3F").replace("&", "%26"))
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", "x")
        page.press("input[name=password]", "Enter")
        page.wait_for_url("**/hub/spawn**")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
