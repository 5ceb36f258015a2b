"""The hub's own pages with RaySTER's templates, on whichever of the hub's lines is installed; nobody runs JavaScript."""

import json

import pytest
from bs4 import BeautifulSoup


def form_of(html):
    return BeautifulSoup(html, "html.parser").select_one("#spawn_form")


def send(visitor, submitted, **edits):
    """Get the form, send it with ``edits`` and return the answer."""
    form = form_of(visitor.get("/hub/spawn")[1])
    return visitor.post(form["action"], submitted(str(form), **edits))


def wait_for(look, what):
    """Return what ``look`` finds, looking again for a while."""
    import time

    for _ in range(100):
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {what} after 5 seconds")


def test_spawn_page_has_the_form_and_one_start_button(stage):
    html = stage.visitor("ada").get("/hub/spawn")[1]

    form = form_of(html)
    assert len(form.select("input[name=profile]")) == 5
    assert [button.get_text() for button in form.select("button[type=submit]")] == ["Start"]
    assert "_xsrf" in form["action"]


def test_page_of_a_user_without_profiles_has_nothing_to_send(stage):
    form = form_of(stage.visitor("nobody").get("/hub/spawn")[1])

    assert "No profile is open to you" in form.get_text()
    assert not form.select("button")


@pytest.mark.parametrize("name", ["rayster.css", "form.js", "pending.js", "live.js"])
def test_static_files_are_served_without_a_login(stage, name):
    import urllib.request

    with urllib.request.urlopen(f"{stage.url}/hub/rayster/static/{name}", timeout=10) as plain:
        assert plain.headers["Cache-Control"] == "no-cache"
        body = plain.read()
    with urllib.request.urlopen(f"{stage.url}/hub/rayster/static/{name}?v=1", timeout=10) as versioned:
        assert "max-age" in versioned.headers["Cache-Control"]
        assert versioned.read() == body


def test_pages_ask_for_the_static_files_that_there_are(stage):
    import urllib.request

    soup = BeautifulSoup(stage.visitor("ada").get("/hub/spawn")[1], "html.parser")

    addresses = [
        tag.get("src") or tag.get("href") for tag in soup.select("script[src], link[rel=stylesheet]")
    ]
    ours = [address for address in addresses if "rayster" in address]
    names = [address.rpartition("/")[2].partition("?")[0] for address in ours]
    assert names == ["rayster.css", "words.js", "live.js", "sites.js", "form.js"]
    for address in ours:
        assert urllib.request.urlopen(stage.url + address, timeout=10).status == 200


def test_refused_form_comes_back_with_the_error_once_and_what_was_typed(stage, submitted):
    visitor = stage.visitor("refused")

    _, html = send(visitor, submitted, profile="padova-slurm", **{"padova-slurm--cpu": "999"})

    soup = BeautifulSoup(html, "html.parser")
    assert soup.select_one("#rs-padova-slurm-cpu")["value"] == "999"
    assert soup.select_one("#rs-padova-slurm-cpu-error").get_text() == "Must be 1 to 16 cores."
    assert len(soup.select("[role=alert]")) == 1


def test_hidden_profiles_wrong_fields_do_not_matter(stage, submitted):
    visitor = stage.visitor("hidden")

    _, html = send(visitor, submitted, profile="cloud", **{"padova-slurm--cpu": "999"})

    assert "Cloud: 1 core, 2 GiB" in html


def test_pending_page_says_what_was_asked_for_and_has_one_cancel(stage, submitted):
    visitor = stage.visitor("pending")

    status, html = send(
        visitor, submitted, profile="leonardo-gpu",
        **{"leonardo-gpu--gpu": "3", "leonardo-gpu--walltime": "90m"},
    )  # fmt: skip

    soup = BeautifulSoup(html, "html.parser")
    assert status == 200
    assert "Leonardo GPU: 8 cores, 120 GiB, 3 GPUs for 1 h 30 min" in soup.get_text()
    assert soup.select_one("[data-pending]")["data-user"] == "pending"
    assert soup.select_one("[data-pending]")["data-progress-url"].startswith(
        "/hub/api/users/pending/server/progress"
    )
    assert len(soup.select("[data-cancel]")) == 1
    assert not soup.select("#stop-server-btn"), "the hub's own button stops the default server only"


