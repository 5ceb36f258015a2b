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
