"""Pods that are nobody's are deleted in the end, and no other pod ever is."""

import asyncio
from typing import Any

import aiohttp
import pytest

from rayster_spawner.service.hub_client import HubUnknown, active_servers
from rayster_spawner.service.orphan_pods import Looked, OrphanSweep, decide
from rayster_spawner.service.pod_cache import PodCache, ServerName, trim
from rayster_spawner.service.pod_feed import PodFeed
from rayster_spawner.service.process import kubernetes_api

from ..http_backend import until
from .conftest import LOG, NAMESPACE, SERVICE_TOKEN

GRACE = 600
NOW = 10_000.0


def servers(*names: str) -> set[ServerName]:
    return {ServerName(name, "") for name in names}


def pods(*names: str) -> dict[str, ServerName]:
    return {f"uid-{name}": ServerName(name, "") for name in names}


def seen(names: str, seconds_ago: float = GRACE) -> dict[str, float]:
    return {f"uid-{name}": NOW - seconds_ago for name in names}


CROWD = [f"user-{n}" for n in range(20)]

CASES = [
    # name, what was seen before, pods, the hub's servers, what is deleted
    ("nobodys-for-long", Looked(2, seen("b")), "ab", "a", ["uid-b"]),
    ("nobodys-for-a-while", Looked(2, seen("b", GRACE - 1)), "ab", "a", []),
    ("nobodys-since-now", Looked(2, {}), "ab", "a", []),
    ("first-look", Looked(), "ab", "a", []),
    ("all-are-somebodys", Looked(2, {}), "ab", "ab", []),
    ("somebodys-again", Looked(2, seen("b")), "ab", "ab", []),
    ("hub-silent", Looked(2, seen("b")), "ab", None, []),
    ("hub-without-servers", Looked(2, seen("ab")), "ab", "", []),
    ("suddenly-half", Looked(4, seen("b")), "ab", "cd", []),
    ("fewer-but-not-half", Looked(4, seen("b")), "ab", "acd", ["uid-b"]),
    ("few-may-end-together", Looked(3, seen("b")), "ab", "a", ["uid-b"]),
    ("no-pods", Looked(2, {}), "", "a", []),
    ("no-pods-and-no-servers", Looked(0, {}), "", "", []),
]  # fmt: skip


