"""What becomes of a request for a cluster."""

import base64
import json
import time

import pytest

from rayster_spawner.ray.tokens import cluster_token

from ..conftest import SERVICE_TOKEN, wait_until
from .conftest import add_server


async def test_a_cluster_is_made_for_the_server_that_asks(ada, rays):
    # when
    view = await ada.make(workers=3, cpus=4, memory="4Gi", walltime="2h", name="My fits")
    # then: told as it was asked for
    assert (view["user"], view["server"], view["profile"], view["site"]) == ("ada", "", "padova", "padova")
    assert view["wanted"] == {
        "workers": 3, "cpus": 4.0, "memory_mib": 4096, "gpus": None, "walltime_minutes": 120, "image": "lab",
    }  # fmt: skip
    assert (view["name"], view["title"], view["network"]) == ("My fits", "My fits", "site")
    # and there as KubeRay reads it
    made = rays.get(view["id"])
    (group,) = made["spec"]["workerGroupSpecs"]
    assert (group["groupName"], group["replicas"], made["spec"]["rayVersion"]) == ("w", 3, "2.60.0")


async def test_the_cluster_and_its_secret_go_with_the_servers_pod(ada, rays):
    # given
    view = await ada.make()
    (secret,) = rays.secrets()
    for made in (rays.get(view["id"]), secret):
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("Pod", "jupyter-ada")
    # when
    rays.cluster.delete("jupyter-ada")
    # then
    wait_until(lambda: not rays.all() and not rays.secrets())


async def test_the_secret_has_the_token_that_the_service_can_tell_again(ada, rays):
    view = await ada.make()
    (secret,) = rays.secrets()
    assert secret["metadata"]["name"] == view["id"]
    token = base64.b64decode(secret["data"]["auth_token"]).decode()
    assert token == cluster_token(SERVICE_TOKEN, view["id"])


async def test_what_is_left_out_is_the_profiles_default(ada):
    view = await ada.make()
    assert view["wanted"]["workers"] == 2 and view["wanted"]["cpus"] == 2
    assert view["wanted"]["walltime_minutes"] == 60


async def test_a_cluster_of_a_named_server_belongs_to_it(ada, rays):
    # given
    uid = add_server(rays.cluster, "ada", "gpu")
    wait = time.monotonic() + 10
    while (answer := await ada.ask("POST", "clusters", json={"profile": "padova", "server": "gpu"}))[
        0
    ] == 404:
        assert time.monotonic() < wait
    # then
    assert answer[0] == 201 and answer[1]["server"] == "gpu"
    assert rays.get(answer[1]["id"])["metadata"]["ownerReferences"][0]["uid"] == uid


async def test_two_clusters_get_ports_of_their_own(ada, bruno, rays):
    for client in (ada, ada, bruno):
        await client.make()
    ports = [
        cluster["metadata"]["annotations"][f"rayster.dev/ray-{kind}-port"]
        for cluster in rays.all()
        for kind in ("gcs", "dashboard")
    ]
    assert len(set(ports)) == 6


async def test_hostile_words_stay_words(ada, rays):
    # when
    title = "{0} $(id) `x` ${HOME} '\"; {username}"
    view = await ada.make(name=title)
    # then
    made = rays.get(view["id"])
    assert view["title"] == made["metadata"]["annotations"]["rayster.dev/title"] == title
    assert "$(id)" not in json.dumps(made["spec"])


# What is refused, with nothing made

