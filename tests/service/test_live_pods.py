"""What a site's agent is told of live pods: never too little, and nothing when the cluster is not known."""

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest

from rayster_spawner.service import handlers
from rayster_spawner.service.pod_cache import PodCache

from ..http_backend import until
from .conftest import SITE_TOKENS, Service, synced

PADOVA = f"Bearer {SITE_TOKENS['padova']}"


async def live(service: Service, authorization: str = PADOVA) -> set[str] | int:
    """Return the UIDs that an agent is told, or the status when it is told none."""
    status, answer = await service.get("api/live-pods", authorization)
    return set(answer["uids"]) if status == 200 else status


async def until_live(service: Service, uids: set[str]) -> None:
    """Wait until the agent of padova is told just these pods."""
    deadline = time.monotonic() + 30
    while (told := await live(service)) != uids:
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.05)


async def test_an_agent_is_told_the_pods_of_its_site_only(cluster, service):
    # given
    mine = cluster.add_pod("jupyter-ada")
    theirs = cluster.add_pod("jupyter-bruno", user="bruno", site="bari")
    cluster.add_pod("jupyter-carla", user="carla", site="cloud")
    # then
    await until_live(service, {mine})
    assert await live(service, f"Bearer {SITE_TOKENS['bari']}") == {theirs}


async def test_the_answer_names_the_site_and_its_age(cluster, service):
    _, answer = await service.get("api/live-pods", PADOVA)
    assert answer["version"] == 1 and answer["site"] == "padova"
    assert 0 <= answer["age_seconds"] < 60


async def test_the_answer_names_the_job_that_a_pod_follows(cluster, service):
    # given
    followed = cluster.add_pod("jupyter-ada", JobID="4217")
    submitted = cluster.add_pod("jupyter-bruno", user="bruno")
    odd = cluster.add_pod("jupyter-carla", user="carla", JobID="9" * 65)
    await until_live(service, {followed, submitted, odd})
    # then
    _, answer = await service.get("api/live-pods", PADOVA)
    assert answer["job_ids"] == {followed: "4217"}


async def test_a_pod_on_the_sites_node_is_alive_whoever_made_it(cluster, service):
    uid = cluster.add_other_pod("raycluster-worker", "padova")
    await until_live(service, {uid})


async def test_a_pod_that_is_going_is_alive_until_it_is_gone(cluster, service):
    # given
    uid = cluster.add_pod("jupyter-ada")
    cluster.bind("jupyter-ada", "padova")
    # when
    cluster.delete("jupyter-ada", grace_seconds=30)
    assert "jupyter-ada" not in cluster.pod_names()
    # then
    await until_live(service, {uid})
    # when
    cluster.delete("jupyter-ada")
    await until_live(service, set())


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_is_over_is_alive_while_it_is_there(cluster, service, phase):
    # given
    uid = cluster.add_pod("jupyter-ada")
    # when
    cluster.set_status("jupyter-ada", phase=phase)
    # then
    await until_live(service, {uid})


async def test_nothing_is_told_before_the_cluster_was_heard(own_cluster, start_service):
    # given
    own_cluster.end()
    async with start_service(own_cluster) as service:
        # then
        assert await live(service) == 503
        assert (await service.get("readyz"))[0] == 503
        # when
        own_cluster.start()
        await synced(service)
        # then
        assert await live(service) == set()


async def test_nothing_is_told_when_the_cluster_was_not_heard_lately(own_cluster, start_service, monkeypatch):
    # given
    async with start_service(own_cluster) as service:
        uid = own_cluster.add_pod("jupyter-ada")
        await until_live(service, {uid})
        # when
        monkeypatch.setattr(handlers, "LIVE_PODS_SECONDS", 2)
        own_cluster.end()
        # then: an agent could take a pod that is made meanwhile for one that is gone
        deadline = time.monotonic() + 30
        while await live(service) != 503:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        # when
        own_cluster.start()
        # then
        await until_live(service, {uid})


async def test_pods_are_followed_through_an_outage_of_the_api_server(own_cluster, start_service):
    # given
    async with start_service(own_cluster) as service:
        first = own_cluster.add_pod("jupyter-ada")
        own_cluster.add_pod("jupyter-bruno", user="bruno")
        # when
        own_cluster.end()
        own_cluster.start()
        own_cluster.delete("jupyter-bruno")
        second = own_cluster.add_pod("jupyter-carla", user="carla")
        # then
        await until_live(service, {first, second})


