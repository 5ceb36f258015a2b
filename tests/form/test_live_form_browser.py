"""Site states on the form while it is open: a stream of a service that breaks, refuses and talks nonsense."""

import random

import pytest

from rayster_spawner.form.site_words import age_words
from rayster_spawner.site_facts import SiteState

from .pages_in_browser import CONTRAST

pytestmark = pytest.mark.browser

PADOVA = "#rs-padova-slurm"
CARD = "[data-option=padova-slurm] [data-site]"
ANYWAY = "[data-option=padova-slurm] [data-anyway]"
BOX = f"{PADOVA}-anyway"

AVAILABLE = {"state": "available", "text": "Available", "detail": "12 of 32 cores free", "age_seconds": 4}
BUSY = {"state": "busy", "text": "Busy, typical wait about 25 min", "detail": "", "age_seconds": 4}
AWAY = {"state": "unreachable", "text": "Unreachable since 14:02 UTC", "since": 1795615320.0}
UNKNOWN = {"state": "unknown", "text": "Unknown", "age_seconds": None}


@pytest.fixture
def tell(stage):
    """Return a function that lets the service tell a user's page the states of its sites."""

    def tell(user, **statuses):
        names = {name.replace("_", "-"): status for name, status in statuses.items()}
        stage.write(f"{user}.sites", {"profiles": names})

    return tell


def said(page, text, card=CARD):
    page.locator(f"{card} [data-site-text]", has_text=text).wait_for()


def test_states_come_and_change_while_the_form_is_open(visit, tell):
    # Given a form that knows nothing of the sites yet
    page = visit("live-change", timezone_id="Europe/Rome", locale="en-GB")
    assert not page.is_visible(CARD)

    # When the service tells
    tell("live-change", padova_slurm=AVAILABLE, cloud=AVAILABLE)

    # Then the cards say it, each with a shape of its own
    said(page, "Available")
    assert page.inner_text(f"{CARD} [data-site-detail]") == "12 of 32 cores free"
    for status, text in ((BUSY, "Busy, typical wait about 25 min"), (UNKNOWN, "Unknown")):
        tell("live-change", padova_slurm=status)
        said(page, text)
        assert page.get_attribute(f"{CARD} use", "href") == f"#rs-site-{status['state']}"
        assert not page.is_visible(f"{CARD} [data-site-detail]")

    # And the moment is in the reader's own time
    tell("live-change", padova_slurm=AWAY)
    said(page, "Unreachable since")
    assert page.inner_text(f"{CARD} [data-site-text]").endswith("15:02")


def test_moments_that_the_hub_wrote_are_in_the_readers_time(visit, stage):
    stage.write("live-zone.form.json", {"statuses": {"padova-slurm": AWAY}})

    page = visit("live-zone", timezone_id="Asia/Kolkata", locale="en-GB")

    assert page.inner_text(f"{CARD} [data-site-text]").endswith("19:32")


def test_another_state_is_announced_once_and_numbers_are_not(visit, tell):
    page = visit("live-news")
    news = page.locator("[data-site-news]")
    tell("live-news", padova_slurm=AVAILABLE, cloud=AVAILABLE)
    said(page, "Available")
    tell("live-news", padova_slurm=AVAILABLE | {"detail": "11 of 32 cores free"})
    page.locator(CARD, has_text="11 of 32").wait_for()
    assert news.inner_text() == ""

    tell("live-news", padova_slurm=BUSY)

    page.locator("[data-site-news]", has_text="Padova SLURM: Busy, typical wait about 25 min.").wait_for()
    assert news.get_attribute("role") == "status"
    assert "Cloud" not in news.inner_text()


