"""A hub that is killed in the middle of spawns, with every kind of change meanwhile: no place in a queue is lost."""

import sqlite3
import time

import pytest

USERS = {
    "tess": "padova",
    "uma": "padova",
    "pia": "padova",
    "finn": "padova",
    "dora": "padova",
    "carl": "padova",
}


@pytest.fixture(scope="module")
def site(module_site):
    """One site for the whole story."""
    return module_site


@pytest.fixture(scope="module")
def story(hub, site, until):
    """Kill the hub twice while servers of all kinds start; things happen while it is away. Returns what was before."""
    for user, profile in USERS.items():
        assert hub.spawn(user, {"profile": profile}).status_code == 202
        site.queue(f"jupyter-{user}", job_id=f"4{user}")
    hub.spawn("carl", {"profile": "padova"}, "batch")
    site.queue("jupyter-carl--batch")
    hub.spawn("otto", {"profile": "closing"})
    site.queue("jupyter-otto")
    hub.spawn("cora", {"profile": "cloud"})
    site.wait_for("jupyter-cora")
    hub.spawn("cal", {"profile": "padova"})
    site.queue("jupyter-cal")
    asked = hub.server("cal")["started"]
    time.sleep(1.1)
    site.run("jupyter-cal")
    until(lambda: hub.is_ready("cal"))
    before = {
        "uids": {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in site.pods()},
        "cal asked": asked,
        "cal started": hub.server("cal")["started"],
    }
    hub.restart()
    before["pending at once"] = {user: hub.server(user)["pending"] for user in ("tess", "pia", "cora")}
    hub.kill()
    site.run("jupyter-uma")
    site.say_failed("jupyter-finn", "Error: 8", "SLURM job reached its time limit and was terminated", 8)
    site.delete("jupyter-dora")
    hub.profiles.write_text(hub.profiles.read_text().replace("name: closing", "name: renamed"))
    hub.start()
    return before


def uid(site, user):
    """Return the uid of a user's pod."""
    return site.pod(f"jupyter-{user}")["metadata"]["uid"]


def page_of(hub, user, text):
    """Return the pending page of a user when ``text`` is in it."""
    page = hub.login(user).get(f"/spawn-pending/{user}").text
    return page if text in page else None


def test_spawns_are_pending_again_as_soon_as_the_hub_answers(story):
    assert set(story["pending at once"].values()) == {"spawn"}


def test_queue_place_survives_two_hub_restarts_and_the_user_gets_in(hub, site, story, until):
    assert hub.spawn("tess").status_code == 202, "a second request joins the pending spawn"
    assert uid(site, "tess") == story["uids"]["jupyter-tess"]
    site.run("jupyter-tess")
    until(lambda: hub.is_ready("tess"))


def test_token_from_before_the_restart_is_revoked_at_stop(hub, site, story, until):
    until(lambda: hub.is_ready("uma"))
    assert len(hub.tokens("uma")) == 1
    assert hub.stop("uma").status_code == 204
    assert site.pod("jupyter-uma") is None
    assert hub.tokens("uma") == []


def test_server_that_came_up_while_the_hub_was_away_is_ready(hub, story, until):
    hub_log = hub.log.read_text()
    assert "uma is up after a restart of the hub" in hub_log


def test_progress_goes_on_and_counts_from_the_request_k12(hub, story):
    events = hub.progress("pia", lambda event: event.get("state") == "queued")
    assert events[-1]["job_id"] == "4pia"
    assert events[-1]["elapsed_seconds"] >= 2
    assert page_of(hub, "pia", "pia")


@pytest.mark.parametrize("server", ["", "batch"], ids=["default server", "named server"])
def test_cancel_after_a_restart_deletes_the_pod_and_the_token(hub, site, story, server):
    tokens = len(hub.tokens("carl"))
    assert hub.stop("carl", server).status_code == 204
    assert site.pod(f"jupyter-carl--{server}" if server else "jupyter-carl") is None
    assert len(hub.tokens("carl")) == tokens - 1
    assert not hub.server("carl", server)


def test_job_that_failed_while_the_hub_was_away_is_cleaned_up_and_says_why(hub, site, story, until):
    assert until(lambda: page_of(hub, "finn", "The job reached its time limit."))
    assert until(lambda: site.pod("jupyter-finn") is None)
    assert hub.tokens("finn") == []


