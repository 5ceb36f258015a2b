"""How many servers of a profile there may be: by tables, and on a real hub for requests that come at the same time."""

import json
import threading

import pytest

from rayster_spawner.life.limits import Accepted, limit_note, profile_in, refusal
from rayster_spawner.life.spawn_mark import SpawnMark
from rayster_spawner.profile_files import validate_profiles

from .conftest import profiles_data

ADA, BOB = 1, 2


def limited(**limits):
    """Return the profile `padova` with limits."""
    [padova] = [profile for profile in profiles_data() if profile["name"] == "padova"]
    return {**padova, "limits": limits}


def profile(**limits):
    """Return the profile of `limited`, read."""
    profiles, mistakes = validate_profiles({"profiles": [limited(**limits)]})
    assert profiles is not None, mistakes
    return profiles.profiles[0]


def servers(ada=0, bob=0, name="padova"):
    """Return so many servers of two users; the ids of Ada's begin with 100."""
    return [Accepted(100 + n, ADA, name) for n in range(ada)] + [
        Accepted(200 + n, BOB, name) for n in range(bob)
    ]


REFUSED = {
    "no limits": ({}, servers(50, 50), None),
    "room for the user": ({"servers_per_user": 3}, servers(2, 9), None),
    "user has as many": ({"servers_per_user": 3}, servers(3), 403),
    "user has more than a new limit": ({"servers_per_user": 1}, servers(3), 403),
    "room in all": ({"servers_total": 5}, servers(2, 2), None),
    "all in use": ({"servers_total": 4}, servers(2, 2), 429),
    "one's own limit first": ({"servers_per_user": 2, "servers_total": 4}, servers(2, 2), 403),
    "other profiles do not count": (
        {"servers_per_user": 1, "servers_total": 1},
        servers(3, 3, "cloud"),
        None,
    ),
}


@pytest.mark.parametrize(("limits", "there", "status"), REFUSED.values(), ids=REFUSED)
def test_who_is_refused(limits, there, status):
    refused = refusal(profile(**limits), there, user_id=ADA, user="ada", spawner_id=999)
    assert (refused and refused.status) == status


def test_server_does_not_count_itself():
    assert refusal(profile(servers_per_user=1), servers(1), user_id=ADA, user="ada", spawner_id=100) is None


def test_refusal_has_the_numbers_and_says_what_to_do():
    mine = refusal(profile(servers_per_user=3), servers(3), user_id=ADA, user="ada", spawner_id=None)
    assert mine.reason == (
        "ada has 3 of 3 servers here already. Stop one of them first, or choose another profile."
    )
    every = refusal(profile(servers_total=2), servers(0, 2), user_id=ADA, user="ada", spawner_id=None)
    assert every.reason == (
        "2 of 2 servers here are in use. Try again when one has ended, or choose another profile."
    )


NOTES = {
    "none": ({"servers_per_user": 3, "servers_total": 9}, servers(0, 8), ""),
    "some": ({"servers_per_user": 3}, servers(1), "You have 1 of 3 servers here."),
    "full": ({"servers_total": 2}, servers(0, 2), "All 2 servers here are in use."),
    "both": (
        {"servers_per_user": 2, "servers_total": 2},
        servers(1, 1),
        "You have 1 of 2 servers here. All 2 servers here are in use.",
    ),
}


@pytest.mark.parametrize(("limits", "there", "note"), NOTES.values(), ids=NOTES)
def test_note_of_the_form(limits, there, note):
    assert limit_note(profile(**limits), there, ADA) == note


STATES = {
    "accepted": (SpawnMark(1.0, 2.0, {"profile": "padova"}).as_state(), "padova"),
    "no mark": (None, None),
    "mark of another kind": ([], None),
    "no options": ({"options": None}, None),
    "no name": ({"options": {"profile": 7}}, None),
}


@pytest.mark.parametrize(("mark", "name"), STATES.values(), ids=STATES)
def test_profile_in_a_saved_state(mark, name):
    assert profile_in(json.dumps({"pod_name": "p", "spawn": mark})) == name


@pytest.mark.parametrize("text", [None, "", "null", "[]", "{}", "{"])
def test_state_without_a_spawn_has_no_profile(text):
    assert profile_in(text) is None


# On a real hub