def test_site_that_goes_away_must_be_confirmed_until_it_is_back(visit, tell):
    # Given a chosen profile whose site goes away while the form is open
    page = visit("live-confirm")
    page.check(PADOVA)
    assert not page.is_visible(ANYWAY)
    tell("live-confirm", padova_slurm=AWAY)
    page.locator(ANYWAY, has_text="padova does not answer. Queue here anyway").wait_for()

    # When Start is pressed, nothing is sent, and the box says what to do
    page.click(".rs-start button")
    page.locator(f"{BOX}-error", has_text="Tick this to queue here anyway").wait_for()
    assert page.evaluate("document.activeElement.id") == BOX[1:]
    assert page.get_attribute(BOX, "aria-invalid") == "true"
    assert "/hub/spawn" in page.url

    # Then another profile needs no tick
    page.check("#rs-cloud")
    assert page.evaluate("document.getElementById('spawn_form').checkValidity()")
    page.check(PADOVA)

    # And a tick is enough
    page.check(BOX)
    assert not page.is_visible(f"{BOX}-error")
    assert page.evaluate("document.getElementById('spawn_form').checkValidity()")

    # And when the site is back nothing is asked and nothing sent
    page.uncheck(BOX)
    tell("live-confirm", padova_slurm=AVAILABLE)
    page.locator(ANYWAY).wait_for(state="hidden")
    page.click(".rs-start button")
    page.wait_for_url("**/spawn-pending/**")


def test_confirmed_choice_starts_by_keyboard(visit, stage):
    stage.write("live-keys.form.json", {"statuses": {"padova-slurm": AWAY}})
    page = visit("live-keys")
    page.check(PADOVA)
    page.focus(BOX)
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    page.wait_for_url("**/spawn-pending/**")


def test_servers_refusal_is_beside_the_box_without_javascript(visit, stage):
    stage.write("live-plain.form.json", {"statuses": {"padova-slurm": AWAY, "cloud": AVAILABLE}})
    page = visit("live-plain", java_script_enabled=False)
    page.check(PADOVA)
    assert not page.is_visible("#rs-leonardo-gpu-anyway")
    page.click(".rs-start button")

    page.locator(f"{BOX}-error", has_text="does not answer").wait_for()
    assert page.locator(":focus").get_attribute("id") == BOX[1:]
    page.check(BOX)
    page.click(".rs-start button")
    page.wait_for_url("**/spawn-pending/**")


def test_broken_stream_is_taken_up_again(visit, stage, tell):
    page = visit("live-broken")
    tell("live-broken", padova_slurm=AVAILABLE)
    said(page, "Available")

    stage.write("live-broken.sites", {"drop": True})
    tell("live-broken", padova_slurm=BUSY)

    said(page, "Busy")


def test_service_that_is_away_at_first_is_waited_for(visit, stage, tell):
    stage.write("live-late.sites", {"status": 503})
    page = visit("live-late")
    page.check(PADOVA)
    stage.write("live-late.sites", {"status": 200}, {"drop": True})
    tell("live-late", padova_slurm=BUSY)

    said(page, "Busy")


def test_stream_that_has_fallen_silent_is_asked_for_again(visit, tell):
    page = visit("live-silent", prepare=lambda page: page.clock.install())
    tell("live-silent", padova_slurm=AVAILABLE)
    said(page, "Available")

    with page.expect_request("**/stage-service/api/sites/events"):
        page.clock.fast_forward(51_000)
        page.clock.fast_forward(1_000)


def test_page_that_nobody_looks_at_lets_go_until_somebody_does(visit, tell):
    # Given a page that is hidden for some minutes
    hide = (
        "isHidden => { window.isHidden = isHidden; document.dispatchEvent(new Event('visibilitychange')); }"
    )

    def prepare(page):
        page.clock.install()
        page.add_init_script(
            "Object.defineProperty(document, 'hidden', { get: () => Boolean(window.isHidden) });"
        )

    page = visit("live-hidden", prepare=prepare)
    tell("live-hidden", padova_slurm=AVAILABLE)
    said(page, "Available")
    with page.expect_event("requestfailed", lambda request: "stage-service" in request.url):
        page.evaluate(hide, True)
        page.clock.fast_forward(125_000)
    tell("live-hidden", padova_slurm=BUSY)
    page.clock.fast_forward(60_000)
    assert page.inner_text(f"{CARD} [data-site-text]") == "Available"

    # When somebody looks again
    page.evaluate(hide, False)

    # Then it is up to date
    said(page, "Busy")


