"""Limits, ports and tokens of Ray clusters, each a small decision."""

import base64
import re

import pytest

from rayster_spawner.profiles import Profile
from rayster_spawner.ray.limits import Held, merged, refusal
from rayster_spawner.ray.names import ID_PATTERN, is_cluster_id, new_cluster_id
from rayster_spawner.ray.ports import FIRST_PORT, LAST_PORT, NoPorts, choose_ports
from rayster_spawner.ray.tokens import cluster_token

from .conftest import profile_data

IMAGES = [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}]


def limited(**limits):
    """Return a profile with limits of its clusters."""
    ray = {"version": "2.60.0", "workers": {"max": 8}, "limits": {"clusters_per_user": None, **limits}}
    return Profile.model_validate(profile_data(images=IMAGES, ray=ray))


def held(name, user="ada", workers=2, profile="padova"):
    return Held(name, user, profile, workers)


LIMITS = [
    ("none", {}, [held("a"), held("b")], held("c"), None),
    ("room-for-one", {"clusters_per_user": 2}, [held("a")], held("c"), None),
    ("no-room", {"clusters_per_user": 2}, [held("a"), held("b")], held("c"), "You have 2 of 2"),
    ("others-do-not-count", {"clusters_per_user": 1}, [held("a", "bruno")], held("c"), None),
    ("other-profiles-do-not-count", {"clusters_per_user": 1}, [held("a", profile="bari")], held("c"), None),
    ("in-all", {"clusters_total": 2}, [held("a"), held("b", "bruno")], held("c", "carla"), "2 of 2 Ray clusters"),
    ("workers", {"workers_per_user": 4}, [held("a")], held("c", workers=2), None),
    ("too-many-workers", {"workers_per_user": 4}, [held("a")], held("c", workers=3), "may have 4 workers"),
    ("workers-of-others", {"workers_per_user": 4}, [held("a", "bruno", 9)], held("c", workers=4), None),
    ("it-does-not-count-itself", {"workers_per_user": 4}, [held("a", workers=4)], held("a", workers=4), None),
    ("it-may-grow", {"clusters_per_user": 1, "workers_per_user": 4}, [held("a", workers=1)], held("a", workers=4), None),
    ("over-a-new-limit-one-may-shrink", {"clusters_per_user": 1}, [held("a"), held("b")], held("a", workers=1), None),
]  # fmt: skip


@pytest.mark.parametrize(
    "limits,there,wanted,reason", [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS]
)
def test_there_is_room_or_a_reason(limits, there, wanted, reason):
    answer = refusal(limited(**limits), wanted, iter(there))
    assert answer is None if reason is None else reason in (answer or "")


def test_what_is_being_made_counts_beside_what_is_there_and_growth_in_its_place():
    there = [held("a", workers=2), held("b", workers=5)]
    claimed = [held("a", workers=4), held("b", workers=1), held("c", workers=3)]
    assert {each.id: each.workers for each in merged(there, claimed)} == {"a": 4, "b": 5, "c": 3}


def test_two_clusters_never_get_the_same_port():
    taken: set[int] = set()
    for _ in range(200):
        ports = choose_ports(taken)
        assert not taken & set(ports) and all(FIRST_PORT <= port <= LAST_PORT for port in ports)
        taken |= set(ports)


def test_the_last_free_ports_are_found():
    taken = set(range(FIRST_PORT, LAST_PORT + 1)) - {20500, 20501}
    assert choose_ports(taken) == (20500, 20501)
    with pytest.raises(NoPorts):
        choose_ports(taken | {20501})


def test_a_token_is_as_kuberays_own():
    token = cluster_token("key", "ray-0123456789")
    assert len(token) == 44 and len(base64.b64decode(token)) == 32


@pytest.mark.parametrize("key,name", [("key", "ray-9876543210"), ("other", "ray-0123456789")])
def test_a_token_is_of_one_cluster_and_one_service(key, name):
    assert cluster_token(key, name) != cluster_token("key", "ray-0123456789")
    assert cluster_token(key, name) == cluster_token(key, name)


def test_without_a_key_there_is_no_token():
    with pytest.raises(ValueError):
        cluster_token("", "ray-0123456789")


def test_ids_are_names_that_kubernetes_takes_and_differ():
    ids = {new_cluster_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(ID_PATTERN, name) and is_cluster_id(name) for name in ids)


@pytest.mark.parametrize(
    "text",
    ["", "ray-", "ray-012345678", "ray-01234567890", "RAY-0123456789", "ray-0123456789\n", "ray-012345678é"],
)
def test_what_is_no_id_is_none(text):
    assert not is_cluster_id(text)
