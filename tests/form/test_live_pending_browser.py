"""The pending page with a queue, two streams that break one by one, and a notification at its end."""

import re

import pytest

from .pages_in_browser import CONTRAST, start

pytestmark = pytest.mark.browser

PADOVA = "#rs-padova-slurm"
# A page that is never patient for longer than half a second.
HASTY = "const wait = window.setTimeout; window.setTimeout = (f, ms, ...rest) => wait(f, Math.min(ms, 500), ...rest);"


def report(**changes):
    """Return an event as the hub and the service send it."""
    event = {
        "state": "queued",
        "message": "Queued at padova as job 4217, 3rd in line, expected to start in about 14 min, 2 min so far: "
        "Waiting for free nodes.",
        "reason": "Waiting for free nodes.",
        "raw_reason": "Resources",
        "job_id": "4217",
        "position": 3,
        "expected_start_in_seconds": 840,
        "elapsed_seconds": 130,
        "site": "padova",
        "partition": "slow",
        "heard_seconds_ago": 4,
        "note": "",
    }
    return event | changes


RUNNING = report(
    state="running",
    message="Running at padova as job 4217, waiting for JupyterLab to answer, 3 min so far",
    reason="",
    raw_reason="",
    position=None,
    expected_start_in_seconds=None,
)


@pytest.fixture
def wait_page(visit, stage):
    """Return a function from a user to the pending page of a server at Padova, told ``events`` by the hub."""

    def wait_page(user, *events, **settings):
        page = visit(user, **settings)
        start(page, PADOVA)
        stage.tell(user, *events)
        return page

    return wait_page


def state(page, text):
    page.locator("[data-state]", has_text=text).wait_for()


def lose_hub(page):
    """Let the hub be away for the page's script, as a proxy says it; return a function that brings it back."""
    away = [True]

    def answer(route):
        if away[0] and not route.request.is_navigation_request():
            route.fulfill(status=503, body="away")
        else:
            route.continue_()

    page.route("**/server/progress*", answer)
    page.route("**/spawn-pending/**", answer)
    page.reload()
    page.locator("[data-connection]", has_text="hub").wait_for()

    def bring_back():
        away[0] = False

    return bring_back


def test_page_says_the_place_the_start_and_the_reason_with_its_raw_word(wait_page):
    page = wait_page("place", report(), timezone_id="Europe/Rome", locale="en-GB")

    page.locator("[data-position]", has_text="3rd").wait_for()
    assert page.inner_text("[data-state]") == "Queued at padova as job 4217"
    assert page.inner_text("[data-why]") == "Waiting for free nodes. Resources"
    assert page.inner_text("code[data-raw-reason]") == "Resources"
    assert page.inner_text("[data-position-where]") == "in the queue of slow"
    assert re.fullmatch(r"(tomorrow, )?about \d\d:\d\d", page.inner_text("[data-expected]"))
    assert page.inner_text("[data-expected-in]") == "in about 14 min"
    assert page.inner_text("[data-job-id]") == "4217"
    assert page.inner_text("[data-elapsed]").startswith("2 min")


def test_what_is_not_known_has_no_row(wait_page):
    unknown = {
        "position": None,
        "expected_start_in_seconds": None,
        "raw_reason": "",
        "reason": "",
        "job_id": None,
    }
    page = wait_page("unknown", report(message="Queued at padova, 2 min so far", **unknown))

    state(page, "Queued at padova")
    for name in ("ahead", "why", "raw-reason", "job-id-row", "heard-row", "note", "connection"):
        assert not page.is_visible(f"[data-{name}]"), name
    assert page.locator("main dt:visible").all_inner_texts() == ["Waiting for", "Asked for", "Software"]


def test_facts_go_when_the_queue_is_behind(wait_page, stage):
    page = wait_page("behind", report(note="The cluster says that the server has ended."))
    page.locator("[data-note]", has_text="The cluster says that the server has ended.").wait_for()

    stage.tell("behind", RUNNING)

    state(page, "Running at padova as job 4217, waiting for JupyterLab to answer")
    for name in ("ahead", "why", "note"):
        assert not page.is_visible(f"[data-{name}]"), name


