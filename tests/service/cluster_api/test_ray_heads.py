"""Heads that answer late, wrongly, too much or to everybody: each is a program of its user."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from .ray_stub import Head, KubeRay, eventually


@pytest.fixture
async def kuberay(cluster, rays) -> KubeRay:
    cluster.add_node("padova")
    return KubeRay(cluster, rays)


@pytest.fixture
async def head(ada, kuberay) -> AsyncIterator[Head]:
    """The head of a cluster of ada's, before its pod is there."""
    cluster_id = (await ada.make(workers=1))["id"]
    head = await Head(cluster_id).start()
    head.id = cluster_id
    kuberay.reach(cluster_id, head)
    yield head
    await head.stop()


def start(kuberay: KubeRay, head: Head) -> None:
    head.pod = kuberay.add(head.id, head=True)
    kuberay.run(head.pod)


async def huge(request):
    return web.Response(body=b" " * (9 * 2**20))


async def elsewhere(request):
    raise web.HTTPFound("http://169.254.169.254/latest")


async def silent(request):
    await asyncio.sleep(20)


async def garbage(request):
    return web.Response(text="<html>")


async def nested(request):
    return web.Response(text="[" * 200_000)


async def another_kind(request):
    return web.json_response({"ray_version": 7, "session_name": [], "data": 3, "driver": "x"})


SPOILT = [huge, elsewhere, silent, garbage, nested, another_kind]


@pytest.mark.parametrize("spoil", SPOILT, ids=[one.__name__ for one in SPOILT])
async def test_a_head_that_is_no_ray_is_starting_and_harms_nobody(ada, bruno, kuberay, head, spoil):
    # given
    head.spoil = spoil
    start(kuberay, head)
    await eventually(lambda: asyncio.sleep(0, len(head.asked) > 0))
    # then
    status, view = await ada.ask("GET", f"clusters/{head.id}")
    assert (status, view["head"]["state"], view["joined"]) == (200, "starting", 0)
    assert (await bruno.ask("GET", "clusters"))[0] == 200
    # and when it becomes one
    head.spoil = None

    async def is_up():
        return (await ada.ask("GET", f"clusters/{head.id}"))[1]["head"]["state"] == "joined"

    await eventually(is_up)


async def test_a_head_is_shown_its_own_token_only(ada, kuberay, head):
    start(kuberay, head)
    await eventually(lambda: asyncio.sleep(0, len(head.asked) > 3))
    assert {request.headers["Authorization"] for request in head.asked} == {f"Bearer {head.token}"}
    assert all("Cookie" not in request.headers for request in head.asked)


async def test_attach_is_told_when_the_head_is_up(ada, kuberay, head):
    assert (await ada.ask("GET", f"clusters/{head.id}/attach"))[0] == 409
    start(kuberay, head)

    async def is_told():
        status, answer = await ada.ask("GET", f"clusters/{head.id}/attach")
        return status == 200 and answer["token"] == head.token and answer["session"] == "session_1"

    await eventually(is_told)


async def test_nobody_joined_to_a_head_that_is_gone(ada, kuberay, head):
    # given
    start(kuberay, head)
    worker = kuberay.add(head.id)
    kuberay.run(worker)
    head.join(worker)

    async def joined() -> int:
        return (await ada.ask("GET", f"clusters/{head.id}"))[1]["joined"]

    async def one() -> bool:
        return await joined() == 1

    await eventually(one)
    # when the head is killed and KubeRay makes another one
    kuberay.fail(head.pod)
    kuberay.delete(head.pod)
    await head.stop()
    kuberay.add(head.id, head=True)

    # then
    async def is_said() -> bool:
        view = (await ada.ask("GET", f"clusters/{head.id}"))[1]
        return view["joined"] == 0 and view["state"] == "failed" and "The head was lost" in view["message"]

    await eventually(is_said)


async def test_a_quiet_cluster_is_asked_rarely(ada, kuberay, head):
    # given: a cluster that nobody has looked at since it was complete
    start(kuberay, head)
    worker = kuberay.add(head.id)
    kuberay.run(worker)
    head.join(worker)

    async def is_running() -> bool:
        return (await ada.ask("GET", f"clusters/{head.id}"))[1]["joined"] == 1

    await eventually(is_running)
    before = len(head.asked)
    await asyncio.sleep(4)
    # then: while somebody has just looked, about every two seconds, four questions at most each time
    assert 1 <= len(head.asked) - before <= 20
