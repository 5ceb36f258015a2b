"""The whole product as one person meets it: the demo, real batch jobs, and a real browser."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from rayster_testbed.layout import REPOSITORY
from rayster_testbed.testbed import Testbed

from ..chromium import LAUNCH

FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def profiles_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's profiles; one whose partition the site does not have; and some for everybody, of servers that weigh little."""
    content = yaml.safe_load((REPOSITORY / "rayster_testbed" / "demo" / "profiles.yaml").read_text())
    entries = content["profiles"]
    found = next(entry for entry in entries if entry["name"] == "padova-slurm")
    # Those made of it are for servers alone: their walltimes are too short for Ray's workers.
    padova = {key: value for key, value in found.items() if key != "ray"}
    entries.append(
        {**padova, "name": "wrong-partition", "title": "Wrong partition", "slurm": {"partition": "nosuch"}}
    )
    light = {
        **padova,
        "name": "light",
        "title": "Light",
        "access": {},
        "cpu": {"min": 1, "max": 16, "default": 1},
        "walltime": {"min": "1m", "max": "1h", "default": "30m"},
        "environment": {"PYTHONPATH": str(Path(__file__).parent / "light")},
        "limits": {"servers_per_user": 15},
    }
    entries.append(light)
    short = {"min": "1m", "max": "1m", "default": "1m"}
    entries.append(
        {
            **light,
            "name": "short",
            "title": "Short",
            "site": "leonardo-dcgp",
            "slurm": {"partition": "dcgp_usr_prod"},
            "walltime": short,
        }
    )
    limits = {"servers_per_user": 3, "servers_total": 4}
    entries.append({**light, "name": "few", "title": "Few", "limits": limits})
    file = tmp_path_factory.mktemp("profiles") / "profiles.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture(scope="session")
def testbed(profiles_file: Path) -> Iterator[Testbed]:
    """The demo, running."""
    # Sockets need short paths, and pytest's own folders are long.
    state_dir = Path(tempfile.mkdtemp(prefix="rayster-"))
    with Testbed(state_dir, hub=True, profiles=profiles_file) as running:
        yield running
    if not os.environ.get("RAYSTER_KEEP_STATE"):
        shutil.rmtree(state_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**LAUNCH)
        yield chromium
        chromium.close()