def test_expected_start_comes_nearer_without_any_news(wait_page):
    page = wait_page("nearer", report(), prepare=lambda page: page.clock.install())
    page.locator("[data-expected-in]", has_text="in about 14 min").wait_for()
    at = page.inner_text("[data-expected]")

    page.clock.fast_forward(240_000)
    page.locator("[data-expected-in]", has_text="in about 10 min").wait_for()
    assert page.inner_text("[data-expected]") == at

    page.clock.fast_forward(600_000)
    page.locator("[data-expected]", has_text="any moment now").wait_for()
    assert page.inner_text("[data-expected-in]") == ""


@pytest.mark.parametrize(
    ("heard_seconds_ago", "words"),
    [(44, ""), (50, r"5\d s ago|1 min ago"), (400, "[67] min ago"), (None, "")],
    ids=["young", "seconds", "minutes", "never"],
)
def test_old_news_of_the_site_says_how_old_it_is(wait_page, request, heard_seconds_ago, words):
    page = wait_page(f"heard-{request.node.callspec.id}", report(heard_seconds_ago=heard_seconds_ago))

    page.locator("[data-position]", has_text="3rd").wait_for()
    row = page.locator("[data-heard-row]")
    assert row.is_visible() is bool(words)
    assert re.fullmatch(words, page.text_content("[data-heard]"))


def test_counting_is_not_read_out_and_changes_are(wait_page):
    page = wait_page("spoken", report())
    page.locator("[data-position]", has_text="3rd").wait_for()

    live = "e => Boolean(e.closest('[role=status], [aria-live]'))"
    spoken = {
        name: page.eval_on_selector(f"[data-{name}]", live)
        for name in ("state", "reason", "position", "connection", "note", "expected-in", "elapsed", "heard")
    }
    assert [name for name, is_spoken in spoken.items() if not is_spoken] == [
        "expected-in",
        "elapsed",
        "heard",
    ]


def test_position_alone_changes_neither_the_state_line_nor_the_sites_reason(wait_page, stage):
    page = wait_page("forward", report())
    page.locator("[data-position]", has_text="3rd").wait_for()
    message = report()["message"].replace("3rd", "2nd").replace("14 min", "9 min")

    stage.tell("forward", report(message=message, position=2, expected_start_in_seconds=540))

    page.locator("[data-position]", has_text="2nd").wait_for()
    assert page.inner_text("[data-state]") == "Queued at padova as job 4217"
    assert page.inner_text("[data-expected-in]") == "in about 9 min"


def test_remarks_of_the_cluster_are_for_the_log(wait_page, stage):
    page = wait_page("remark", report())
    state(page, "Queued at padova")

    stage.tell("remark", {"message": "2026-11-25T14:00:00Z [Normal] Assigned to node padova"})

    page.locator("[data-log] li", has_text="Assigned to node").wait_for(state="attached")
    assert page.inner_text("[data-state]") == "Queued at padova as job 4217"


NONSENSE = [
    {"state": "queued", "message": "Queued", "position": "first", "expected_start_in_seconds": "soon"},
    {"state": "queued", "message": "Queued", "position": -1, "reason": {"a": 1}, "heard_seconds_ago": []},
    {
        "state": "queued",
        "message": "Queued",
        "position": 0,
        "note": ["x"],
        "partition": 7,
        "elapsed_seconds": "1",
    },
]


@pytest.mark.parametrize("event", NONSENSE)
def test_wrong_types_are_not_shown(wait_page, event):
    page = wait_page(f"wrong{NONSENSE.index(event)}", event)

    state(page, "Queued")
    for name in ("ahead", "why", "heard-row", "note"):
        assert not page.is_visible(f"[data-{name}]"), name


# Two streams.


def test_service_goes_on_while_the_hub_is_away_and_the_hub_has_the_last_word(wait_page, stage):
    # Given a server whose page hears of the queue, and a hub that goes away
    page = wait_page("live-hubless", report())
    page.locator("[data-position]", has_text="3rd").wait_for()
    page.add_init_script(HASTY)
    bring_back = lose_hub(page)

    # When the service tells what happens meanwhile
    stage.write("live-hubless.server", report(position=1, expected_start_in_seconds=30))

    # Then the page shows it, says that the hub is away, and does not offer what only the hub can do
    page.locator("[data-position]", has_text="1st").wait_for()
    page.locator("[data-connection]", has_text="The hub is restarting; your place is kept.").wait_for()
    assert page.is_disabled("[data-cancel]")

    # And a server that runs is not called ready by anybody but the hub
    stage.write("live-hubless.server", RUNNING | {"ready": True, "progress": 100})
    state(page, "Running at padova as job 4217")
    assert page.is_visible("[data-connection]")
    assert "spawn-pending" in page.url

    # And when the hub is back and says so, the user is taken in
    bring_back()
    stage.tell("live-hubless", {"end": "ready"})
    page.wait_for_url(lambda url: "spawn-pending" not in url, wait_until="commit")