async def test_two_sites_with_one_token_are_told_the_pods_of_both(cluster, start_service, settings, tmp_path):
    # given
    (tmp_path / "bari").write_text(SITE_TOKENS["padova"])
    uids = {cluster.add_pod("jupyter-ada"), cluster.add_pod("jupyter-bruno", user="bruno", site="bari")}
    async with start_service(cluster) as service:
        await synced(service)
        # then: rather one too many than one too few
        assert await live(service) == uids


# The feed, against an API server that says what no testbed does


class FakeContent:
    def __init__(self, chunks):
        self.chunks = chunks

    async def iter_any(self):
        for chunk in self.chunks:
            yield chunk
        await asyncio.sleep(0)


class FakeAnswer:
    """One answer of the API server: a body for a list, or chunks of a watch."""

    def __init__(self, body=b"", status=200, chunks=()):
        self.status, self._body, self.content = status, body, FakeContent(chunks)

    async def read(self):
        return self._body

    async def text(self):
        return self._body.decode()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass


def pod_data(name: str, version: str = "2") -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": version}}


def listing(*names: str, version: str = "1", more: str = "") -> FakeAnswer:
    metadata = {"resourceVersion": version, "continue": more}
    return FakeAnswer(json.dumps({"metadata": metadata, "items": list(map(pod_data, names))}).encode())


def event(kind: str, name: str, version: str = "2") -> bytes:
    return json.dumps({"type": kind, "object": pod_data(name, version)}).encode() + b"\n"


EXPIRED = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}\n'
BROKEN = b'{"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd"}}\n'
BOOKMARK = b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "77"}}}\n'


class FakeApi:
    """Gives one answer after the other, then stays silent; remembers what was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def list_namespaced_pod(self, namespace, _preload_content, **query):
        self.asked.append(query)
        if not self.answers:
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def follow(monkeypatch):
    """Return a function that feeds a cache with an API server's answers until none is left."""
    from rayster_spawner.service import pod_feed

    from .conftest import LOG

    monkeypatch.setattr(pod_feed, "_WAIT_SECONDS", (0.01,))
    monkeypatch.setattr(pod_feed, "_PAUSE_SECONDS", 0)

    async def run(*answers):
        api, cache = FakeApi(*answers), PodCache()
        task = asyncio.create_task(pod_feed.PodFeed(api, "rayster", cache, LOG).run())
        await until(lambda: len(api.asked) > len(answers))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return api, cache

    return run


STORIES = [
    ("a-list", [listing("a", "b")], {"a", "b"}),
    ("a-list-in-pages", [listing("a", more="x"), listing("b")], {"a", "b"}),
    ("added-and-deleted", [listing("a"), FakeAnswer(chunks=[event("ADDED", "b") + event("DELETED", "a")])], {"b"}),
    ("an-event-in-pieces", [listing(), FakeAnswer(chunks=[event("ADDED", "b")[:9], event("ADDED", "b")[9:]])], {"b"}),
    ("too-old-in-the-watch", [listing("a"), FakeAnswer(chunks=[EXPIRED]), listing("b")], {"b"}),
    ("too-old-at-once", [listing("a"), FakeAnswer(status=410), listing("b")], {"b"}),
    ("too-old-between-pages", [listing("a", more="x"), FakeAnswer(status=410), listing("b")], {"b"}),
    ("an-error-in-the-watch", [listing("a"), FakeAnswer(chunks=[BROKEN]), listing("b")], {"b"}),
    ("an-error-keeps-what-was-known", [listing("a"), FakeAnswer(b"no", status=500)], {"a"}),
    ("an-outage-keeps-what-was-known", [listing("a"), ConnectionError(), TimeoutError()], {"a"}),
    ("garbage-keeps-what-was-known", [listing("a"), FakeAnswer(chunks=[b"<html>\n"])], {"a"}),
    ("a-list-of-garbage", [FakeAnswer(b"{}"), listing("a")], {"a"}),
]  # fmt: skip


@pytest.mark.parametrize("answers,names", [row[1:] for row in STORIES], ids=[row[0] for row in STORIES])
async def test_the_feed_ends_with_what_is_there(follow, answers, names):
    # when
    _, cache = await follow(*answers)
    # then
    assert {pod["metadata"]["name"] for pod in cache.pods.values()} == names


async def test_a_watch_goes_on_from_the_last_version_that_was_seen(follow):
    # when
    api, _ = await follow(listing(), FakeAnswer(chunks=[event("ADDED", "a", "5"), BOOKMARK]))
    # then
    assert [query.get("resource_version") for query in api.asked] == [None, "1", "77"]


async def test_a_page_that_cannot_be_had_leaves_nothing_half_known(follow):
    # when
    _, cache = await follow(listing("a", more="x"), ConnectionError())
    # then
    assert not cache.is_synced and not cache.pods