def test_failed_start_says_why_in_the_sites_words_and_remembers_the_choice(stage, submitted):
    # Given a start that the site refuses
    visitor = stage.visitor("failing")
    reason = "sbatch: error: invalid partition <b>x</b>\nsbatch: error: second line"
    send(visitor, submitted, profile="padova-slurm", **{"padova-slurm--cpu": "7"})
    stage.tell("failing", {"end": "failed", "message": reason})

    # When the user loads the page again
    def not_running():
        html = visitor.get("/hub/spawn-pending/failing")[1]
        return "could not start" in html and html

    soup = BeautifulSoup(wait_for(not_running, "failed page"), "html.parser")

    # Then the reason is there as text, and the way back has the same choice
    assert soup.select_one(".rs-reason").get_text() == reason
    assert not soup.select(".rs-reason b")
    form = form_of(visitor.get(soup.select_one("#start")["href"])[1])
    assert form.select_one("input[name=profile][checked]")["value"] == "padova-slurm"
    assert form.select_one("#rs-padova-slurm-cpu")["value"] == "7"


@pytest.mark.parametrize("prefix", ["", "opt-"])
def test_spawn_link_fills_the_form_and_starts_nothing(stage, prefix):
    visitor = stage.visitor(f"linked{len(prefix)}")

    query = "&".join(f"{prefix}{part}" for part in ("profile=padova-slurm", "cpu=5", "walltime=2h"))
    form = form_of(visitor.get(f"/hub/spawn?{query}")[1])

    assert form.select_one("input[name=profile][checked]")["value"] == "padova-slurm"
    assert form.select_one("#rs-padova-slurm-cpu")["value"] == "5"
    assert form.select_one("#rs-padova-slurm-walltime")["value"] == "2h"


def test_hostile_spawn_link_is_only_a_form(stage):
    visitor = stage.visitor("hostile")

    html = visitor.get("/hub/spawn?profile=%3Cscript%3Ealert(1)%3C/script%3E&cpu=%22%3E%3Cimg%20src=x%3E")[1]

    # The address itself is in the form's action, escaped by the hub.
    assert not [script for script in form_of(html).select("script, img")]
    assert form_of(html).select_one("input[name=profile][checked]")["value"] == "cloud"


def test_progress_stream_is_the_one_that_the_page_follows(stage, submitted):
    visitor = stage.visitor("streamed")
    _, html = send(visitor, submitted)
    url = BeautifulSoup(html, "html.parser").select_one("[data-pending]")["data-progress-url"]
    stage.tell("streamed", {"message": "Queued", "state": "queued"}, {"end": "failed", "message": "no"})

    _, stream = visitor.get(url)

    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    assert events[-1]["failed"] and events[-1]["message"] == "Spawn failed: no"


# A live form, and what the hub itself checks of it.

AWAY = {"state": "unreachable", "text": "Unreachable since 14:02 UTC", "since": 1.0}


def test_unreachable_site_is_refused_until_it_is_said_anyway(stage, submitted):
    # Given a site that does not answer
    visitor = stage.visitor("live-away")
    stage.write("live-away.form.json", {"statuses": {"padova-slurm": AWAY}})

    # When the form is sent without the tick, by a browser that does not ask for it
    _, html = send(visitor, submitted, profile="padova-slurm", **{"padova-slurm--cpu": "3"})

    # Then it comes back with the error beside the box and what was typed
    form = form_of(html)
    assert "does not answer" in form.select_one("#rs-padova-slurm-anyway-error").get_text()
    assert form.select_one("#rs-padova-slurm-cpu")["value"] == "3"

    # And with the tick it goes
    _, html = visitor.post(form["action"], submitted(str(form)) | {"anyway-padova-slurm": ["yes"]})
    assert "Padova SLURM: 3 cores" in html


def test_pages_of_a_hub_with_a_service_know_where_it_is(stage, submitted):
    visitor = stage.visitor("live-place")
    form = form_of(visitor.get("/hub/spawn")[1])
    assert form.select_one(".rs-form")["data-live-url"] == "/hub/stage-service"

    pending = BeautifulSoup(send(visitor, submitted)[1], "html.parser").select_one("[data-pending]")

    assert pending["data-live-url"] == "/hub/stage-service"
    assert pending["data-live-ticket"] == "live-place"


