"""A Ray cluster by the panel, in a browser, from a notebook in a SLURM job and from one in the cloud; and the example."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from rayster_testbed.layout import REPOSITORY

from .clusters import JOINED_SECONDS, nothing_is_left, ray_clusters, worker_jobs
from .conftest import Person, wait_until
from .hub_client import PADOVA, HubUser, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PANEL = "import rayster_lab\nrayster_lab.panel()"
JOBS = """import os, time, ray
@ray.remote(num_cpus=1)
def where():
    time.sleep(2)
    return os.environ.get("SLURM_JOB_ID")
print("JOBS", *sorted(set(ray.get([where.remote() for _ in range({count})], timeout=120))))"""
JOINED_MS, SOON_MS = JOINED_SECONDS * 1000, 60_000
EXAMPLE = REPOSITORY / "docs" / "examples" / "ray.ipynb"


def run_below(person: Person, code: str) -> list[str]:
    """Run code in a new cell at the end, and return the words that it prints after `JOBS`."""
    page = person.page
    outputs = page.locator(".jp-OutputArea-output", has_text="JOBS")
    before = outputs.count()
    page.locator(".jp-Notebook .jp-Cell").last.locator(".jp-InputPrompt").click()
    page.keyboard.press("b")
    cell = page.locator(".jp-Notebook .jp-Cell").last
    cell.locator(".cm-content").click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    expect(outputs).to_have_count(before + 1, timeout=150_000)
    return re.findall(r"\d+", outputs.last.inner_text().split("JOBS")[1])


def rows(panel: Locator, state: str) -> Locator:
    """Return the rows of the workers that are in a state, of those that have not ended."""
    return panel.locator(f".rs-rows[aria-label^='Nodes'] .rs-row[data-state={state}]", has_text="Worker")


def start_and_attach(ada: Person, server: str, workers: str) -> tuple[Locator, str, list[str]]:
    """Start a cluster of two workers, attach to it and compute; return the panel, the cluster and the workers' jobs."""
    testbed = ada.testbed
    ada.choose(server)
    ada.start()
    ada.wait_for_lab()
    ada.run_cell(PANEL)
    panel = ada.page.locator(".rs-ray").first
    form = panel.get_by_role("form", name="New Ray cluster")
    form.get_by_label("Where the workers run").select_option(label=workers, timeout=SOON_MS)
    form.get_by_label("Workers", exact=True).fill("2")
    form.get_by_label("Cores of each").fill("1")
    form.get_by_label("Memory of each, in GiB").fill("1")
    form.get_by_role("button", name="Start").click()

    expect(rows(panel, "joined")).to_have_count(2, timeout=JOINED_MS)
    (cluster,) = ray_clusters(testbed)
    jobs = worker_jobs(testbed, cluster)
    assert len(jobs) == 2
    for job in jobs:
        expect(panel.get_by_text(f"job {job}")).to_be_visible(timeout=SOON_MS)
    panel.get_by_role("button", name="Attach", exact=True).click()
    expect(panel.get_by_role("button", name="Detach")).to_be_visible(timeout=JOINED_MS)
    assert run_below(ada, JOBS.format(count=2)) == sorted(jobs)
    return panel, cluster, jobs


def test_cluster_is_started_and_attached_from_the_cloud(ada):
    start_and_attach(ada, "Cloud", "Padova from the cloud")
    ada.stop()
    nothing_is_left(ada.testbed)


def test_cluster_is_started_attached_scaled_and_mended_at_the_site(ada):
    testbed = ada.testbed
    panel, cluster, jobs = start_and_attach(ada, "Padova SLURM", "Padova SLURM")

    panel.get_by_role("spinbutton", name="Workers").fill("3")
    panel.get_by_role("button", name="Scale").click()
    expect(rows(panel, "joined")).to_have_count(3, timeout=JOINED_MS)
    victim = sorted(jobs)[0]
    testbed.slurm("scancel", victim)
    # A job that is cancelled ends its processes first, which takes its time on a busy machine.
    panel.locator("summary", has_text="Ended before").click(timeout=3 * SOON_MS)
    gone = panel.locator(".rs-ended-rows .rs-row", has_text=f"job {victim}")
    expect(gone).to_contain_text("cancelled at the site", timeout=SOON_MS)
    wait_until(
        lambda: victim not in (now := worker_jobs(testbed, cluster)) and len(now) == 3,
        "the worker is replaced",
        180,
    )
    expect(rows(panel, "joined")).to_have_count(3, timeout=JOINED_MS)
    assert run_below(ada, JOBS.format(count=3)) == sorted(worker_jobs(testbed, cluster))

    ada.stop()
    nothing_is_left(testbed)


def test_example_notebook_runs(testbed):
    ada = HubUser(testbed, "ada")
    server = ada.server()
    assert server.spawn(PADOVA).status_code in (201, 202)
    server.wait_ready()
    home = next((testbed.layout.homes / "padova").glob("ada*"))
    Path(home / "ray.ipynb").write_text(EXAMPLE.read_text())
    run = (
        "import subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'jupyter', 'execute', 'ray.ipynb'], "
        "capture_output=True, text=True, timeout=360)\n"
        "print('STATUS', done.returncode, done.stderr[-3000:])"
    )
    assert server.kernel().run(run, 400).startswith("STATUS 0")
    wait_for(lambda: not ray_clusters(testbed), "the example has stopped its cluster")
    server.stop()
    nothing_is_left(testbed)