def test_end_that_the_service_tells_is_shown_only_while_the_hub_is_away(wait_page, stage):
    ended = {"state": "ended", "message": "Ended at padova as job 4217: The job was cancelled at the site."}
    page = wait_page("live-end", report())
    state(page, "Queued at padova")
    stage.write("live-end.server", ended, report(position=2))
    page.locator("[data-position]", has_text="2nd").wait_for()
    assert page.locator("[data-log] li", has_text="Ended").count() == 0

    lose_hub(page)
    stage.write("live-end.server", ended)

    state(page, "The job was cancelled at the site.")
    assert "on its way" in page.inner_text("h1")


def test_newest_of_both_streams_counts(wait_page, stage):
    page = wait_page("live-newest", report(position=5))
    page.locator("[data-position]", has_text="5th").wait_for()
    stage.write("live-newest.server", report(position=4))
    page.locator("[data-position]", has_text="4th").wait_for()

    stage.tell("live-newest", report(position=2))

    page.locator("[data-position]", has_text="2nd").wait_for()
    assert page.locator("[data-log] li", has_text="Queued").count() == 1, "both tell the same line"


def test_hub_alone_is_enough(wait_page, stage):
    stage.write("live-alone.server", {"status": 401})
    page = wait_page("live-alone", report())

    page.locator("[data-position]", has_text="3rd").wait_for()
    page.locator("[data-log] li", has_text="hears of the queue from the hub only").wait_for(state="attached")
    assert not page.is_visible("[data-connection]")


def test_named_servers_page_hears_of_that_server(visit, stage):
    page = visit("live-named")
    page.goto("/hub/spawn/live-named/second")
    start(page, PADOVA)
    stage.write("live-named.server", report(position=9))
    stage.write("live-named-second.server", report(position=7))

    page.locator("[data-position]", has_text="7th").wait_for()


def test_two_tabs_and_a_reload_tell_the_same(wait_page, stage):
    page = wait_page("live-tabs", report())
    page.locator("[data-position]", has_text="3rd").wait_for()
    second = page.context.new_page()
    second.goto(page.url)
    second.locator("[data-position]", has_text="3rd").wait_for()
    page.reload()
    page.locator("[data-position]", has_text="3rd").wait_for()

    stage.write("live-tabs.server", report(position=2))

    for tab in (page, second):
        tab.locator("[data-position]", has_text="2nd").wait_for()


# The notification.

FAKE = """
  window.Notification = class {
    static permission = localStorage.permission || "default";
    static async requestPermission() {
      this.permission = localStorage.permission = "%s";
      return this.permission;
    }
    constructor(title, options) {
      const told = JSON.parse(localStorage.told || "[]");
      localStorage.told = JSON.stringify([...told, [title, options.body, options.tag]]);
    }
  };
"""


def with_notifications(answer):
    return lambda page: page.add_init_script(FAKE % answer)


def told(page):
    return page.evaluate("JSON.parse(localStorage.told || '[]')")


def test_notification_is_asked_for_by_a_click_remembered_and_sent_when_ready(wait_page, stage):
    # Given a page that does not ask by itself
    page = wait_page("notify", report(), prepare=with_notifications("granted"))
    button = page.locator("[data-notify]")
    assert button.inner_text() == "Notify me when it is ready"
    assert button.get_attribute("aria-pressed") == "false"

    # When it is wanted
    button.click()

    # Then that is remembered
    page.locator("[data-notify][aria-pressed=true]", has_text="You will be notified").wait_for()
    page.reload()
    page.locator("[data-notify][aria-pressed=true]").wait_for()

    # And the notification comes when the hub says ready
    stage.tell("notify", {"end": "ready"})
    page.wait_for_url(lambda url: "spawn-pending" not in url, wait_until="commit")
    page.goto("/hub/rayster/static/words.js")
    assert told(page) == [["Your server is ready", "Padova SLURM: 2 cores, 4 GiB for 4 h", "rayster-notify-"]]