# The page of a server that is not running.


def end_of(code="walltime", **changes):
    options = {"profile": "padova-slurm", "cpu": 3.0, "memory": "5000Mi", "gpu": 0, "walltime": "90m"}
    end = {"code": code, "text": "The job reached its time limit.", "ended_at": 1795615320.0}
    return end | {"asked_for": "Padova SLURM: 3 cores", "options": options} | changes


def not_running(stage, visitor, server="", **end):
    name = "-".join(filter(None, (visitor.user, server)))
    stage.write(f"{name}.end.json", end_of(**end))
    html = visitor.get(f"/hub/user/{visitor.user}/{server and server + '/'}lab")[1]
    return BeautifulSoup(html, "html.parser").select_one(".container:has(h1)")


@pytest.mark.parametrize(
    ("code", "heading"),
    [
        ("walltime", "The time limit was reached"),
        ("out-of-memory", "Out of memory"),
        ("cancelled-at-site", "Cancelled at the site"),
        ("node-failed", "The node failed"),
        ("preempted", "Another job took the place"),
        ("completed", "Your server has ended"),
        ("failed", "Your server has failed"),
        ("deleted", "Your server was deleted"),
        ("start-failed", "Your server could not start"),
        ("of a newer hub", "Your server has ended"),
    ],
)
def test_page_says_why_and_when_a_server_ended(stage, code, heading):
    page = not_running(stage, stage.visitor("ended"), code=code)

    assert page.select_one("h1").get_text(strip=True) == heading
    assert "The job reached its time limit." in page.get_text()
    assert page.select_one("time")["datetime"] == "2026-11-25T14:02:00Z"
    assert page.select_one("time").get_text() == "25 November 2026, 14:02 UTC"
    assert "Padova SLURM: 3 cores" in page.get_text()


def test_every_code_of_an_end_has_a_heading_of_its_own():
    from rayster_spawner.form import EndView
    from rayster_spawner.life.endings import EndCode

    headings = {EndView(code.value, "", None, "", {}).heading for code in EndCode}

    assert len(headings) == len(EndCode)


@pytest.mark.parametrize("server", ["", "second"])
def test_start_again_asks_for_the_same_options_of_the_same_server(stage, submitted, server):
    # Given a server that has ended, and its page
    visitor = stage.visitor(f"again{server}")
    if server:  # the hub knows named servers that were started once
        visitor.get(f"/hub/spawn/{visitor.user}/{server}")
    page = not_running(stage, visitor, server)

    # When "Start again" is pressed
    form = page.select_one("form")
    status, html = visitor.post(form["action"], submitted(str(form)))

    # Then that very server starts with the same options
    pending = BeautifulSoup(html, "html.parser").select_one("[data-pending]")
    assert status == 200
    assert pending["data-server"] == server
    assert "Padova SLURM: 3 cores, 5000 MiB for 1 h 30 min" in pending.get_text()


def test_choose_differently_leads_to_the_form(stage):
    visitor = stage.visitor("different")
    page = not_running(stage, visitor)

    assert form_of(visitor.get(page.select_one("#start")["href"])[1]).select("input[name=profile]")


def test_server_without_a_known_end_is_simply_not_running(stage):
    html = stage.visitor("noend").get("/hub/user/noend/lab")[1]

    assert "Your server is not running" in html
    assert "data-again-form" not in html


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        pytest.param({"profile": "padova-slurm", "image": "<b>x</b>"}, ["<b>x</b>"], id="markup"),
        pytest.param({}, [], id="none"),
        pytest.param({"profile": ["a"]}, [], id="no-profile"),
    ],
)
def test_saved_words_are_never_markup(stage, options, texts):
    page = not_running(stage, stage.visitor("evil"), text="<i>x</i>", options=options, ended_at=None)

    assert "<i>x</i>" in page.get_text() and not page.select("i, b, time")
    values = [field["value"] for field in page.select("form input")]
    assert all(text in values for text in texts)
    assert bool(page.select("form")) is bool(texts)
