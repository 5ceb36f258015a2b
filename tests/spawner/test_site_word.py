"""The site is the truth about jobs: a real hub hears an agent and pods that differ from it."""

import pytest

USERS = ("quin", "cy", "faye", "wes", "sam")


@pytest.fixture(scope="module")
def site(module_site):
    """One site for the whole story."""
    return module_site


@pytest.fixture(scope="module")
def hub(make_hub, agent):
    """A hub whose site has an agent."""
    hub = make_hub(agent=agent, RaysterSpawner={"stop_timeout": 2, "poll_interval": 1})
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def heard(hub, site, agent, until):
    """Let servers of all kinds start and the hub hear of their jobs. Returns the first event that tells a place."""
    for user in USERS:
        assert hub.spawn(user, {"profile": "padova"}).status_code == 202
        site.queue(f"jupyter-{user}", job_id=f"4{user}")
        agent.say(site.pod(f"jupyter-{user}"), "pending", reason="Waiting for free nodes.")
    agent.say(
        site.pod("jupyter-quin"),
        "pending",
        reason="Waiting for free nodes.",
        raw_reason="Resources",
        position=3,
        partition="long",
        expected_start_in_seconds=3000,
    )
    for user in ("faye", "wes", "sam"):
        agent.say(site.pod(f"jupyter-{user}"), "running")
    servers = {user: site.serve(f"jupyter-{user}") for user in ("wes", "sam")}
    until(lambda: hub.is_ready("wes") and hub.is_ready("sam"), 40)
    event = hub.progress("quin", lambda event: event.get("position") == 3)[-1]
    servers["wes"].shutdown()
    servers["wes"].server_close()
    return event


@pytest.fixture(scope="module")
def ended(hub, site, agent, heard):
    """Let a pod say that a running job has failed, and the site that others are over, of which the pods know nothing."""
    site.say_failed("jupyter-faye", "Error: 15", exit_code=15)
    for user, state in (("cy", "cancelled"), ("wes", "timeout"), ("sam", "cancelled")):
        agent.say(site.pod(f"jupyter-{user}"), state)


def page_of(hub, user, text):
    """Return the pending page of a user when ``text`` is in it."""
    page = hub.login(user).get(f"/spawn-pending/{user}").text
    return page if text in page else None


def test_progress_tells_the_place_and_the_expected_start(heard):
    facts = {
        "state": "queued",
        "raw_reason": "Resources",
        "job_id": "4quin",
        "position": 3,
        "partition": "long",
    }
    assert facts.items() <= heard.items()
    assert 2900 < heard["expected_start_in_seconds"] <= 3000
    assert 0 <= heard["heard_seconds_ago"] < 60
    assert heard["message"].startswith(
        "Queued at padova as job 4quin, 3rd in line, expected to start in about "
    )
    assert heard["message"].endswith("so far: Waiting for free nodes.")


def test_queued_job_that_was_cancelled_at_the_site_ends_the_wait_with_that_reason(hub, site, ended, until):
    assert until(lambda: page_of(hub, "cy", "The job was cancelled at the site."), 60)
    assert until(lambda: site.pod("jupyter-cy") is None)
    assert until(lambda: hub.server("cy") is None)


def test_running_server_ends_by_its_walltime_although_its_pod_does_not_say_so(hub, site, ended, until):
    assert until(lambda: page_of(hub, "wes", "The job reached its time limit."), 60)
    assert until(lambda: site.pod("jupyter-wes") is None)


def test_running_job_is_waited_for_although_its_pod_says_failed_and_the_note_says_so(hub, site, ended, until):
    event = hub.progress("faye", lambda event: event.get("note"))[-1]
    assert event["state"] == "running"
    assert event["note"] == "The cluster says that the server has failed, the site that its job is running."
    site.serve("jupyter-faye")
    until(lambda: hub.is_ready("faye"), 40)


def test_server_that_answers_runs_whatever_the_site_says(hub, site, ended, until):
    until(lambda: hub.server("wes") is None, 60)  # the hub has heard, then
    assert hub.is_ready("sam")