@pytest.mark.parametrize(
    "before,names,active,deleted", [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_a_pod_is_deleted_when_it_was_nobodys_in_every_look(before, names, active, deleted):
    # when
    decision = decide(before, pods(*names), None if active is None else servers(*active), NOW, GRACE)
    # then
    assert list(decision.delete) == deleted


def test_another_server_of_the_same_user_keeps_no_pod():
    # given
    mine = {"uid": ServerName("ada", "gpu")}
    # then
    assert decide(Looked(1, {"uid": NOW - GRACE}), mine, servers("ada"), NOW, GRACE).delete == ("uid",)


def test_a_look_that_fails_neither_counts_nor_starts_anew():
    # given
    before = Looked(2, seen("b", 300))
    # then
    assert decide(before, pods("a", "b"), None, NOW, GRACE).looked == before


@pytest.mark.parametrize("active", ["", "cd"], ids=["no-server-at-all", "suddenly-half"])
def test_a_doubtful_answer_starts_every_count_anew(active):
    # when
    decision = decide(Looked(4, seen("b")), pods("a", "b"), servers(*active), NOW, GRACE)
    # then
    assert decision.looked.since == {} and decision.doubt


def test_a_pod_that_was_somebodys_between_is_counted_anew():
    # given
    between = decide(Looked(2, seen("b", 300)), pods("a", "b"), servers("a", "b"), NOW, GRACE).looked
    # when
    later = decide(between, pods("a", "b"), servers("a"), NOW + 400, GRACE)
    # then
    assert later.delete == () and later.looked.since == {"uid-b": NOW + 400}


def test_many_at_once_are_for_a_person_to_judge():
    # given: a hub that lost its database, and has one user again
    before = Looked(1, {f"uid-{name}": NOW - GRACE for name in CROWD})
    # when
    decision = decide(before, pods(*CROWD), servers("new"), NOW, GRACE)
    # then
    assert decision.delete == () and "by hand" in decision.doubt


# The hub's answer


@pytest.fixture
async def ask(hub):
    """Return a function that asks the fake hub."""
    async with aiohttp.ClientSession() as session:
        yield lambda: active_servers(session, hub.api_url, SERVICE_TOKEN)


@pytest.mark.parametrize("page_size", [200, 2, 1], ids=["one-page", "pages", "a-page-each"])
async def test_all_servers_of_all_pages_are_read(hub, ask, page_size):
    # given
    hub.page_size = page_size
    hub.servers = {"ada": ["", "gpu"], "bruno": [""], "carla": ["x"]}
    # then
    assert await ask() == {("ada", ""), ("ada", "gpu"), ("bruno", ""), ("carla", "x")}


SPOILT = [
    ("no-scope", lambda page: {**page, "items": [{"name": "ada"}]}, "scope read:servers"),
    ("bare-list", lambda page: page["items"], "cannot be understood"),
    ("no-end", lambda page: {"items": page["items"]}, "cannot be understood"),
    ("null", lambda page: None, "cannot be understood"),
    ("texts", lambda page: {**page, "items": ["ada"]}, "scope read:servers"),
    ("endless", lambda page: {**page, "_pagination": {"next": {"offset": 0}}}, "more than 3 pages"),
]  # fmt: skip


@pytest.mark.parametrize("spoil,said", [row[1:] for row in SPOILT], ids=[row[0] for row in SPOILT])
async def test_an_answer_that_is_not_whole_is_none(hub, ask, monkeypatch, spoil, said):
    # given
    monkeypatch.setattr("rayster_spawner.service.hub_client._MAX_PAGES", 3)
    hub.servers = {"ada": [""]}
    hub.spoil = spoil
    # then
    with pytest.raises(HubUnknown, match=said):
        await ask()


async def test_a_hub_that_refuses_or_is_away_has_said_nothing(hub, ask):
    # given
    hub.status = 503
    with pytest.raises(HubUnknown, match="HTTP 503"):
        await ask()
    # when
    await hub.stop()
    # then
    with pytest.raises(HubUnknown, match="cannot be asked"):
        await ask()


# With a cluster


@pytest.fixture
async def sweep(cluster, hub, ask, monkeypatch):
    """Return a sweep that knows the cluster, with its clock in a list of one number."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    clock = [NOW]
    cache = PodCache()
    async with kubernetes_api() as api:
        feed = asyncio.create_task(PodFeed(api, NAMESPACE, cache, LOG).run())
        await until(lambda: cache.is_synced)
        sweep = OrphanSweep(cache, ask, api, NAMESPACE, GRACE, LOG, clock=lambda: clock[0])
        sweep.clock, sweep.cache = clock, cache
        yield sweep
        feed.cancel()


async def look_for_an_hour(sweep: Any) -> None:
    """Look each ten minutes."""
    for _ in range(6):
        await sweep.look()
        sweep.clock[0] += GRACE


async def test_a_pod_that_is_nobodys_goes_and_all_others_stay(cluster, hub, sweep):
    # given
    hub.servers = {"ada": [""], "bruno": ["gpu"]}
    cluster.add_pod("jupyter-ada")
    cluster.add_pod("jupyter-bruno--gpu", user="bruno", server="gpu")
    cluster.add_pod("jupyter-bruno", user="bruno")
    cluster.add_other_pod("raycluster", "padova")
    await until(lambda: len(sweep.cache.pods) == 4)
    # when
    await look_for_an_hour(sweep)
    # then
    assert cluster.pod_names() == {"jupyter-ada", "jupyter-bruno--gpu", "raycluster"}


async def test_a_pod_goes_with_its_own_grace_period(cluster, hub, sweep):
    # given
    hub.servers = {"bruno": [""]}
    uid = cluster.add_pod("jupyter-ada")
    cluster.bind("jupyter-ada", "padova")
    await until(lambda: uid in sweep.cache.pods)
    # when
    await look_for_an_hour(sweep)
    # then: it is going, and its node can still cancel its job
    assert cluster.pod_names() == set()
    await until(lambda: "deletionTimestamp" in sweep.cache.pods[uid]["metadata"])


async def test_a_new_pod_of_the_same_name_stays(cluster, hub, sweep):
    # given
    hub.servers = {"bruno": [""]}
    uid = cluster.add_pod("jupyter-ada")
    await until(lambda: uid in sweep.cache.pods)
    await sweep.look()
    old = sweep.cache.pods[uid]
    # when: the service hears of the new one too late
    cluster.delete("jupyter-ada")
    cluster.add_pod("jupyter-ada")
    await until(lambda: uid not in sweep.cache.pods)
    sweep.cache.put(old)
    sweep.clock[0] += GRACE
    await sweep.look()
    # then
    assert cluster.pod_names() == {"jupyter-ada"}


async def test_nothing_goes_while_the_hub_is_away(cluster, hub, sweep, caplog):
    # given
    cluster.add_pod("jupyter-ada")
    await until(lambda: sweep.cache.pods)
    await hub.stop()
    # when
    await look_for_an_hour(sweep)
    # then
    assert cluster.pod_names() == {"jupyter-ada"}
    assert caplog.text.count("No orphan pod is looked for") == 1


async def test_nothing_goes_while_the_cluster_is_not_heard(cluster, hub, sweep):
    # given
    hub.servers = {"bruno": [""]}
    sweep.cache.replace([trim({"metadata": {"name": "x", "uid": "x"}})])
    sweep.cache._heard_at -= 3600
    asked: list[int] = []
    sweep._ask_hub = lambda: asked.append(1)
    # when
    await sweep.look()
    # then
    assert not asked
