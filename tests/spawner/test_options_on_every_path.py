"""Hostile, impossible and forgotten options over REST, form and links: refused with field and reason, nothing made."""

import json
import threading

import pytest

HOSTILE = {
    "a list": (["padova"], 400),
    "a number": (7, 400),
    "a text": ("padova", 400),
    "true": (True, 400),
    "unknown key": ({"profile": "cloud", "node_selector": {"a": "b"}}, 400),
    "kubespawner's own form keys": ({"profile": "cloud", "image--unlisted-choice": "evil"}, 400),
    "profile is a list (K1)": ({"profile": ["cloud"]}, 400),
    "profile does not exist (K1)": ({"profile": "zzz"}, 400),
    "image does not exist (K1)": ({"profile": "cloud", "image": "zzz"}, 400),
    "newline that re.match would take (K2)": (
        {"profile": "padova", "walltime": "01:00\n#SBATCH --wrap=x"},
        400,
    ),
    "format specification (K3)": ({"profile": "padova", "image": "{username:>300000000}"}, 400),
    "unknown placeholder (K3)": ({"profile": "{nosuch}"}, 400),
    "shell": ({"profile": "padova", "memory": "$(touch /tmp/x)"}, 400),
    "huge number": ({"profile": "padova", "cpu": 10**400}, 400),
    "deep": ({"profile": json.loads("[" * 200 + "]" * 200)}, 400),
    "lone surrogate": ({"profile": "\ud800"}, 400),
    "control characters": ({"profile": "cloud\u0000\u202e"}, 400),
    "profile of another group (K7)": ({"profile": "physics"}, 403),
}


