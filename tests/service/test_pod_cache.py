"""The pods in memory: little of each, found by server, and nothing left of those that are gone."""

import asyncio
import gc
import json

import pytest

from rayster_spawner.life import pod_requests
from rayster_spawner.service import pod_cache
from rayster_spawner.service.pod_cache import PodCache, ServerName, trim

ADA = ServerName("ada", "")


def pod(uid: str, user: str = "ada", created: str = "2026-11-25T10:00:00Z", **metadata):
    annotations = {"hub.jupyter.org/username": user, "rayster.dev/spawn-id": "s"}
    return trim(
        {
            "metadata": {
                "name": uid,
                "uid": uid,
                "creationTimestamp": created,
                "annotations": annotations,
                "labels": {"rayster.dev/site": "padova"},
                **metadata,
            }
        }
    )


def test_the_annotations_are_the_spawners():
    assert pod_cache.SPAWN_ID == pod_requests.SPAWN_ID


@pytest.mark.parametrize(
    "manifest",
    [{"metadata": {}}, {"metadata": {"labels": None, "annotations": None}, "spec": None, "status": None},
     {"metadata": {}, "status": {"conditions": None, "containerStatuses": None}}],
    ids=["empty", "nulls", "null-lists"],
)  # fmt: skip
def test_a_pod_with_gaps_is_trimmed_to_a_pod_with_gaps(manifest):
    assert trim(manifest)["metadata"]["annotations"] == {}


def test_what_runs_in_a_pod_is_not_kept():
    # given
    container = {"name": "notebook", "env": [{"name": "JUPYTERHUB_API_TOKEN", "value": "secret"}]}
    annotations = {"slurm-job.vk.io/pre-exec": "secret"}
    # then
    kept = trim(
        {"metadata": {"annotations": annotations}, "spec": {"containers": [container], "nodeName": "n"}}
    )
    assert "secret" not in json.dumps(kept)
    assert kept["spec"] == {"nodeName": "n"}


def test_a_server_has_its_newest_pod_and_rather_one_that_stays():
    # given
    cache = PodCache()
    cache.replace([pod("old"), pod("new", created="2026-11-25T11:00:00Z")])
    assert cache.of_server(ADA)["metadata"]["uid"] == "new"
    # when
    cache.put(pod("new", created="2026-11-25T11:00:00Z", deletionTimestamp="2026-11-25T12:00:00Z"))
    # then
    assert cache.of_server(ADA)["metadata"]["uid"] == "old"


def test_only_the_pages_of_a_server_hear_of_its_pod():
    # given
    cache = PodCache()
    ada, bruno = asyncio.Event(), asyncio.Event()
    changes = cache.change_of(ADA), cache.change_of(ServerName("bruno", ""))
    with changes[0].ringing(ada), changes[1].ringing(bruno):
        # when
        cache.put(pod("u"))
    # then
    assert ada.is_set() and not bruno.is_set()


def test_all_pages_hear_of_a_new_list():
    # given
    cache = PodCache()
    bell = asyncio.Event()
    change = cache.change_of(ADA)
    with change.ringing(bell):
        # when
        cache.replace([])
    # then
    assert bell.is_set()


def test_nothing_is_left_of_pods_and_pages_that_are_gone():
    # given
    cache = PodCache()
    for n in range(1000):
        change = cache.change_of(ServerName(f"user-{n}", ""))
        cache.put(pod(f"u-{n}", f"user-{n}"))
        cache.remove(pod(f"u-{n}", f"user-{n}"))
    # when
    del change
    gc.collect()
    # then
    assert not cache.pods and not cache._uids and not len(cache._changes)


def test_the_age_counts_from_the_last_word_of_the_api_server():
    # given
    now = [100.0]
    cache = PodCache(clock=lambda: now[0])
    # when
    now[0] += 30
    # then
    assert cache.age_seconds == 30
    cache.hear()
    assert cache.age_seconds == 0