class Person:
    """Somebody in front of a browser."""

    def __init__(self, page: Page, testbed: Testbed, name: str):
        self.page = page
        self.testbed = testbed
        self.name = name

    def log_in(self) -> None:
        """Log in with the demo's password."""
        self.page.goto(f"{self.testbed.hub_url}/hub/login")
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(self.testbed.password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "/hub/login" not in url)

    def choose(self, title: str) -> None:
        """Open the form and choose a profile by its title, once its site is there again after what a test did to it."""
        self.page.goto(f"{self.testbed.hub_url}/hub/spawn/{self.name}")
        card = self.page.locator("[data-option]", has=self.page.get_by_role("radio", name=title, exact=True))
        unreachable = card.locator("[data-site=unreachable]")
        expect(unreachable).to_have_count(0, timeout=30_000)
        self.page.get_by_role("radio", name=title, exact=True).check()

    def start(self) -> None:
        """Press Start."""
        self.page.get_by_role("button", name="Start").click()

    def wait_for_lab(self, timeout_seconds: float = 90) -> None:
        """Wait until JupyterLab is there."""
        self.page.wait_for_url(f"**/user/{self.name}/lab**", timeout=timeout_seconds * 1000)
        # Without what was open last time: homes are kept.
        self.page.goto(f"{self.testbed.hub_url}/user/{self.name}/lab?reset")
        self.page.locator(".jp-LauncherCard").first.wait_for(timeout=timeout_seconds * 1000)

    def run_cell(self, code: str) -> str:
        """Open a new notebook, run one cell, and return what it prints."""
        self.page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
        cell = self.page.locator(".jp-Notebook .jp-Cell .cm-content").first
        cell.wait_for(timeout=60_000)
        # A cell that is run before the kernel is there waits for a kernel that may be another one.
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").first.wait_for(
            timeout=60_000
        )
        cell.click()
        self.page.keyboard.insert_text(code)
        output = self.page.locator(".jp-OutputArea-output").first
        for _ in range(20):
            # JupyterLab drops a cell that is run in the moment in which its kernel connects; people press again.
            cell.click()
            self.page.keyboard.press("Control+Enter")
            with contextlib.suppress(PlaywrightTimeout):
                output.wait_for(timeout=3_000)
                break
        return output.inner_text(timeout=1000)

    def stop(self) -> None:
        """Stop the server on the home page."""
        self.page.goto(f"{self.testbed.hub_url}/hub/home")
        self.page.locator("#stop").click()
        self.page.locator("#stop").wait_for(state="hidden", timeout=60_000)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Let fixtures see whether their test failed."""
    outcome = yield
    if call.when == "call":
        item.stash[FAILED] = outcome.get_result().failed  # type: ignore[attr-defined]


@contextlib.contextmanager
def in_browser(
    browser: Browser, testbed: Testbed, name: str, request: pytest.FixtureRequest
) -> Iterator[Person]:
    """Let somebody log in; afterwards say what the page showed to one whose test failed, and stop the server."""
    context = browser.new_context()
    page = context.new_page()
    person = Person(page, testbed, name)
    person.log_in()
    yield person
    if request.node.stash.get(FAILED, False):
        picture = testbed.layout.root / f"{request.node.name}.png"
        page.screenshot(path=picture)
        print(f"\nwhat the page showed: {picture}\n{page.inner_text('body')[:2000]}")
        for log in sorted((testbed.layout.root / "logs").glob("*.log")):
            print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
    page.goto(f"{testbed.hub_url}/hub/home")
    page.evaluate(
        """async (name) => {
            const xsrf = window.jhdata.xsrf_token;
            await fetch(`${window.jhdata.base_url}api/users/${name}/server?_xsrf=${xsrf}`, {method: 'DELETE'});
        }""",
        name,
    )
    context.close()
    wait_until(lambda: not pods_of(testbed, name), f"all pods of {name} are gone")


@pytest.fixture
def ada(browser: Browser, testbed: Testbed, request: pytest.FixtureRequest) -> Iterator[Person]:
    """A user of every site, logged in; her server and all jobs at Padova are gone afterwards."""
    with in_browser(browser, testbed, "ada", request) as person:
        yield person
    for job in jobs(testbed, "padova"):
        testbed.slurm("scancel", job)
    wait_until(lambda: not jobs(testbed, "padova"), "all jobs are gone")


@pytest.fixture
def bruno(browser: Browser, testbed: Testbed, request: pytest.FixtureRequest) -> Iterator[Person]:
    """A user without groups, logged in; his server is gone afterwards."""
    with in_browser(browser, testbed, "bruno", request) as person:
        yield person


def pods_of(testbed: Testbed, user: str) -> list[str]:
    """Return the names of a user's pods."""
    found = testbed.cluster.pods("rayster")
    owner = "hub.jupyter.org/username"
    return [
        pod["metadata"]["name"] for pod in found if pod["metadata"].get("annotations", {}).get(owner) == user
    ]


def jobs(testbed: Testbed, partition: str | None = None, state: str | None = None) -> list[str]:
    """Return the ids of the jobs in the queue."""
    words = ["-h", "-o", "%A"]
    words += ["-p", partition] if partition else []
    words += ["-t", state] if state else []
    return testbed.slurm("squeue", *words).split()


def wait_until(is_so, what: str, timeout_seconds: float = 60) -> None:
    """Wait until ``is_so()``; fail with ``what`` was waited for."""
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what}"
        time.sleep(0.25)


def fill(testbed: Testbed) -> str:
    """Submit somebody else's job that takes a whole node of padova for an hour; return its id."""
    script = testbed.layout.root / "fill.sh"
    script.write_text("#!/bin/bash\nsleep 600\n")
    words = ("-p", "padova", "-c", "16", "--mem=1000", "-t", "60", "-o", "/dev/null", "--job-name=filler")
    return testbed.slurm("sbatch", "--parsable", *words, str(script)).strip()


@pytest.fixture
def full_padova(testbed: Testbed) -> Iterator[list[str]]:
    """Fill the partition padova with other people's jobs; yields their ids."""
    fillers = [fill(testbed) for _ in range(2)]
    wait_until(lambda: len(jobs(testbed, "padova", "R")) == 2, "both nodes of padova are taken")
    yield fillers
    for job in set(fillers) & set(jobs(testbed)):
        testbed.slurm("scancel", job)
