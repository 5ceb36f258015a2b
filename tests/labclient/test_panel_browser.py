"""The panel as a person meets it: in real front-ends, with a real kernel, and a service that does as the test says."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from ..chromium import LAUNCH
from ..form.pages_in_browser import CONTRAST
from ..labextension.conftest import TOKEN, Server, server_in
from .stub_service import Stub, cluster, error, profile, row

pytestmark = pytest.mark.browser

THEMES = "@jupyterlab/apputils-extension:themes"
LOADING_MS, SOON_MS = 60_000, 20_000
ID = "ray-7d2k9x0q1a"
CONTRAST_OF_PANEL = CONTRAST.replace('"main *"', '".rs-ray *"')


def busy_cluster(**other):
    """One worker has joined, one waits in the queue, one has failed."""
    name = f"{ID}-w-worker"
    told = {
        "name": "tracking scan", "title": "tracking scan", "state": "running", "message": "1 of 3 workers joined, 1 queued.",
        "joined": 1,
        "wanted": {"workers": 3, "cpus": 4.0, "memory_mib": 8192, "gpus": 1, "walltime_minutes": 120, "image": "lab"},
        "workers": [
            row(f"{name}-a1", "joined", job_id="4217", address="10.128.3.7", time_left_seconds=6900, cpus=4.0, gpus=1.0),
            row(f"{name}-b1", "queued", job_id="4218", reason="Waiting for free nodes.", raw_reason="Resources", position=3,
                expected_start_in_seconds=840, cpus=4.0, gpus=1.0),
            row(f"{name}-c1", "failed", job_id="4219", reason="The job reached its time limit.", raw_reason="TIMEOUT",
                cpus=4.0, gpus=1.0),
        ],
        "ended": [row(f"{name}-z1", "lost", job_id="4200", reason="The job was cancelled at the site.", since_seconds=400)],
        "resources": {"cpus_total": 4.0, "cpus_used": 3.0, "gpus_total": 1.0, "gpus_used": 1.0},
        "problems": [{"code": "idle", "message": "No notebook has been attached for 50 min; the cluster will be stopped "
                      "because nobody uses it.", "do": "Attach to it to keep it."}],
        "idle": {"idle_seconds": 3000, "stops_in_seconds": 580, "warned": True},
    }  # fmt: skip
    return cluster(ID, **{**told, **other})


def notebook(*cells: str) -> str:
    """A notebook as a file."""
    code = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": cell,
        }
        for number, cell in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def service() -> Iterator[Stub]:
    stub = Stub().start()
    yield stub
    stub.stop()


@pytest.fixture(scope="module")
def server(service: Stub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server_in(tmp_path_factory.mktemp("jupyter"), service.environment) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**LAUNCH)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def open_notebook(server: Server, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Factory: a notebook of these cells, opened in a front-end, the first cell run."""
    contexts = []

    def open_(name: str, *cells: str, where: str = "", width: int = 1180, runs: bool = True) -> Page:
        file = server.directory / "home" / f"{name}.ipynb"
        if cells:
            file.write_text(notebook(*cells))
        contexts.append(browser.new_context(viewport={"width": width, "height": 1400}))
        contexts[-1].grant_permissions(["clipboard-read", "clipboard-write"])
        page = contexts[-1].new_page()
        # A workspace of its own: it would open the others' notebooks, too.
        where = where or f"lab/workspaces/{name}/tree"
        page.goto(f"{server.url}{where}/{file.name}?token={TOKEN}")
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=LOADING_MS)
        if runs:
            # What is run before there is a kernel is not run at all.
            expect(page.get_by_role("button", name=re.compile(r"\| Idle$"))).to_be_visible(timeout=LOADING_MS)
            run(page, 0)
        return page

    yield open_
    for context in contexts:
        context.close()


def run(page: Page, number: int) -> None:
    """Run a cell."""
    page.locator(".jp-Cell").nth(number).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")


def panel_of(page: Page) -> Locator:
    return page.locator(".rs-ray")