WRONG = [
    ("no-profile", {"profile": None}, "profile"),
    ("profile-is-a-list", {"profile": ["padova"]}, "profile"),
    ("profile-without-workers", {"profile": "cloud"}, "profile"),
    ("too-many-workers", {"workers": 5}, "workers"),
    ("negative-workers", {"workers": -1}, "workers"),
    ("half-a-worker", {"workers": 1.5}, "workers"),
    ("workers-as-text", {"workers": "2"}, "workers"),
    ("workers-as-truth", {"workers": True}, "workers"),
    ("huge-workers", {"workers": 10**400}, "workers"),
    ("too-much-memory", {"memory": "1Ti"}, "memory"),
    ("memory-as-list", {"memory": [1]}, "memory"),
    ("memory-with-a-wish", {"memory": "4 apples"}, "memory"),
    ("too-many-cpus", {"cpus": 9}, "cpus"),
    ("gpus-where-there-are-none", {"gpus": 1}, "gpus"),
    ("walltime-too-long", {"walltime": "9h"}, "walltime"),
    ("unknown-image", {"image": "../../etc"}, "image"),
    ("long-name", {"name": "x" * 61}, "name"),
    ("name-with-a-line-end", {"name": "a\nb"}, "name"),
    ("name-with-half-a-character", {"name": "\ud800"}, "name"),
    ("name-is-a-number", {"name": 5}, "name"),
    ("server-is-a-number", {"server": 5}, "server"),
    ("unknown-field", {"colour": "red"}, "'colour'"),
]


@pytest.mark.parametrize("asked,field", [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_a_wrong_field_is_told_and_nothing_is_made(ada, rays, asked, field):
    status, answer = await ada.ask("POST", "clusters", json={"profile": "padova", **asked})
    assert status == 400, answer
    assert field in [wrong["field"] for wrong in answer["error"]["fields"]]
    assert not rays.all() and not rays.secrets()


async def test_all_wrong_fields_are_told_at_once(ada):
    _, answer = await ada.ask(
        "POST", "clusters", json={"profile": "padova", "workers": 99, "cpus": "x", "name": 1}
    )
    assert {wrong["field"] for wrong in answer["error"]["fields"]} == {"workers", "cpus", "name"}


BODIES = [
    ("nothing", b"", 400),
    ("no-json", b"profile=padova", 400),
    ("a-list", b"[]", 400),
    ("a-text", b'"padova"', 400),
    ("not-a-number", b'{"profile": "padova", "workers": NaN}', 400),
    ("endless", b'{"profile": "padova", "workers": 1' + b"0" * 5000 + b"}", 400),
    ("deep", b"[" * 30000 + b"]" * 30000, 400),
    ("no-utf-8", b'{"profile": "\xff\xfe"}', 400),
    ("10-MB", b'{"profile": "' + b"x" * 10_000_000 + b'"}', 413),
    ("64-KiB-and-one", b" " * (64 * 1024 + 1), 413),
]


@pytest.mark.parametrize("body,status", [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
async def test_a_body_that_is_no_request_is_refused(ada, rays, body, status):
    got, answer = await ada.ask("POST", "clusters", data=body)
    assert got == status and answer["error"]["message"]
    assert not rays.all() and not rays.secrets()


async def test_a_large_body_that_does_not_say_its_length_is_refused(ada, rays):
    async def chunks():
        for _ in range(200):
            yield b" " * 1024

    got, _ = await ada.ask("POST", "clusters", data=chunks())
    assert got == 413
    assert not rays.all()


REFUSED = [
    ("unknown-profile", {"profile": "nowhere"}, 404),
    ("profile-of-a-group", {"profile": "bari"}, 403),
    ("server-that-does-not-run", {"server": "nowhere"}, 404),
    ("hostile-server", {"server": "{0}"}, 404),
]


@pytest.mark.parametrize("asked,status", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_one_has_not_is_refused(ada, rays, asked, status):
    got, answer = await ada.ask("POST", "clusters", json={"profile": "padova", **asked})
    assert got == status and answer["error"]["fields"]
    assert not rays.all() and not rays.secrets()


async def test_a_server_that_has_just_been_stopped_gets_no_cluster(ada, rays):
    # given: the pod is ending, and on a node that has not let it go
    rays.cluster.bind("jupyter-ada", "padova")
    rays.cluster.delete("jupyter-ada", grace_seconds=30)
    # then, whether the service has heard of it by now or not
    status, answer = await ada.ask("POST", "clusters", json={"profile": "padova"})
    assert status == 404, answer
    assert not rays.all() and not rays.secrets()