def test_pod_that_was_deleted_while_the_hub_was_away_is_noticed(hub, story, until):
    assert until(lambda: page_of(hub, "dora", "was deleted before it was up"))


def test_profile_that_closed_while_the_job_queued_ends_nothing(hub, site, story, until):
    assert hub.server("otto")["pending"] == "spawn"
    site.run("jupyter-otto")
    until(lambda: hub.is_ready("otto"))
    assert uid(site, "otto") == story["uids"]["jupyter-otto"]


def test_cloud_server_is_taken_up_as_well(hub, site, story, until):
    site.run("jupyter-cora")
    until(lambda: hub.is_ready("cora"))


def test_age_and_idleness_count_from_the_server_not_from_the_request(hub, story):
    assert story["cal started"] > story["cal asked"]


def test_running_server_whose_address_was_not_written_is_found_again(hub, site, story, until):
    # Its pod is late and says that it queues, so nothing but the server itself tells where it is.
    hub.spawn("ida", {"profile": "padova"})
    site.queue("jupyter-ida", job_id="4ida")
    site.serve("jupyter-ida")
    until(lambda: hub.is_ready("ida"), 40)
    before = uid(site, "ida")
    hub.kill()
    with sqlite3.connect(hub.folder / "hub.sqlite") as database:
        changed = database.execute("UPDATE servers SET port = 1 WHERE base_url = '/user/ida/'")
        assert changed.rowcount == 1
    hub.start()
    assert until(lambda: hub.is_ready("ida"), 40)
    assert uid(site, "ida") == before


def test_running_server_is_not_touched(hub, site, story):
    assert hub.is_ready("cal")
    assert hub.server("cal")["started"] == story["cal started"]
    assert uid(site, "cal") == story["uids"]["jupyter-cal"]


# The API server away


def saved_state(hub, user):
    """Return the saved state of a user's default server."""
    with sqlite3.connect(hub.folder / "hub.sqlite", timeout=10) as database:
        query = "SELECT spawners.state FROM spawners JOIN users ON users.id = user_id WHERE users.name = ?"
        return database.execute(query, (user,)).fetchone()[0] or ""


@pytest.fixture(scope="module")
def outage(hub, site, api, story, until):
    """Kill the API server; ask for a server; kill the hub and start it; only then bring the API server back."""
    for user in ("ray", "rosa"):
        hub.spawn(user, {"profile": "padova"})
        site.queue(f"jupyter-{user}")
    site.run("jupyter-rosa")
    until(lambda: hub.is_ready("rosa"))
    uids = {user: uid(site, user) for user in ("ray", "rosa")}
    api.kill()
    try:
        hub.spawn("abe", {"profile": "padova", "cpu": 3})
        until(lambda: '"spawn"' in saved_state(hub, "abe"))
        hub.restart()
        until(lambda: hub.is_ready("rosa"))
        pending = {user: hub.server(user)["pending"] for user in ("ray", "abe")}
    finally:
        api.start()
    return uids, pending


def test_api_server_away_while_the_hub_restarts_keeps_the_place(hub, site, outage, until):
    uids, pending = outage
    assert pending["ray"] == "spawn"
    site.run("jupyter-ray")
    until(lambda: hub.is_ready("ray"))
    assert uid(site, "ray") == uids["ray"]


def test_api_server_away_while_the_hub_restarts_stops_no_running_server(hub, site, outage):
    uids, _ = outage
    assert hub.is_ready("rosa")
    assert uid(site, "rosa") == uids["rosa"]


def test_hub_killed_before_the_pod_existed_spawns_again(hub, site, outage, until):
    _, pending = outage
    assert pending["abe"] == "spawn"
    pod = site.wait_for("jupyter-abe")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "3"
    site.run("jupyter-abe")
    until(lambda: hub.is_ready("abe"))
    assert len(hub.tokens("abe")) == 1


def test_api_server_away_while_a_server_waits_and_another_is_requested(hub, site, api, outage, until):
    hub.spawn("sue", {"profile": "padova"})
    site.queue("jupyter-sue")
    api.kill()
    hub.spawn("tom", {"profile": "padova"})
    time.sleep(1)
    api.start()
    site.run("jupyter-sue")
    site.run("jupyter-tom")
    until(lambda: hub.is_ready("sue") and hub.is_ready("tom"))