@pytest.fixture(scope="module")
def lab_page(open_notebook, service) -> Page:
    """JupyterLab with a panel, and a cell that takes long."""
    page = open_notebook(
        "ray", "from rayster_lab import RayCluster, panel\npanel()", "import time; time.sleep(600)"
    )
    expect(panel_of(page)).to_be_visible(timeout=LOADING_MS)
    return page


@pytest.fixture
def lab(lab_page, service) -> Iterator[Page]:
    """The page; afterwards there are no clusters."""
    service.profiles = [profile()]
    yield lab_page
    service.tell()
    expect(panel_of(lab_page).locator(".rs-cluster")).to_have_count(0, timeout=SOON_MS)


@pytest.fixture
def shot(tmp_path: Path) -> Callable[[Page, str], None]:
    """Take a picture, for people to look at."""
    return lambda page, name: page.screenshot(path=tmp_path / f"{name}.png")


def test_somebody_without_a_cluster_is_offered_one_within_bounds(lab, service, shot):
    panel = panel_of(lab)
    form = panel.get_by_role("form", name="New Ray cluster")
    expect(form).to_be_visible(timeout=SOON_MS)
    expect(form).to_contain_text("Busy, typical wait about 25 min")
    expect(form.get_by_label("Cores of each")).to_have_value("2")
    expect(form).to_contain_text("1 to 16")
    shot(lab, "form")
    wrong = [{"field": "workers", "value": "99", "reason": "must be 0 to 8"}]
    service.answer_once("POST", "clusters", lambda: error(400, "bad-request", "all", wrong))
    form.get_by_label("Workers", exact=True).fill("99")
    form.get_by_role("button", name="Start").click()
    expect(form).to_contain_text("Must be 0 to 8.", timeout=SOON_MS)
    expect(form.get_by_label("Workers", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("Workers", exact=True)).to_be_focused()
    service.made = lambda asked: busy_cluster()
    form.get_by_label("Workers", exact=True).fill("3")
    expect(form.get_by_role("status")).to_have_text("3 workers at padova: 2 cores, 4 GiB each for 2h.")
    form.get_by_role("button", name="Start").click()
    expect(panel.get_by_role("heading", name="tracking scan")).to_be_visible(timeout=SOON_MS)
    expect(form).to_be_hidden()
    asked = service.asked("POST", "clusters")[-1]
    assert (asked["workers"], asked["cpus"], asked["memory"], asked["walltime"]) == (3, 2, 4, "2h")


def test_each_worker_has_its_state_in_words_and_its_reason(lab, service, shot):
    service.tell(busy_cluster())
    table = panel_of(lab).get_by_role("table", name="Nodes of tracking scan")
    rows = table.get_by_role("row")
    expect(rows).to_have_count(5, timeout=SOON_MS)
    queued = rows.filter(has_text="Worker 2")
    expect(queued).to_contain_text("Queued")
    expect(queued).to_contain_text("job 4218")
    expect(queued).to_contain_text("Waiting for free nodes.")
    expect(queued.locator("code")).to_have_text("Resources")
    expect(queued).to_contain_text(re.compile(r"3rd in line, expected to start about \d.*, in 1[34] min"))
    meter = panel_of(lab).get_by_role("meter", name="CPUs")
    expect(meter).to_have_attribute("aria-valuetext", "3 of 4 in use")
    expect(panel_of(lab)).to_contain_text(re.compile(r"1 h 5\d min"))
    expect(panel_of(lab)).to_contain_text("nobody uses it. That is in 9 min. Attach to it to keep it.")
    link = panel_of(lab).get_by_role("link", name="Ray dashboard")
    expect(link).to_have_attribute("href", f"/services/rayster/api/clusters/{ID}/dashboard/")
    panel_of(lab).get_by_role("button", name="Copy RayCluster.connect").click()
    assert lab.evaluate("navigator.clipboard.readText()") == f'RayCluster.connect("{ID}")'
    assert lab.evaluate(CONTRAST_OF_PANEL) == []
    shot(lab, "cluster")


def test_what_changes_is_pushed_and_leaves_the_keyboard_where_it_is(lab, service):
    service.tell(busy_cluster())
    panel = panel_of(lab)
    number = panel.get_by_role("spinbutton", name="Workers")
    expect(number).to_be_visible(timeout=SOON_MS)
    number.fill("5")
    done = [row(f"{ID}-w-worker-{letter}1", "joined") for letter in "abc"]
    service.tell(
        busy_cluster(message="3 of 3 workers joined.", joined=3, workers=done, problems=[], idle=None)
    )
    expect(panel).to_contain_text("3 of 3 workers joined.", timeout=SOON_MS)
    expect(panel.locator("[role=status]").last).to_have_text("tracking scan: 3 of 3 workers joined.")
    expect(number).to_be_focused()
    expect(number).to_have_value("5")
    lab.keyboard.press("Enter")
    until(lambda: service.asked("PATCH", f"clusters/{ID}")[-1:] == [{"workers": 5}], lab)


def until(what: Callable[[], bool], page: Page) -> None:
    """Wait, while the page lives, until ``what`` is so."""
    for _ in range(200):
        if what():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it has not come to be so within 20 s")


def test_a_cluster_can_be_stopped_by_keyboard_while_a_cell_runs(lab, service, shot):
    service.tell(busy_cluster())
    panel = panel_of(lab)
    stop = panel.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_visible(timeout=SOON_MS)
    run(lab, 1)
    expect(lab.locator(".jp-Cell").nth(1).locator(".jp-InputPrompt")).to_have_text("[*]:", timeout=SOON_MS)
    stop.focus()
    lab.keyboard.press("Enter")
    question = panel.get_by_role("alertdialog")
    expect(question).to_contain_text("Stop tracking scan? Its 4 nodes end")
    shot(lab, "confirm")
    expect(question.get_by_role("button", name="Keep it")).to_be_focused()
    lab.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(stop).to_be_focused()
    assert service.asked("DELETE", f"clusters/{ID}") == []
    stop.click()
    question.get_by_role("button", name="Stop it").click()
    expect(panel.locator(".rs-cluster")).to_have_count(0, timeout=SOON_MS)
    assert service.asked("DELETE", f"clusters/{ID}") == [None]
    lab.keyboard.press("Escape")
    lab.locator(".jp-Cell").nth(1).click()
    lab.keyboard.press("Escape")
    lab.keyboard.press("i")
    lab.keyboard.press("i")
    expect(lab.locator(".jp-Cell").nth(1).locator(".jp-InputPrompt")).not_to_have_text(
        "[*]:", timeout=SOON_MS
    )


def test_a_log_is_followed_until_somebody_reads_it(lab, service, shot):
    service.log_lines = [f"epoch {number}" for number in range(100)]
    service.tell(busy_cluster())
    panel = panel_of(lab)
    panel.get_by_role("button", name="Log of worker 1").click(timeout=SOON_MS)
    log = panel.get_by_role("region", name="Log of worker 1")
    text = log.locator("pre")
    expect(text).to_contain_text("epoch 99", timeout=SOON_MS)
    assert "follow=true" in service.queries[-1]
    assert "tail=500" in service.queries[-1]
    at_end = "pre => pre.scrollHeight - pre.scrollTop - pre.clientHeight < 20"
    until(lambda: text.evaluate(at_end), lab)
    shot(lab, "log")
    text.evaluate("pre => { pre.scrollTop = 0; }")
    expect(log.get_by_label("Follow")).not_to_be_checked()
    service.log_lines.append("<b>the last one</b>")
    expect(text).to_contain_text("<b>the last one</b>", timeout=SOON_MS)
    assert text.evaluate("pre => pre.scrollTop") == 0
    log.get_by_role("button", name="Close the log").click()
    expect(log).to_be_hidden()


def test_a_service_that_is_away_is_said_and_what_was_known_stays(lab, service, shot):
    service.tell(busy_cluster())
    panel = panel_of(lab)
    expect(panel.locator(".rs-cluster")).to_be_visible(timeout=SOON_MS)
    service.answer_once(
        "GET", "clusters/events", *[lambda: error(503, "unavailable", "it is being mended")] * 3
    )
    service.drop_streams()
    expect(panel).to_contain_text(re.compile(r"Unknown since \d.*asked again by itself"), timeout=SOON_MS)
    expect(panel.locator(".rs-cluster")).to_be_visible()
    shot(lab, "away")
    expect(panel).not_to_contain_text("Unknown since", timeout=SOON_MS)


def test_a_failed_cluster_says_why_and_one_click_restarts_it(lab, service, shot):
    problem = {"code": "workers-failed", "message": "3 workers in a row have failed: <i>out of memory</i>.",
               "do": "Ask for more memory."}  # fmt: skip
    down = {"head": None, "workers": [], "joined": 0, "resources": None, "time_left_seconds": None}
    service.tell(
        busy_cluster(state="failed", message="It has failed.", problems=[problem], idle=None, **down)
    )
    panel = panel_of(lab)
    expect(panel).to_contain_text("have failed: <i>out of memory</i>. Ask for more memory.", timeout=SOON_MS)
    expect(panel.get_by_role("button", name="Attach")).to_have_attribute("aria-disabled", "true")
    shot(lab, "failed")
    panel.get_by_role("button", name="Restart").click()
    until(lambda: service.asked("POST", f"clusters/{ID}/restart") == [{}], lab)


def test_clusters_that_stop_are_stopped_or_have_gpus_say_so(lab, service, shot):
    rows = [row(f"ray-going00000-w-worker-{one}", "stopping", job_id=f"42{one}") for one in (11, 12)]
    service.profiles = [profile(name="leonardo-gpu", title="Leonardo GPU", site="leonardo")]
    service.tell(
        busy_cluster(),
        cluster("ray-going00000", name="going", title="going", state="stopping", joined=0, workers=rows, resources=None,
                message="It is being stopped; its jobs are taken out of the queue."),
        cluster("ray-resting000", name="resting", title="resting", state="suspended", joined=0, workers=[], resources=None,
                message="Stopped because nobody used it for 1 h."),
    )  # fmt: skip
    panel = panel_of(lab)
    going = panel.locator(".rs-cluster", has_text="being stopped")
    expect(going.get_by_role("button", name="Attach")).to_have_count(0, timeout=SOON_MS)
    expect(panel.locator(".rs-cluster", has_text="nobody used it")).to_contain_text("Stopped")
    for title in ("tracking scan", "going"):
        button = panel.get_by_role("button", name=title, exact=True)
        if button.get_attribute("aria-expanded") == "false":
            button.click()
    expect(panel.locator(".rs-cluster", has_text="tracking scan")).to_contain_text("1 GPU")
    assert lab.evaluate(CONTRAST_OF_PANEL) == []
    assert panel.evaluate("one => one.scrollWidth <= one.clientWidth")
    shot(lab, "stopping")


def test_what_keeps_the_notebook_from_attaching_is_said_in_the_panel(lab, service, shot):
    service.tell(busy_cluster())
    refusal = {"status": 409, "code": "not-ready", "message": "Its head is not up yet. The head was lost."}
    service.answer_once("GET", f"clusters/{ID}/attach", lambda: error(**refusal))
    panel = panel_of(lab)
    panel.get_by_role("button", name="Attach").click(timeout=SOON_MS)
    expect(panel.locator(".rs-note[data-tone=danger]")).to_contain_text(
        "Its head is not up yet.", timeout=SOON_MS
    )


def test_a_second_front_end_in_the_dark_and_narrow_shows_the_same(lab, server, service, open_notebook, shot):
    service.tell(busy_cluster())
    expect(panel_of(lab).locator(".rs-cluster")).to_be_visible(timeout=SOON_MS)
    lab.keyboard.press("Control+s")
    expect(lab.locator(".jp-mod-dirty")).to_have_count(0, timeout=SOON_MS)
    server.write_settings(THEMES, {"theme": "JupyterLab Dark"})
    second = open_notebook("ray", where="notebooks", width=420, runs=False)
    expect(panel_of(second).locator(".rs-cluster")).to_be_visible(timeout=LOADING_MS)
    expect(second.locator("body")).to_have_attribute("data-jp-theme-light", "false", timeout=SOON_MS)
    expect(second.locator(".rayster-saved")).to_be_hidden()
    assert second.evaluate(CONTRAST_OF_PANEL) == []
    assert panel_of(second).evaluate("one => one.scrollWidth <= one.clientWidth")
    shot(second, "dark-narrow")
    panel_of(second).get_by_role("button", name="Scale").click()
    until(lambda: service.asked("PATCH", f"clusters/{ID}")[-1:] == [{"workers": 3}], second)
    # An emptied field is not zero workers.
    panel_of(second).get_by_role("spinbutton", name="Workers").fill("")
    panel_of(second).get_by_role("button", name="Scale").click()
    until(lambda: service.asked("PATCH", f"clusters/{ID}")[-1:] == [{"workers": ""}], second)
    server.write_settings(THEMES, {"theme": "JupyterLab Light"})


def test_waiting_shows_its_progress_in_one_output(open_notebook, service):
    waiting = busy_cluster(joined=0, message="0 of 3 workers joined, 3 queued.", state="queued", problems=[])
    service.tell(waiting)
    page = open_notebook(
        "wait", f'from rayster_lab import RayCluster\nc = RayCluster.connect("{ID}")\nc.wait(timeout=60)', "c"
    )
    outputs = page.locator(".jp-Cell").first.locator(".jp-OutputArea-output")
    expect(outputs).to_contain_text("0 of 3 workers joined", timeout=LOADING_MS)
    expect(outputs).to_contain_text("worker 2: queued · job 4218 · place 3")
    service.tell(busy_cluster(joined=3, message="3 of 3 workers joined.", problems=[]))
    expect(outputs).to_contain_text("3 of 3 workers joined.", timeout=SOON_MS)
    expect(outputs).to_have_count(1)
    run(page, 1)
    expect(panel_of(page).get_by_role("heading", name="tracking scan")).to_be_visible(timeout=SOON_MS)
    service.tell()
    expect(panel_of(page)).to_contain_text("It was stopped.", timeout=SOON_MS)


def test_a_kernel_that_is_restarted_is_said_and_nothing_can_be_clicked(open_notebook, service, shot):
    service.tell(busy_cluster())
    page = open_notebook("restart", "from rayster_lab import panel\npanel()")
    expect(panel_of(page).locator(".rs-cluster")).to_be_visible(timeout=LOADING_MS)
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    page.keyboard.press("0")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(panel_of(page)).to_contain_text(
        "The kernel of this panel has ended or was restarted", timeout=LOADING_MS
    )
    shot(page, "restarted")
    expect(panel_of(page).get_by_role("button", name="Stop", exact=True)).to_have_attribute(
        "aria-disabled", "true"
    )


def test_a_server_without_the_service_says_so(open_notebook, shot):
    cells = "import os\ndel os.environ['RAYSTER_SERVICE_URL']\nfrom rayster_lab import panel\npanel()"
    page = open_notebook("none", cells, "from rayster_lab import RayCluster\nRayCluster()")
    expect(panel_of(page)).to_contain_text("This kernel knows of no RaySTER service", timeout=LOADING_MS)
    run(page, 1)
    output = page.locator(".jp-Cell").nth(1).locator(".jp-OutputArea-output")
    expect(output).to_contain_text("NoService: This kernel knows of no RaySTER service", timeout=SOON_MS)
    expect(output).not_to_contain_text("Traceback")
    shot(page, "no-service")
