"""Clusters that are there: who sees and changes them, and what changes."""

import json
from dataclasses import replace

import pytest

from rayster_spawner.ray.tokens import cluster_token
from rayster_spawner.ray.view import Row, RowState
from rayster_spawner.service.cluster_cache import ClusterCache

from ..conftest import SERVICE_TOKEN
from .conftest import Api

UNKNOWN = "ray-0123456789"


async def test_everybody_sees_their_own_clusters(ada, bruno):
    # given
    mine, other = (await ada.make())["id"], (await bruno.make())["id"]
    # then
    for client, name in ((ada, mine), (bruno, other)):
        _, answer = await client.ask("GET", "clusters")
        assert [view["id"] for view in answer["clusters"]] == [name]
        assert (await client.ask("GET", f"clusters/{name}"))[1]["id"] == name


TOUCHES = [
    ("show", "GET", "", None),
    ("scale", "PATCH", "", {"workers": 0}),
    ("rename", "PATCH", "", {"name": "mine"}),
    ("stop", "DELETE", "", None),
    ("restart", "POST", "/restart", None),
    ("attach", "GET", "/attach", None),
]


@pytest.mark.parametrize("method,path,body", [row[1:] for row in TOUCHES], ids=[row[0] for row in TOUCHES])
async def test_somebody_elses_cluster_is_as_unknown_as_any(ada, bruno, rays, method, path, body):
    # given
    name = (await ada.make())["id"]
    before = rays.get(name)
    # when
    answers = [await bruno.ask(method, f"clusters/{each}{path}", json=body) for each in (name, UNKNOWN)]
    # then: one cannot tell which one exists
    statuses, texts = zip(*answers, strict=True)
    assert statuses == (404, 404)
    assert json.dumps(texts[0]).replace(name, UNKNOWN) == json.dumps(texts[1])
    assert rays.get(name) == before


@pytest.mark.parametrize(
    "name", ["x", "..%2f..", "ray-%0a", "ray-ABCDEFGHIJ", "%7B%7D", "ray-0123456789%00"], ids=range(6)
)
async def test_what_is_no_id_is_unknown(ada, name):
    status, _ = await ada.ask("GET", f"clusters/{name}")
    assert status == 404


async def test_administrators_see_and_stop_everybodys(ada, bruno, admin, rays):
    # given
    mine, other = (await ada.make())["id"], (await bruno.make())["id"]
    # then
    _, answer = await admin.ask("GET", "clusters")
    assert {view["id"] for view in answer["clusters"]} == {mine, other}
    _, answer = await admin.ask("GET", "clusters?user=ada")
    assert [view["id"] for view in answer["clusters"]] == [mine]
    assert (await admin.ask("DELETE", f"clusters/{mine}"))[0] == 202
    assert [made["metadata"]["name"] for made in rays.all()] == [other]


async def test_only_administrators_may_ask_for_a_users_clusters(ada):
    assert (await ada.ask("GET", "clusters?user=bruno"))[0] == 403
    assert (await ada.ask("GET", "clusters?user=ada"))[0] == 200


async def test_to_stop_everybodys_servers_is_not_to_enter_their_clusters(service, ada):
    # given: olga may start and stop servers, not enter them
    name, olga = (await ada.make())["id"], Api(service, "of-operator")
    # then
    assert (await olga.ask("GET", f"clusters/{name}"))[0] == 200
    assert (await olga.ask("GET", f"clusters/{name}/attach"))[0] == 403


@pytest.mark.parametrize("method,path", [("GET", "profiles"), ("GET", "clusters"), ("POST", "clusters")])
@pytest.mark.parametrize(
    "token,status",
    [(None, 401), ("forged", 401), ("without-rights", 403)],
    ids=["none", "forged", "too-little"],
)
async def test_a_token_of_nobody_does_nothing(service, method, path, token, status):
    got, answer = await Api(service, token).ask(method, path, json={"profile": "padova"})
    assert got == status and answer["error"]["message"]


async def test_a_service_that_is_called_like_a_user_is_not_the_user(service, ada):
    # given
    await ada.make()
    other = Api(service, "of-a-service")
    # then
    assert (await other.ask("GET", "clusters"))[1] == {"clusters": []}
    assert (await other.ask("POST", "clusters", json={"profile": "padova"}))[0] == 403


# Changes


async def test_workers_are_scaled(ada, rays):
    # given
    name = (await ada.make(workers=1))["id"]
    # when
    status, view = await ada.ask("PATCH", f"clusters/{name}", json={"workers": 4})
    # then
    assert (status, view["wanted"]["workers"]) == (200, 4)
    assert rays.get(name)["spec"]["workerGroupSpecs"][0]["replicas"] == 4


async def test_a_cluster_is_renamed(ada, rays):
    name = (await ada.make(name="first"))["id"]
    _, view = await ada.ask("PATCH", f"clusters/{name}", json={"name": "second"})
    assert (view["name"], view["title"]) == ("second", "second")
    _, view = await ada.ask("PATCH", f"clusters/{name}", json={"name": None})
    assert (view["name"], view["title"]) == (name, None)
    assert "rayster.dev/title" not in rays.get(name)["metadata"]["annotations"]


CHANGES = [
    ("nothing", {}),
    ("too-many", {"workers": 5}),
    ("too-few", {"workers": -1}),
    ("no-number", {"workers": "three"}),
    ("null", {"workers": None}),
    ("another-profile", {"profile": "cloud"}),
    ("long-name", {"name": "x" * 61}),
    ("name-is-a-list", {"name": ["x"]}),
]