@pytest.mark.parametrize("status", [401, 403])
def test_refused_ticket_ends_the_attempts_with_a_word(visit, stage, status):
    user = f"live-refused{status}"
    stage.write(f"{user}.form.json", {"statuses": {"padova-slurm": AVAILABLE}})
    stage.write(f"{user}.sites", {"status": status})
    page = visit(user)
    page.locator("[data-live-stopped]", has_text="Reload this page").wait_for()

    # The last state stays, and nothing is asked for again.
    said(page, "Available")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert not [url for url in asked if "stage-service" in url]
    page.click(".rs-start button")
    page.wait_for_url("**/spawn-pending/**")


NONSENSE = [
    "event: sites\ndata: {not json\n\n",
    "event: sites\ndata: [1, 2]\n\n",
    'event: sites\ndata: {"profiles": [7]}\n\n',
    'event: sites\ndata: {"profiles": {"padova-slurm": {"state": "<b>fine</b>", "text": "x"}}}\n\n',
    'event: sites\ndata: {"profiles": {"padova-slurm": null, "__proto__": {"state": "busy"}}}\n\n',
    'event: server\ndata: {"profiles": {"padova-slurm": {"state": "busy", "text": "Busy"}}}\n\n',
    "<html><body>502 Bad Gateway</body></html>\r\n\r\n",
    ": a comment\n\nid: 7\nretry: 1\n\n",
]


def test_nonsense_changes_nothing_and_the_next_good_event_counts(visit, stage, tell):
    page = visit("live-nonsense")
    tell("live-nonsense", padova_slurm=AVAILABLE)
    said(page, "Available")
    for text in NONSENSE:
        stage.write("live-nonsense.sites", {"raw": text})
    tell("live-nonsense", cloud=BUSY)
    said(page, "Busy", card="[data-option=cloud] [data-site]")
    assert page.inner_text(f"{CARD} [data-site-text]") == "Available"
    evil = "<img src=x onerror=alert(1)>"
    tell("live-nonsense", padova_slurm=BUSY | {"text": evil, "detail": evil, "age_seconds": "old"})

    said(page, evil)
    assert page.inner_text(f"{CARD} [data-site-detail]") == evil
    assert page.inner_text("[data-site-news]") in ("", f"Padova SLURM: {evil}.")
    assert page.locator("main img, main b").count() == 0


def test_a_state_that_is_not_refreshed_grows_old(visit, tell, stage):
    stage.write("live-old.form.json", {"statuses": {"padova-slurm": AVAILABLE}})
    page = visit("live-old", prepare=lambda page: page.clock.install())
    age = page.locator(f"{CARD} [data-site-age]")
    assert not age.is_visible()

    page.clock.fast_forward(200_000)

    page.locator(CARD, has_text="as of 3 min ago").wait_for()


def test_what_is_known_stays_fresh_while_the_service_speaks_and_what_is_not_grows_old(visit, stage, tell):
    # Given one site that is known and one that is not
    page = visit("live-fresh", prepare=lambda page: page.clock.install())
    tell("live-fresh", padova_slurm=AVAILABLE, infn_t1_htcondor=UNKNOWN | {"age_seconds": 50})
    said(page, "Available")

    # When the service tells for a while that nothing is new of them
    for status in (AVAILABLE, BUSY):
        page.clock.fast_forward(45_000)
        tell("live-fresh", cloud=status)
        said(page, status["text"], card="[data-option=cloud] [data-site]")

    # Then only what is not known has grown old
    page.clock.fast_forward(16_000)
    page.locator("[data-option=infn-t1-htcondor]", has_text="last heard 2 min ago").wait_for()
    assert not page.is_visible(f"{CARD} [data-site-age]")

    # And when the service is away, everything does
    stage.write("live-fresh.sites", {"status": 503})
    page.clock.fast_forward(200_000)
    page.locator(CARD, has_text="as of 3 min ago").wait_for()


def test_form_without_a_service_asks_for_nothing(visit):
    asked = []
    page = visit("quiet", prepare=lambda page: page.on("request", lambda request: asked.append(request.url)))
    page.check(PADOVA)

    assert not [url for url in asked if "events" in url]
    assert not page.is_visible(CARD)