def test_notification_comes_also_when_the_server_was_up_before_the_hub_answered_again(wait_page, stage):
    # Given a hub that goes away
    page = wait_page("notify-back", report(), prepare=with_notifications("granted"))
    page.click("[data-notify]")
    page.locator("[data-notify][aria-pressed=true]").wait_for()
    page.add_init_script(HASTY)
    bring_back = lose_hub(page)

    # When the server is ready before it is back
    stage.tell("notify-back", {"end": "ready"})
    way = "/hub/spawn-pending/notify-back"
    while page.request.get(way, max_redirects=0).status != 302:
        page.wait_for_timeout(50)
    assert told(page) == []
    bring_back()

    # Then the page says so as ever
    page.wait_for_url(lambda url: "spawn-pending" not in url, wait_until="commit")
    page.goto("/hub/rayster/static/words.js")
    assert [title for title, *_ in told(page)] == ["Your server is ready"]


def test_notification_can_be_taken_back(wait_page, stage):
    page = wait_page("unnotify", report(), prepare=with_notifications("granted"))
    page.click("[data-notify]")
    page.click("[data-notify][aria-pressed=true]")
    page.locator("[data-notify][aria-pressed=false]").wait_for()

    stage.tell("unnotify", {"end": "failed", "message": "no"})
    page.locator("h1", has_text="could not start").wait_for()
    assert told(page) == []


def test_failed_start_is_notified_too(wait_page, stage):
    page = wait_page("notifail", report(), prepare=with_notifications("granted"))
    page.click("[data-notify]")
    page.locator("[data-notify][aria-pressed=true]").wait_for()

    stage.tell("notifail", {"end": "failed", "message": "sbatch: no"})

    page.locator("h1", has_text="could not start").wait_for()
    assert told(page) == [["Your server could not start", "sbatch: no", "rayster-notifail-"]]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(FAKE % "denied", "This browser blocks notifications", id="blocked"),
        pytest.param("delete window.Notification", "This browser cannot notify you", id="unsupported"),
    ],
)
def test_page_says_when_it_cannot_notify(wait_page, script, words):
    user = f"no{words.split()[2]}"
    page = wait_page(user, report(), prepare=lambda page: page.add_init_script(script))
    if page.is_visible("[data-notify]"):
        page.click("[data-notify]")

    page.locator("[data-notify-hint]", has_text=words).wait_for()
    assert not page.is_visible("[data-notify]")


# How it looks.


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_facts_have_contrast_in_light_and_dark(wait_page, scheme):
    event = report(note="The cluster says that the server has ended.", heard_seconds_ago=90)
    page = wait_page(f"facts-{scheme}", event, color_scheme=scheme)
    page.locator("[data-position]", has_text="3rd").wait_for()

    assert page.evaluate(CONTRAST) == []


def test_phone_with_facts_does_not_scroll_sideways(wait_page):
    page = wait_page(
        "facts-phone",
        report(partition="a_partition_with_a_name_that_is_long", expected_start_in_seconds=200_000),
        viewport={"width": 320, "height": 640},
    )
    page.locator("[data-position]", has_text="3rd").wait_for()

    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


# After the end.


def test_start_again_is_sent_once_and_the_end_is_in_the_readers_time(visit, stage):
    # Given the page of a server that has ended
    options = {"profile": "padova-slurm", "cpu": 3.0, "memory": "8Gi", "walltime": "4h"}
    end = {"code": "walltime", "text": "The job reached its time limit.", "ended_at": 1795615320.0}
    stage.write("over.end.json", end | {"asked_for": "Padova SLURM: 3 cores", "options": options})
    page = visit("over", timezone_id="Europe/Rome", locale="en-GB", viewport={"width": 320, "height": 640})
    page.goto("/hub/user/over/lab")
    assert page.inner_text("time").endswith("15:02")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0

    # When its button is pressed twice, then it is sent once
    sent = page.evaluate(
        """() => {
          const form = document.querySelector("[data-again-form]");
          const sent = [];
          form.addEventListener("submit", (event) => {
            sent.push(!event.defaultPrevented);
            event.preventDefault();
          });
          for (const _ of [1, 2]) form.requestSubmit();
          return sent;
        }"""
    )
    assert sent == [True, False]

    # And once is enough
    page.reload()
    page.click("text='Start again with the same options'")
    page.wait_for_url("**/spawn-pending/over**")
    assert "Padova SLURM: 3 cores, 8 GiB for 4 h" in page.inner_text("main")