@pytest.mark.parametrize("asked", [row[1] for row in CHANGES], ids=[row[0] for row in CHANGES])
async def test_a_change_that_cannot_be_changes_nothing(ada, rays, asked):
    # given
    name = (await ada.make())["id"]
    before = rays.get(name)
    # when
    status, answer = await ada.ask("PATCH", f"clusters/{name}", json=asked)
    # then
    assert status == 400 and answer["error"]["message"]
    assert rays.get(name) == before


async def test_a_stopped_cluster_takes_its_secret_along(ada, rays):
    name = (await ada.make())["id"]
    status, answer = await ada.ask("DELETE", f"clusters/{name}")
    assert (status, answer["state"]) == (202, "stopping")
    assert not rays.all() and not rays.secrets()


async def test_to_stop_a_cluster_twice_is_no_failure_of_the_service(ada):
    name = (await ada.make())["id"]
    first = (await ada.ask("DELETE", f"clusters/{name}"))[0]
    assert first == 202
    assert (await ada.ask("DELETE", f"clusters/{name}"))[0] in (202, 404)


async def test_a_restart_sends_all_pods_away_and_asks_for_the_same_again(ada, rays):
    # given: the service has stopped it
    name = (await ada.make(workers=3))["id"]
    why = json.dumps({"code": "worker-failures", "message": "Three workers failed.", "at": 1.0})
    annotations = {"rayster.dev/stopped-because": why}
    group = rays.get(name)["spec"]["workerGroupSpecs"][0]
    spec = {"suspend": True, "workerGroupSpecs": [{**group, "replicas": 0}]}
    rays.patch(name, {"metadata": {"annotations": annotations}, "spec": spec})
    while (await ada.ask("GET", f"clusters/{name}"))[1]["state"] not in ("failed", "suspended"):
        pass
    # then it cannot be scaled
    status, answer = await ada.ask("PATCH", f"clusters/{name}", json={"workers": 1})
    assert status == 409 and "Three workers failed." in answer["error"]["message"]
    # when
    status, view = await ada.ask("POST", f"clusters/{name}/restart")
    # then
    assert (status, view["wanted"]["workers"]) == (200, 3)
    made = rays.get(name)
    assert "rayster.dev/stopped-because" not in made["metadata"]["annotations"]
    assert made["spec"]["workerGroupSpecs"][0]["replicas"] == 3


# To attach


async def test_nobody_attaches_before_there_is_a_head(ada):
    name = (await ada.make())["id"]
    status, answer = await ada.ask("GET", f"clusters/{name}/attach")
    assert (status, answer["error"]["code"]) == (409, "not-ready")


@pytest.fixture
def with_head(monkeypatch):
    """Return a function that lets the head of every cluster be up at an address."""

    def up(address):
        real = ClusterCache.view

        def view(self, name):
            found = real(self, name)
            head = Row("head", "uid", RowState.JOINED, address=address)
            return replace(found, head=head, session="session_1", python_version="3.11.7")

        monkeypatch.setattr(ClusterCache, "view", view)

    return up


async def test_a_notebook_at_the_site_is_told_of_the_rendezvous(ada, with_head):
    # given
    name = (await ada.make())["id"]
    with_head("127.60.0.9")
    # when
    status, told = await ada.ask("GET", f"clusters/{name}/attach")
    # then
    assert status == 200
    assert told == {
        "cluster": name,
        "network": "site",
        "address": None,
        "rendezvous": f"/work/ray/ada/{name}.json",
        "node_network": None,
        "plasma_directory": None,
        "dashboard_url": f"/services/rayster/api/clusters/{name}/dashboard/",
        "token": cluster_token(SERVICE_TOKEN, name),
        "ray_version": "2.60.0",
        "python_version": "3.11.7",
        "session": "session_1",
    }


async def test_a_notebook_in_network_direct_is_told_the_heads_address(bruno, rays, with_head):
    # given
    _, view = await bruno.ask("POST", "clusters", json={"profile": "bari"})
    with_head("10.0.0.7")
    # when
    _, told = await bruno.ask("GET", f"clusters/{view['id']}/attach")
    # then
    port = rays.get(view["id"])["metadata"]["annotations"]["rayster.dev/ray-gcs-port"]
    assert (told["network"], told["address"], told["rendezvous"]) == ("direct", f"10.0.0.7:{port}", None)


# Profiles


async def test_profiles_with_workers_are_told_with_their_bounds(ada):
    # given
    await ada.make()
    # when
    _, answer = await ada.ask("GET", "profiles")
    # then
    (profile,) = answer["profiles"]
    assert (profile["name"], profile["network"], profile["ray_version"]) == ("padova", "site", "2.60.0")
    assert profile["bounds"]["workers"] == {"min": 0, "max": 4, "default": 2}
    assert profile["bounds"]["memory_mib"] == {"min": 1024, "max": 16384, "default": 2048}
    assert profile["bounds"]["walltime_minutes"]["max"] == 480
    assert profile["bounds"]["gpus"] is None
    assert profile["images"] == [{"name": "lab", "title": "Lab", "default": True}]
    assert profile["limits"]["clusters_per_user"] == 2 and profile["limits"]["clusters_now"] == 1


async def test_a_profile_of_a_group_is_told_to_its_members(bruno):
    _, answer = await bruno.ask("GET", "profiles")
    assert [profile["name"] for profile in answer["profiles"]] == ["padova", "bari"]
