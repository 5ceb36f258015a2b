"""The wait as somebody in a browser lives it: the place, the reason, how it goes on and why it ends."""

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from rayster_testbed.testbed import Testbed

from .conftest import Person, fill, jobs, pods_of, wait_until
from .faults import kill_and_start, server_jobs, start_all, submitted
from .hub_client import PRINT_JOB, HubUser, Server, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SHORT = {"profile": "short", "cpu": 1, "memory": "512Mi"}
HOUR_FROM_NOW = re.compile(r"in about (59 min|1 h( 00 min)?)")


@pytest.fixture(scope="module", autouse=True)
def short_server(testbed: Testbed) -> Iterator[Server]:
    """Bruno's server at another site, asked for before the others wait: SLURM's shortest walltime is a minute."""
    server = HubUser(testbed, "bruno").server()
    submitted(server, SHORT)
    server.wait_ready()
    yield server
    if server.model() is not None:
        server.stop()


@pytest.fixture
def parts(ada: Person) -> Iterator[dict[str, Any]]:
    """The testbed's parts; those that a failed test left down are started, before ada's server is stopped."""
    yield ada.testbed.parts
    start_all(ada.testbed)


def shown(person: Person, name: str) -> Any:
    """Return what the pending page shows in ``data-<name>``, as something to expect things of."""
    return person.page.locator(f"[data-{name}]")


def queue_at_padova(person: Person) -> str:
    """Ask for a server at Padova in the form; return its job."""
    person.choose("Padova SLURM")
    person.start()
    wait_until(lambda: padova_jobs(person), "the job is submitted")
    (job,) = padova_jobs(person)
    return job


def padova_jobs(person: Person) -> dict[str, str]:
    """Return the jobs at Padova that are servers: job id -> uid of its pod."""
    return server_jobs(person.testbed, partition="padova")


def test_place_in_a_full_queue_is_shown_and_outlives_hub_api_server_service_and_agent(
    ada, full_padova, parts
):
    first = fill(ada.testbed)
    job = queue_at_padova(ada)
    expect(shown(ada, "state")).to_contain_text("Queued at padova", timeout=30_000)
    expect(shown(ada, "job-id")).to_contain_text(job, timeout=30_000)
    expect(shown(ada, "position")).to_contain_text("2", timeout=30_000)
    expect(shown(ada, "expected")).to_be_visible(timeout=30_000)
    expect(shown(ada, "expected-in")).to_have_text(HOUR_FROM_NOW, timeout=30_000)
    expect(shown(ada, "raw-reason")).to_have_text(re.compile("Resources|Priority"), timeout=30_000)

    # Without the hub the page goes on, by way of the service.
    parts["hub"].kill(signal.SIGKILL)
    ada.testbed.slurm("scancel", first)
    expect(shown(ada, "position")).to_contain_text("1", timeout=60_000)
    parts["hub"].start()
    parts["hub"].wait_ready()
    for part in ("apiserver", "padova-agent", "service"):
        kill_and_start(ada.testbed, part)
        assert list(padova_jobs(ada)) == [job], part
    ada.page.reload()
    expect(shown(ada, "position")).to_be_visible(timeout=60_000)
    expect(shown(ada, "job-id")).to_contain_text(job)

    ada.testbed.slurm("scancel", full_padova[0])
    ada.wait_for_lab()
    assert ada.run_cell(PRINT_JOB).split() == [job, "padova"]
    assert list(padova_jobs(ada)) == [job] and len(pods_of(ada.testbed, "ada")) == 1


def test_queued_job_that_is_cancelled_at_the_site_ends_the_wait_and_its_page_says_so(ada, full_padova):
    job = queue_at_padova(ada)
    expect(shown(ada, "state")).to_contain_text("Queued at padova", timeout=30_000)
    ada.testbed.slurm("scancel", job)
    # As found, the virtual node would say for ever that it is pending.
    expect(ada.page.get_by_text("cancelled at the site").first).to_be_visible(timeout=60_000)
    wait_until(lambda: not pods_of(ada.testbed, "ada"), "the pod is gone")
    ada.page.goto(f"{ada.testbed.hub_url}/user/ada/lab")
    expect(ada.page.get_by_text("cancelled at the site").first).to_be_visible()


def test_second_tab_and_a_reload_show_the_same_place(ada, full_padova):
    job = queue_at_padova(ada)
    expect(shown(ada, "position")).to_be_visible(timeout=30_000)
    second = ada.page.context.new_page()
    second.goto(f"{ada.testbed.hub_url}/hub/spawn-pending/ada")
    ada.page.reload()
    for page in (ada.page, second):
        expect(page.locator("[data-job-id]")).to_contain_text(job, timeout=30_000)
        expect(page.locator("[data-position]")).to_be_visible(timeout=30_000)
    second.close()
    assert len(jobs(ada.testbed, "padova", "PD")) == 1


def test_server_that_reached_its_walltime_says_so_and_starts_again_with_the_same_options(bruno, short_server):
    first = server_jobs(bruno.testbed, "all", "dcgp_usr_prod")
    # SLURM looks at walltimes every half minute.
    wait_for(lambda: short_server.model() is None, "the server has ended", 180)
    bruno.page.goto(f"{bruno.testbed.hub_url}/user/bruno/")
    expect(bruno.page.get_by_text("time limit").first).to_be_visible(timeout=30_000)
    bruno.page.get_by_role("button", name="Start again with the same options").click()
    expect(bruno.page.get_by_role("heading", name="Light server")).to_be_visible(timeout=60_000)
    (again,) = server_jobs(bruno.testbed, partition="dcgp_usr_prod")
    assert again not in first
    assert bruno.testbed.slurm("squeue", "-h", "-j", again, "-o", "%C %l").split() == ["1", "1:00"]