@pytest.fixture(scope="module")
def hub(make_hub):
    """A hub that would end after two failures, with a profile for 3 servers of a user and one for 2 in all."""
    small = {**limited(servers_total=2), "name": "small", "title": "Small"}
    hub = make_hub(
        [limited(servers_per_user=3), small, {**limited(), "name": "free", "title": "Free"}],
        RaysterSpawner={"consecutive_failure_limit": 2, "stop_timeout": 2},
    )
    yield hub
    hub.close()


def spawn_at_once(hub, requests):
    """Ask for servers at the same time. Arguments: (user, profile, server's name). Returns the answers' statuses."""
    statuses = []

    def ask(user, profile_name, server):
        statuses.append(hub.spawn(user, {"profile": profile_name}, server).status_code)

    threads = [threading.Thread(target=ask, args=request) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


def test_of_ten_requests_at_once_of_one_user_as_many_are_accepted_as_may_be(hub, site, until):
    hub.add_user("ada")
    statuses = spawn_at_once(hub, [("ada", "padova", f"s{n}") for n in range(10)])
    assert statuses == [202] * 3 + [403] * 7
    until(lambda: len(site.pods()) == 3)
    assert hub.spawn("bob", {"profile": "padova"}).status_code == 202, "another user's servers do not count"
    assert hub.process.poll() is None, "refusals are no failures of the hub"

    mine = [name for name, server in hub.ask("GET", "/users/ada").json()["servers"].items() if server]
    answer = hub.spawn("ada", {"profile": "padova"})
    assert answer.status_code == 403 and "ada has 3 of 3 servers here already" in answer.json()["message"]
    page = hub.login("ada").get("/spawn").text
    assert "You have 3 of 3 servers here." in page
    sent = hub.login("ada").submit("/spawn", profile="padova")
    assert sent.status_code == 403 and "ada has 3 of 3 servers here already" in sent.text
    assert hub.spawn("ada", {"profile": "free"}).status_code == 202, "nor do those of another profile"

    hub.restart()
    until(lambda: hub.server("ada", mine[0]))
    assert hub.spawn("ada", {"profile": "padova"}, "one-more").status_code == 403, "counted from what exists"

    assert hub.stop("ada", mine[0]).status_code == 204
    assert hub.spawn("ada", {"profile": "padova"}, "one-more").ok
    site.run("jupyter-ada--one-more")
    until(lambda: hub.is_ready("ada", "one-more"))
    assert hub.spawn("ada", {"profile": "padova"}, "too-many").status_code == 403


def test_of_ten_users_at_once_as_many_are_accepted_as_may_be_in_all(hub, site, until):
    users = [f"user{n}" for n in range(10)]
    for user in users:
        hub.add_user(user)
    assert spawn_at_once(hub, [(user, "small", "") for user in users]) == [202] * 2 + [429] * 8
    accepted = [user for user in users if hub.server(user)]
    assert len(accepted) == 2
    [refused, *_] = [user for user in users if user not in accepted]
    answer = hub.spawn(refused, {"profile": "small"})
    assert answer.status_code == 429 and "2 of 2 servers here are in use" in answer.json()["message"]
    assert hub.tokens(refused) == [] and site.pod(f"jupyter-{refused}") is None
    assert hub.process.poll() is None, "refusals are no failures of the hub"

    site.wait_for(f"jupyter-{accepted[0]}")
    site.say_failed(f"jupyter-{accepted[0]}", "Error: 3", exit_code=3)
    until(lambda: hub.server(accepted[0]) is None)
    assert hub.spawn(refused, {"profile": "small"}).ok, "a failed server does not count"
    assert hub.spawn(accepted[0], {"profile": "small"}).status_code == 429


def test_server_that_is_started_again_does_not_count_itself(make_hub, site, until):
    hub = make_hub([limited(servers_per_user=1, servers_total=1)], RaysterSpawner={"stop_timeout": 2})
    for _ in range(2):
        assert hub.spawn("ada").status_code == 202
        assert hub.spawn("ada").status_code == 202, "joins the pending one"
        assert hub.stop("ada").status_code == 204
    hub.spawn("ada")
    site.wait_for("jupyter-ada")
    site.say_failed("jupyter-ada", "Error: 3", exit_code=3)
    until(lambda: hub.server("ada") is None)
    assert hub.spawn("ada").ok
    hub.close()
