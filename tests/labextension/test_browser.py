"""The walltime as a person sees it, in a real JupyterLab."""

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

THEMES = "@jupyterlab/apputils-extension:themes"
NOTIFICATIONS = ".Toastify__toast"
LOADING_MS = 60_000


@pytest.fixture(scope="module")
def ending_soon(start_server):
    """A server whose job SLURM ends in 9 minutes."""
    return start_server(SLURM_JOB_END_TIME=int(time.time()) + 9 * 60)


@pytest.fixture
def open_page(browser: Browser):
    """Factory of open JupyterLabs."""
    contexts = []

    def open_(server, has_clock: bool = False) -> Page:
        contexts.append(browser.new_context(viewport={"width": 1000, "height": 480}))
        page = contexts[-1].new_page()
        if has_clock:
            page.clock.install()
        page.goto(server.page)
        page.locator(".jp-LauncherCard").first.wait_for(timeout=LOADING_MS)
        return page

    yield open_
    for context in contexts:
        context.close()


def status(page: Page):
    """The item of the status bar."""
    return page.get_by_role("timer")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_nine_minutes_before_the_end_it_says_so_and_warns(ending_soon, open_page, tmp_path, theme):
    ending_soon.write_settings(THEMES, {"theme": theme})
    page = open_page(ending_soon)
    expect(status(page)).to_have_text(re.compile(r"^[5-9] min left$"), timeout=LOADING_MS)
    expect(status(page)).to_have_attribute("data-urgency", "soon")
    expect(status(page)).to_have_attribute(
        "aria-label", re.compile(r"min left\. This server ends at \d.*running kernels")
    )
    toast = page.locator(NOTIFICATIONS)
    expect(toast).to_have_count(1)
    expect(toast).to_contain_text(re.compile(r"[5-9] min left: this server ends at"))
    expect(toast.get_by_role("button", name="Save all")).to_be_visible()
    page.screenshot(path=tmp_path / "walltime.png")


def test_a_reload_does_not_warn_again(ending_soon, open_page):
    page = open_page(ending_soon)
    expect(page.locator(NOTIFICATIONS)).to_have_count(1, timeout=LOADING_MS)
    page.reload()
    expect(status(page)).to_have_text(re.compile("min left"), timeout=LOADING_MS)
    page.wait_for_timeout(2500)  # two turns of the countdown
    expect(page.locator(NOTIFICATIONS)).to_have_count(0)


def test_the_last_warning_comes_and_stays_while_the_server_does_not_answer(ending_soon, open_page):
    page = open_page(ending_soon, has_clock=True)
    expect(status(page)).to_have_text(re.compile("min left"), timeout=LOADING_MS)
    left_minutes = int(status(page).inner_text().split(" min left")[0].split()[-1])
    page.context.set_offline(True)
    page.clock.fast_forward((left_minutes - 1) * 60 * 1000)
    expect(status(page)).to_have_attribute("data-urgency", "last")
    toast = page.locator(".jp-Notification-Toast-error").filter(has_text="this server ends at")
    expect(toast).to_contain_text(re.compile("1 min left"))
    page.clock.fast_forward(10 * 60 * 1000)
    expect(status(page)).to_have_text("Walltime reached")
    expect(toast).to_be_visible()


def test_a_computer_that_slept_asks_again(ending_soon, open_page):
    page = open_page(ending_soon, has_clock=True)
    expect(status(page)).to_have_text(re.compile("min left"), timeout=LOADING_MS)
    with page.expect_response("**/rayster/walltime*"):
        page.clock.fast_forward(100_000)


def test_somebody_who_switched_warnings_off_sees_the_time_alone(ending_soon, open_page):
    ending_soon.write_settings("rayster-lab:plugin", {"warnings": False})
    try:
        page = open_page(ending_soon)
        expect(status(page)).to_have_text(re.compile("min left"), timeout=LOADING_MS)
        page.wait_for_timeout(2500)  # two turns of the countdown
        expect(page.locator(NOTIFICATIONS)).to_have_count(0)
    finally:
        ending_soon.write_settings("rayster-lab:plugin", {})


def test_a_guessed_start_is_said_to_be_one(start_server, open_page):
    page = open_page(start_server(RAYSTER_WALLTIME_MINUTES=135))
    expect(status(page)).to_have_text(re.compile(r"^about 2 h 1[345] min left$"), timeout=LOADING_MS)
    expect(status(page)).to_have_attribute("data-urgency", "calm")
    expect(page.locator(NOTIFICATIONS)).to_have_count(0)


def test_without_a_walltime_there_is_nothing(start_server, open_page):
    server = start_server()
    page = open_page(server)
    with page.expect_response("**/rayster/walltime*", timeout=LOADING_MS) as answer:
        page.reload()
    assert answer.value.json()["seconds_left"] is None
    expect(page.locator(".jp-StatusBar-Right")).to_be_visible(timeout=LOADING_MS)
    expect(status(page)).to_be_hidden()
    expect(page.locator(NOTIFICATIONS)).to_have_count(0)
