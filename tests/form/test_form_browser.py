"""The pages as people use them: a real hub, a real browser, by keyboard, on a phone, in the dark."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from rayster_spawner.options import ServerOptions
from rayster_spawner.quantities import format_walltime

from .pages_in_browser import CONTRAST, start

pytestmark = pytest.mark.browser

GPU = "#rs-leonardo-gpu"
PADOVA = "#rs-padova-slurm"


def focused(page):
    return page.evaluate("document.activeElement.id")


def summary(page, text):
    page.locator("[data-summary]", has_text=text).wait_for()


def test_server_is_chosen_and_started_by_keyboard_alone(visit):
    # Given the form
    page = visit("keys")
    page.focus("#rs-cloud")

    # When it is used with arrows, Tab and Enter only
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    assert focused(page) == PADOVA[1:]
    page.keyboard.press("Tab")
    assert focused(page) == "rs-padova-slurm-cpu"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    assert focused(page) == "rs-padova-slurm-memory"
    page.keyboard.type("8")
    page.keyboard.press("Tab")
    assert focused(page) == "rs-padova-slurm-walltime"
    page.keyboard.type("45m")
    page.keyboard.press("Enter")

    # Then that is what was asked for
    page.wait_for_url("**/spawn-pending/**")
    assert "Padova SLURM: 3 cores, 8 GiB for 45 min" in page.inner_text("main")


def test_focus_is_visible_on_every_stop(visit):
    page = visit("focus")
    page.focus("#rs-leonardo-gpu")
    page.keyboard.press("Space")
    for _ in range(12):
        page.keyboard.press("Tab")
        style = page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " return [e.id || e.className || e.tagName, s.outlineStyle, s.outlineWidth, s.boxShadow]; }"
        )
        assert style[1] != "none" or style[3] != "none", style


def test_edits_are_kept_while_looking_at_another_profile(visit):
    page = visit("edits")
    page.check(GPU)
    page.fill(f"{GPU}-cpu", "12")
    page.check("#rs-cloud")
    assert not page.is_visible(f"{GPU}-cpu")
    page.check(GPU)

    summary(page, "Leonardo GPU: 12 cores, 120 GiB, 1 GPU for 2 h")
    assert page.input_value(f"{GPU}-cpu") == "12"


def test_wrong_field_of_another_profile_does_not_stop_the_form(visit):
    page = visit("other")
    page.check(GPU)
    page.fill(f"{GPU}-cpu", "9999")

    start(page, "#rs-cloud")

    assert "Cloud: 1 core, 2 GiB" in page.inner_text("main")


def test_wrong_field_is_named_beside_it_and_nothing_is_sent(visit):
    # Given wrong cores and a wrong time limit, still being typed
    page = visit("wrong")
    page.check(PADOVA)
    page.fill(f"{PADOVA}-cpu", "99")
    page.fill(f"{PADOVA}-walltime", "soon")

    # When Start is clicked (and the field left by the same click)
    page.click(".rs-start button")

    # Then each field says what it allows, and the first has the focus
    assert page.inner_text(f"{PADOVA}-cpu-error") == "Must be a whole number, 1 to 16 cores."
    assert "10 min to 48 h" in page.inner_text(f"{PADOVA}-walltime-error")
    assert page.get_attribute(f"{PADOVA}-cpu", "aria-invalid") == "true"
    assert f"{PADOVA[1:]}-cpu-error" in page.get_attribute(f"{PADOVA}-cpu", "aria-describedby")
    assert focused(page) == f"{PADOVA[1:]}-cpu"
    assert urlsplit(page.url).path == "/hub/spawn"

    # And when they are put right, the form goes
    page.fill(f"{PADOVA}-cpu", "16")
    assert not page.is_visible(f"{PADOVA}-cpu-error")
    page.fill(f"{PADOVA}-walltime", "02:30:00")
    start(page)
    assert "16 cores, 4 GiB for 2 h 30 min" in page.inner_text("main")


def test_servers_error_takes_the_focus_and_its_summary_leads_there(visit):
    page = visit("server-error")
    page.check(PADOVA)
    page.fill(f"{PADOVA}-walltime", "<b>soon</b>")
    page.evaluate("document.getElementById('spawn_form').noValidate = true")
    page.click(".rs-start button")
    page.wait_for_selector("[data-problems]")

    assert focused(page) == f"{PADOVA[1:]}-walltime"
    assert page.input_value(f"{PADOVA}-walltime") == "<b>soon</b>"
    page.focus("#rs-cloud")
    page.click("[data-problems] a")
    assert focused(page) == f"{PADOVA[1:]}-walltime"


def test_form_works_without_javascript(visit):
    page = visit("plain", java_script_enabled=False)
    page.check(PADOVA)
    assert page.is_visible(f"{PADOVA}-cpu")
    assert not page.is_visible(f"{GPU}-cpu")
    assert not page.is_visible("#rs-cloud-cpu")
    page.fill(f"{PADOVA}-cpu", "99")
    page.click(".rs-start button")

    assert page.inner_text(f"{PADOVA}-cpu-error") == "Must be 1 to 16 cores."
    assert page.locator(":focus").get_attribute("id") == f"{PADOVA[1:]}-cpu"
    page.fill(f"{PADOVA}-cpu", "6")
    start(page)
    assert "Padova SLURM: 6 cores" in page.inner_text("main")


def test_slider_and_number_keep_in_step_within_the_bounds(visit):
    page = visit("slider")
    page.check(GPU)
    slider = page.locator("[data-option=leonardo-gpu] [data-control=memory] .rs-slider")
    slider.evaluate("s => { s.value = 100.4; s.dispatchEvent(new Event('input', {bubbles: true})); }")
    assert page.input_value(f"{GPU}-memory") == "100"
    slider.evaluate("s => { s.value = s.max; s.dispatchEvent(new Event('input', {bubbles: true})); }")
    assert page.input_value(f"{GPU}-memory") == "480"
    page.fill(f"{GPU}-memory", "200")

    assert slider.input_value() == "200"
    assert slider.get_attribute("tabindex") == "-1"


def test_preset_fills_the_time_limit(visit):
    page = visit("preset")
    page.check(PADOVA)
    page.click("[data-option=padova-slurm] >> text='8 h'")

    summary(page, "Padova SLURM: 2 cores, 4 GiB for 8 h")
    assert page.get_attribute("[data-option=padova-slurm] >> text='8 h'", "aria-pressed") == "true"


def test_link_of_a_choice_opens_the_same_choice_and_starts_nothing(visit):
    page = visit("link")
    page.check(GPU)
    page.fill(f"{GPU}-cpu", "12")
    page.fill(f"{GPU}-walltime", "1h30m")
    page.click("summary:has-text('Link to this choice')")
    link = page.input_value("[data-link]")

    page.goto(link)

    assert parse_qs(urlsplit(link).query) == {
        "profile": ["leonardo-gpu"],
        "image": ["torch"],
        "cpu": ["12"],
        "memory": ["120Gi"],
        "gpu": ["1"],
        "walltime": ["1h30m"],
    }
    summary(page, "Leonardo GPU: 12 cores, 120 GiB, 1 GPU for 1 h 30 min")


@pytest.mark.parametrize(
    "text",
    [
        *("90", "90m", "2h", "1d", "1h30m", "02:30:00", "00:00:01", "1-00:00:00", "10min", "1.5", " 4h "),
        *("", "soon", "1h 30m", "99:99:99", "400d", "-1", "1e3", "2H", "٣h"),
    ],
)
def test_script_reads_times_as_the_hub_does(stage, make_profile, time_page, text):
    profile = make_profile(walltime={"min": "1m", "max": "366d", "default": "1h"})
    try:
        expected = ServerOptions.parse({"walltime": text}, profile).walltime_minutes
    except ValueError:
        expected = None

    assert time_page.evaluate("text => raysterForm.parseMinutes(text)", text) == expected


@pytest.fixture(scope="module")
def time_page(stage, chromium):
    page = chromium.new_page()
    page.goto(f"{stage.url}/hub/login")
    page.add_script_tag(url=f"{stage.url}/hub/rayster/static/form.js")
    yield page
    page.close()


def test_script_says_times_as_the_hub_does(time_page):
    minutes = [1, 59, 60, 61, 90, 1440, 2880, 2881, 4320, 10080, 100000]

    said = time_page.evaluate("all => all.map((n) => raysterForm.durationWords(n))", minutes)

    assert said == [format_walltime(n) for n in minutes]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast_in_light_and_dark(visit, scheme):
    page = visit(f"contrast-{scheme}", color_scheme=scheme)
    page.check(GPU)
    page.fill(f"{GPU}-cpu", "99")
    page.click(".rs-start button")
    page.wait_for_selector(f"{GPU}-cpu-error:visible")
    assert page.evaluate(CONTRAST) == []

    page.fill(f"{GPU}-cpu", "9")
    start(page)
    assert page.evaluate(CONTRAST) == []


def test_dark_follows_the_system_and_the_hubs_own_switch(visit):
    ground = "getComputedStyle(document.querySelector('.rs-card')).backgroundColor"
    page = visit("dark", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(33, 37, 41)"
    dark = page.evaluate(ground)

    page.click("#dark-theme-toggle")

    assert page.evaluate(ground) != dark


@pytest.mark.parametrize("user", ["phone", "many"])
def test_phone_does_not_scroll_sideways(visit, user):
    page = visit(user, viewport={"width": 320, "height": 640})
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    page.check("input[name=profile] >> nth=1")
    page.click("summary:has-text('Link to this choice')")
    assert page.evaluate(overflow) == 0
    button = page.locator(".rs-start button").bounding_box()
    assert button["y"] + button["height"] <= 640, "the button stays within reach"

    start(page)
    assert page.evaluate(overflow) == 0


def test_every_control_has_a_name(visit):
    page = visit("names")
    page.check(GPU)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("main input, main select, main button, main a[href]")]
          .filter((e) => e.type !== "hidden" && e.getAttribute("aria-hidden") !== "true" && e.checkVisibility())
          .filter((e) => !(e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
            || e.textContent.trim()))
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("fieldset:not(:has(> legend))").count() == 0
    assert page.locator("[tabindex]:not([tabindex='-1'])").count() == 0
    assert page.get_by_role("radio", name="Leonardo GPU", exact=True).is_checked()
    assert page.get_by_role("spinbutton", name="Cores").is_visible()
    assert page.get_by_role("group", name="Where should it run?").count() == 1


# The pending page.


def steps(page):
    return page.eval_on_selector_all(
        "[data-step]",
        "all => all.map((e) => [...e.classList].filter((c) => c.startsWith('rs-is')).join() || '-')",
    )


def test_pending_page_follows_the_states(visit, stage):
    # Given a server that waits
    page = visit("wait")
    start(page, PADOVA)
    stage.tell("wait", {"message": "Submitted to padova", "state": "submitted"})
    stage.tell("wait", {"message": "Queued as job 4217: waiting for resources", "state": "queued"})

    # Then the page says the state, the job and the time
    page.locator("[data-state]", has_text="Queued as job 4217: waiting for resources").wait_for()
    assert steps(page) == ["rs-is-done", "rs-is-now", "-", "-"]
    assert page.inner_text("[data-job-id]") == "4217"
    assert re.fullmatch(r"\d+ s", page.inner_text("[data-elapsed]"))
    page.click("#progress-details summary")
    assert (
        page.locator("[data-log] li")
        .all_inner_texts()[-1]
        .endswith("Queued as job 4217: waiting for resources")
    )

    # And after a reload it says so again, and counts from the start of the spawn
    page.wait_for_timeout(1100)
    page.reload()
    page.locator("[data-state]", has_text="Queued as job 4217").wait_for()
    assert page.inner_text("[data-job-id]") == "4217"
    assert int(page.inner_text("[data-elapsed]").split()[0]) >= 1

    # And when the server runs, the user is taken there
    stage.tell("wait", {"message": "Starting", "state": "starting"}, {"end": "ready"})
    page.wait_for_url(lambda url: "spawn-pending" not in url, wait_until="commit")


def test_words_of_a_site_are_never_markup(visit, stage):
    page = visit("markup")
    start(page)
    stage.tell("markup", {"message": "<img src=x onerror=alert(1)> is text"})
    stage.tell(
        "markup", {"html_message": "<p>From <b>HTML</b><script>alert(2)</script></p>", "state": "queued"}
    )

    page.locator("[data-state]", has_text="From HTML").wait_for()
    page.locator("[data-log] li", has_text="<img src=x onerror=alert(1)> is text").wait_for(state="attached")
    assert page.locator("main img, main script, main b").count() == 0


def test_failed_start_gives_the_reason_and_a_way_back(visit, stage):
    page = visit("fail")
    page.check(PADOVA)
    page.fill(f"{PADOVA}-cpu", "11")
    start(page)
    stage.tell("fail", {"end": "failed", "message": "sbatch: error: <b>Invalid</b> account\nAsk for help."})

    page.locator("h1", has_text="could not start").wait_for()
    assert page.inner_text("[data-state]") == "sbatch: error: <b>Invalid</b> account\nAsk for help."
    assert not page.is_visible("[data-cancel]")
    page.click("[data-again]")
    page.wait_for_url("**/hub/spawn/*")
    assert page.is_checked(PADOVA)
    assert page.input_value(f"{PADOVA}-cpu") == "11"


def server_of(page, user, name):
    return page.evaluate(
        """async ([user, name]) => {
          const answer = await fetch(`/hub/api/users/${user}?_xsrf=${jhdata.xsrf_token}`);
          return (await answer.json()).servers[name] || null;
        }""",
        [user, name],
    )


def test_cancel_ends_the_default_server(visit, stage):
    page = visit("cancel")
    start(page, PADOVA)
    page.click("[data-cancel]")

    page.locator("h1", has_text="Cancelled").wait_for()
    assert server_of(page, "cancel", "") is None
    page.click("[data-again]")
    page.wait_for_url("**/hub/spawn/*")
    assert page.is_checked(PADOVA)


def test_cancel_of_a_named_server_leaves_the_default_one_waiting(visit, stage):
    # Given two servers that wait
    page = visit("named")
    start(page, PADOVA)
    page.goto("/hub/spawn/named/second")
    start(page, GPU)
    assert page.inner_text("[data-server-name]") == "second"

    # When the named one is cancelled on its page
    page.click("[data-cancel]")
    page.locator("h1", has_text="Cancelled").wait_for()

    # Then the other one waits on
    assert server_of(page, "named", "")["pending"] == "spawn"
    named = server_of(page, "named", "second")
    assert named is None or not (named["pending"] or named["ready"])


def test_cancel_that_the_hub_refuses_says_so_and_can_be_tried_again(visit, stage):
    page = visit("stuck")
    start(page)
    page.route(
        "**/api/users/stuck/server?*", lambda route: route.fulfill(status=500, json={"message": "site away"})
    )
    page.click("[data-cancel]")

    page.locator("[data-cancel-status]", has_text="Could not cancel: site away").wait_for()
    assert page.is_enabled("[data-cancel]")


def test_an_unchanged_state_is_said_once_while_the_time_goes_on(visit, stage):
    page = visit("patient")
    start(page)
    said = "Queued at padova as job 7, {} so far: waiting for its turn"
    for seconds, words in ((65, "1 min"), (11045, "3 h 04 min")):
        event = {"message": said.format(words), "state": "queued", "job_id": "7", "elapsed_seconds": seconds}
        stage.tell("patient", event)

    page.locator("[data-elapsed]", has_text="3 h 04 min").wait_for()
    assert page.inner_text("[data-state]") == "Queued at padova as job 7: waiting for its turn"
    assert page.locator("[data-log] li", has_text="Queued").count() == 1


def test_lost_hub_is_waited_for(visit, stage):
    # Given a hub that goes away: the stream breaks, and the proxy answers 503
    page = visit("lost")
    start(page)
    is_away = True

    def answer(route):
        # The page itself is there already; what its script asks for is not.
        if is_away and not route.request.is_navigation_request():
            route.fulfill(status=503, body="away")
        else:
            route.continue_()

    page.add_init_script(
        "const wait = window.setTimeout; window.setTimeout = (f, ms, ...rest) => wait(f, Math.min(ms, 100), ...rest);"
    )
    page.route("**/server/progress*", answer)
    page.route("**/spawn-pending/lost*", answer)
    page.reload()
    page.locator("[data-connection]", has_text="does not answer").wait_for()

    # Then the page that is there is kept while there is no other
    with page.expect_response("**/spawn-pending/lost*"):
        pass
    assert page.is_visible("[data-cancel]")

    # And when the hub is back, the page follows again
    stage.tell("lost", {"message": "Queued again", "state": "queued"})
    is_away = False
    page.locator("[data-state]", has_text="Queued again").wait_for()
    assert not page.is_visible("[data-connection]")


def test_start_that_failed_before_the_page_was_there_says_why(visit):
    # Given a hub that has given up already: it follows no start any more, and its page about it is a 503 of its own
    page = visit("late")
    start(page)
    hubs_own = {"X-JupyterHub-Version": "6.1.1", "Content-Type": "text/html"}
    has_failed = False

    def answer(route):
        if has_failed or not route.request.is_navigation_request():
            route.fulfill(status=503, headers=hubs_own, body="<p>SLURM refused the job</p>")
        else:
            route.continue_()

    page.add_init_script(
        "const wait = window.setTimeout; window.setTimeout = (f, ms, ...rest) => wait(f, Math.min(ms, 100), ...rest);"
    )
    page.route("**/server/progress*", lambda route: route.fulfill(status=400, body="not starting"))
    page.route("**/spawn-pending/late*", answer)
    page.reload(wait_until="commit")
    has_failed = True

    # Then the page that the script asks for again is the one that says why
    page.get_by_text("SLURM refused the job").wait_for()