@pytest.mark.parametrize(("body", "status"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_rest_body_is_refused_and_creates_nothing(hub, site, body, status):
    answer = hub.spawn("mallory", body)
    assert answer.status_code == status, answer.text
    assert hub.server("mallory") is None
    assert site.pods() == []
    assert hub.tokens("mallory") == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1"])
def test_numbers_that_are_none_are_refused(hub, site, number):
    answer = hub.ask("POST", f"/users/{hub.add_user('mallory')}/server", data=f'{{"cpu": {number}}}')
    assert answer.status_code == 400
    assert "cpu" in answer.json()["message"]
    assert site.pods() == []


def test_every_wrong_field_is_named_with_its_reason(hub):
    answer = hub.spawn("mallory", {"profile": "padova", "cpu": 99, "walltime": "3000h"})
    cpu, walltime = answer.json()["message"].splitlines()
    assert cpu == "cpu: 99: must be 1 to 8 cores"
    assert walltime.startswith("walltime: '3000h': must be 10 min to")


def test_refused_options_are_not_remembered(hub, site):
    hub.spawn("fay", {"profile": "padova", "cpu": 4})
    site.wait_for("jupyter-fay")
    hub.stop("fay")
    hub.spawn("fay", {"profile": "padova", "cpu": "<script>alert(1)</script>"})
    page = hub.login("fay").get("/spawn")
    assert "<script>alert(1)" not in page.text
    assert hub.spawn("fay").status_code == 202
    assert site.wait_for("jupyter-fay")["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "4"


def test_what_is_stored_is_complete_and_normal(hub, site):
    hub.spawn("nora", {"profile": "padova", "memory": 3})
    assert hub.server("nora")["user_options"] == {
        "profile": "padova",
        "image": "lab",
        "cpu": 2,
        "memory": "3072Mi",
        "gpu": 0,
        "walltime": "240m",
    }


def test_the_form_starts_what_was_chosen(hub, site):
    browser = hub.login("gina")
    answer = browser.submit("/spawn", profile="padova", **{"padova--cpu": "3", "cloud--cpu": "8"})
    assert answer.status_code == 302
    pod = site.wait_for("jupyter-gina")
    assert pod["metadata"]["labels"]["rayster.dev/profile"] == "padova"
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "3"


@pytest.mark.parametrize("path", ["/spawn/mia", "/spawn/mia/second"], ids=["default server", "named server"])
def test_a_mistake_comes_back_in_the_form(hub, site, path):
    hub.add_user("mia")
    answer = hub.login("mia").submit(path, profile="padova", **{"padova--cpu": "99"})
    assert answer.status_code == 400
    assert "must be 1 to 8 cores" in answer.text.lower()
    assert 'value="99"' in answer.text
    assert site.pods() == []


def test_a_form_field_that_is_no_option_is_refused_by_its_name(hub, site):
    answer = hub.login("mia").submit("/spawn", profile="padova", **{"padova--node_selector": "a"})
    assert answer.status_code == 400
    assert "node_selector" in answer.text
    assert site.pods() == []


def test_hostile_form_fields_are_refused_and_escaped(hub, site):
    answer = hub.login("mia").submit(
        "/spawn", profile="padova", **{"padova--image": '"><script>alert(1)</script>'}
    )
    assert answer.status_code == 400
    assert "<script>alert(1)" not in answer.text
    assert site.pods() == []


LINKS = {
    "hub 5": "profile=padova&cpu=5",
    "hub 6": "opt-profile=padova&opt-cpu=5",
}


@pytest.mark.parametrize("server", ["", "/batch"], ids=["default server", "named server"])
@pytest.mark.parametrize("query", LINKS.values(), ids=LINKS)
def test_a_spawn_link_fills_the_form_in_and_starts_nothing(hub, site, query, server):
    hub.add_user("liam")
    page = hub.login("liam").get(f"/spawn/liam{server}?{query}")
    assert page.status_code == 200
    assert 'value="5"' in page.text
    assert hub.server("liam") is None and hub.server("liam", "batch") is None
    assert site.pods() == []


def test_a_spawn_link_for_another_user_starts_nothing_either(hub, site):
    hub.add_user("liam")
    page = hub.login("boss").get("/spawn/liam?profile=padova&cpu=5")
    assert page.status_code == 200 and 'value="5"' in page.text
    assert site.pods() == []


HOSTILE_LINKS = {
    "shell": ("profile=padova&cpu=%3Cscript%3Ealert(1)%3C/script%3E", 400, "must be a number"),
    "unknown key": ("opt-profile=padova&opt-node_selector=a", 400, "node_selector"),
    "vanished profile": ("profile=zzz", 400, "is not a profile of this hub"),
    "another group's profile": ("profile=physics", 403, "is not one of your profiles"),
}


@pytest.mark.parametrize(("query", "status", "said"), HOSTILE_LINKS.values(), ids=HOSTILE_LINKS)
def test_a_hostile_link_shows_what_is_wrong_and_is_escaped(hub, site, query, status, said):
    page = hub.login("liam").get(f"/spawn?{query}")
    assert page.status_code == status
    assert "<script>alert(1)" not in page.text
    assert said in page.text.lower() and "Padova" in page.text
    assert site.pods() == []


def test_a_link_is_forgotten_after_it_was_shown(hub, site):
    browser = hub.login("liam")
    browser.get("/spawn?profile=padova&cpu=5")
    assert 'value="5"' not in browser.get("/spawn").text


def test_only_ones_own_profiles_are_in_the_form(hub):
    assert "Physics" in hub.login("ada").get("/spawn").text
    assert "Physics" not in hub.login("mallory").get("/spawn").text


def test_a_user_of_the_group_may_use_its_profile(hub, site):
    assert hub.spawn("ada", {"profile": "physics"}).status_code == 202
    assert site.wait_for("jupyter-ada")["metadata"]["labels"]["rayster.dev/profile"] == "physics"
    hub.stop("ada")


def test_simultaneous_hostile_requests_leave_the_hub_in_order(hub, site):
    statuses = []

    def attack(n):
        statuses.append(hub.spawn(f"bot{n}", [n]).status_code)

    threads = [threading.Thread(target=attack, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {400}
    assert site.pods() == []