STATES = {"padova-slurm": AWAY, "leonardo-gpu": BUSY, "leonardo-cpu": AVAILABLE, "infn-t1-htcondor": UNKNOWN}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_have_contrast_in_light_and_dark(visit, stage, scheme):
    user = f"live-{scheme}"
    stage.write(
        f"{user}.form.json", {"statuses": STATES, "notes": {"leonardo-gpu": "You have 1 of 2 servers."}}
    )
    page = visit(user, color_scheme=scheme)
    page.check(PADOVA)
    page.click(".rs-start button")
    page.wait_for_selector(f"{BOX}-error:visible")

    assert page.evaluate(CONTRAST) == []


def test_phone_with_states_does_not_scroll_sideways(visit, stage):
    stage.write("live-phone.form.json", {"statuses": STATES})
    page = visit("live-phone", viewport={"width": 320, "height": 640})
    page.check(PADOVA)
    page.click(".rs-start button")

    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


# The scripts by themselves.


@pytest.fixture(scope="module")
def scripts(stage, chromium):
    page = chromium.new_page(locale="en-GB")
    page.goto(f"{stage.url}/hub/login")
    for name in ("words", "live"):
        page.add_script_tag(url=f"{stage.url}/hub/rayster/static/{name}.js")
    yield page
    page.close()


def test_script_says_ages_as_the_hub_does(scripts):
    cases = [(state, n) for state in SiteState for n in (0, 59, 60, 61, 3599, 3600, 172799, 172800, 900000)]

    said = scripts.evaluate(
        "all => all.map(([s, n]) => raysterWords.age(s, n))", [(s.value, n) for s, n in cases]
    )

    assert said == [age_words(*case) for case in cases]


def test_script_counts_as_people_do(scripts):
    said = scripts.evaluate("[1, 2, 3, 4, 11, 12, 13, 21, 101, 111, 112, 1003].map(raysterWords.ordinal)")

    assert said == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st"),
        *("101st", "111th", "112th", "1003rd"),
    ]


@pytest.mark.parametrize(
    ("seconds", "at", "left"),
    [
        (0, "any moment now", ""),
        (-300, "any moment now", ""),
        (840, "about 23:14", "in about 14 min"),
        (3600, "tomorrow, about 00:00", "in about 1 h 00 min"),
        (3 * 86400, "Sat 28 Nov, about 23:00", "in about 3 d"),
    ],
)
def test_script_says_when_something_will_be(scripts, seconds, at, left):
    said = scripts.evaluate(
        "seconds => raysterWords.expected(seconds, new Date(2026, 10, 25, 23, 0))", seconds
    )

    # Whether there is a comma after the weekday changes with the browser.
    assert {key: words.replace("Sat, ", "Sat ") for key, words in said.items()} == {"at": at, "left": left}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_stream_is_read_however_it_is_cut(scripts, end):
    lines = [
        ": hello",
        "",
        "event: sites",
        "data: {",
        "data: }",
        "id: 1",
        "",
        "data:plain",
        "data",
        "",
        "event: x",
    ]
    text = end.join(lines)
    cuts = random.Random(end).sample(range(1, len(text)), 12)
    pieces = [text[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True)]

    read = scripts.evaluate(
        """pieces => {
          const read = [];
          const take = raysterLive.parser((name, data) => read.push([name, data]));
          pieces.forEach(take);
          return read;
        }""",
        pieces,
    )

    assert read == [["sites", "{\n}"], ["message", "plain\n"]]


def test_event_without_an_end_is_given_up(scripts):
    outcome = scripts.evaluate(
        """() => {
          const take = raysterLive.parser(() => {});
          try { for (let n = 0; n < 100; n++) take("data: " + "x".repeat(100000) + (n % 2 ? "\\n" : "")); }
          catch (error) { return error.message; }
          return "";
        }"""
    )

    assert outcome == "the event does not end"


def test_attempts_are_spread_and_never_far_apart(scripts):
    waits = scripts.evaluate(
        "[1, 2, 3, 5, 6, 40, 2000].map((n) => [0, 1].map((r) => raysterLive.waitMilliseconds(n, () => r)))"
    )

    assert waits[0] == [500, 1000]
    assert waits[1:4] == [[1000, 2000], [2000, 4000], [8000, 16000]]
    assert waits[4:] == [[15000, 30000]] * 3
