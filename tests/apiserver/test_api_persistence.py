"""Nothing acknowledged is lost when the server is killed; versions go on where they were."""

from __future__ import annotations

import asyncio
import signal

import aiohttp
import pytest

from rayster_testbed.apiserver.journal import Journal
from rayster_testbed.apiserver.store import Compacted, Store

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


async def test_killed_server_keeps_what_it_acknowledged(new_server, session):
    process = new_server()
    acknowledged: list[str] = []

    async def write() -> None:
        for index in range(100_000):
            body = {"metadata": {"name": f"c-{index}"}}
            try:
                async with session.post(process.url + CONFIG_MAPS, json=body) as answer:
                    assert answer.status == 201
                    acknowledged.append((await answer.json())["metadata"]["uid"])
            except aiohttp.ClientError:
                return

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.5)
    process.end(signal.SIGKILL)
    await writing
    process.start()

    async with session.get(process.url + CONFIG_MAPS) as answer:
        items = (await answer.json())["items"]
    assert len(acknowledged) > 50
    assert set(acknowledged) <= {item["metadata"]["uid"] for item in items}


async def test_watch_goes_on_over_a_restart(new_server, session):
    process = new_server()

    async def make(name):
        async with session.post(process.url + CONFIG_MAPS, json={"metadata": {"name": name}}) as answer:
            return (await answer.json())["metadata"]["resourceVersion"]

    since = await make("a")
    await make("b")
    process.end(signal.SIGKILL)
    process.start()
    later = await make("c")

    query = {"watch": "1", "resourceVersion": since, "timeoutSeconds": "1"}
    async with session.get(process.url + CONFIG_MAPS, params=query) as answer:
        lines = (await answer.text()).splitlines()
    assert [line.split('"name":"')[1][0] for line in lines] == ["b", "c"]
    assert int(later) > int(since) + 1


async def test_owner_that_died_with_the_server_is_still_collected(new_server, session):
    process = new_server()
    async with session.post(process.url + CONFIG_MAPS, json={"metadata": {"name": "owner"}}) as answer:
        owner = await answer.json()
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    body = {"metadata": {"name": "child", "ownerReferences": [reference]}}
    async with session.post(process.url + CONFIG_MAPS, json=body) as answer:
        assert answer.status == 201
    process.end(signal.SIGKILL)

    # As if the kill had come between the owner's deletion and the collector's work.
    journal = Journal(process.folder / "data" / "objects.sqlite")
    Store(journal).remove("configmaps", "default", "owner")
    journal.close()
    process.start()

    for _ in range(100):
        async with session.get(f"{process.url}{CONFIG_MAPS}/child") as answer:
            if answer.status == 404:
                return
        await asyncio.sleep(0.05)
    pytest.fail("the dependent of a lost owner stayed")


def test_server_ends_cleanly_when_told_to(new_server):
    process = new_server()

    assert process.end(signal.SIGTERM) == 0


def test_compacted_journal_holds_the_same_objects(tmp_path):
    journal = Journal(tmp_path / "objects.sqlite")
    store = Store(journal, history=10)
    for index in range(50):
        store.put("configmaps", "n", f"c-{index % 7}", {"metadata": {"name": f"c-{index % 7}"}, "i": index})
    store.remove("configmaps", "n", "c-0")
    expected = {(space, name): record.raw for space, name, record in store.records("configmaps")}
    journal.close()

    again = Store(Journal(tmp_path / "objects.sqlite"), history=10)

    assert {(space, name): record.raw for space, name, record in again.records("configmaps")} == expected
    assert (again.version, again.compacted) == (store.version, store.compacted)
    with pytest.raises(Compacted):
        again.since(2, "configmaps")


async def test_watch_of_a_forgotten_version_is_an_error_event(new_server, session):
    process = new_server()
    process.end()
    journal = Journal(process.folder / "data" / "objects.sqlite")
    store = Store(journal)
    store.compact(store.version)
    current = store.version
    journal.close()
    process.start()

    query = {"watch": "true", "resourceVersion": "5"}
    async with session.get(process.url + CONFIG_MAPS, params=query) as answer:
        status, event = answer.status, await answer.json(content_type=None)

    assert (status, event["type"]) == (200, "ERROR")
    assert event["object"] == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"too old resource version: 5 ({current})",
        "reason": "Expired",
        "code": 410,
    }

    query = {"resourceVersion": "5", "resourceVersionMatch": "Exact"}
    async with session.get(process.url + CONFIG_MAPS, params=query) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (410, "Expired")


async def test_expired_page_comes_with_a_fresh_token(new_server, session):
    process = new_server()
    for name in ("a", "b", "c"):
        async with session.post(process.url + CONFIG_MAPS, json={"metadata": {"name": name}}) as answer:
            assert answer.status == 201
    async with session.get(process.url + CONFIG_MAPS, params={"limit": "1"}) as answer:
        token = (await answer.json())["metadata"]["continue"]
    async with session.delete(f"{process.url}{CONFIG_MAPS}/b") as answer:
        assert answer.status == 200
    process.end()
    journal = Journal(process.folder / "data" / "objects.sqlite")
    store = Store(journal)
    store.compact(store.version)
    journal.close()
    process.start()

    async with session.get(process.url + CONFIG_MAPS, params={"limit": "1", "continue": token}) as answer:
        status, body = answer.status, await answer.json()
    assert (status, body["reason"]) == (410, "Expired")
    fresh = body["metadata"]["continue"]
    async with session.get(process.url + CONFIG_MAPS, params={"continue": fresh}) as answer:
        names = [item["metadata"]["name"] for item in (await answer.json())["items"]]
    assert names == ["c", "kube-root-ca.crt"]
