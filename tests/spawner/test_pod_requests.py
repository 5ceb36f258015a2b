"""Create and delete requests whose answers get lost, and pods that stand in the way."""

import asyncio

import aiohttp
import pytest
from kubernetes_asyncio.client.rest import ApiException
from kubespawner.reflector import ResourceReflector

from rayster_spawner.life.spawn_errors import PodUnknown


@pytest.fixture
async def begun(make_spawner, site):
    """Return a spawner that is about to create its pod, and the pod."""
    spawner = make_spawner(k8s_api_request_retry_timeout=3, stop_timeout=2)
    spawner.user_options = {"profile": "padova"}
    spawner.take_options()
    await spawner.watch_or_fail()
    return spawner, await spawner.get_pod_manifest()


LOST = [
    asyncio.TimeoutError(),
    aiohttp.ServerDisconnectedError(),
    ConnectionResetError(),
    ApiException(status=503),
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_lost_answer_of_the_create_request_adopts_the_pod(begun, site, monkeypatch, error):
    spawner, pod = begun
    create = spawner.api.create_namespaced_pod

    async def lose(*args):
        await create(*args)
        raise error

    monkeypatch.setattr(spawner.api, "create_namespaced_pod", lose)
    assert await spawner._make_create_pod_request(pod, 3) is False
    uid = site.pod("jupyter-ada")["metadata"]["uid"]
    monkeypatch.setattr(spawner.api, "create_namespaced_pod", create)
    assert await spawner._make_create_pod_request(pod, 3) is True
    assert site.pod("jupyter-ada")["metadata"]["uid"] == uid
    assert spawner.mark.created
    assert spawner.pod_reflector.pods["rayster/jupyter-ada"]["metadata"]["uid"] == uid


async def test_pod_of_an_earlier_server_is_replaced(begun, site):
    spawner, pod = begun
    stale = spawner.as_plain(pod)
    stale["metadata"]["annotations"]["rayster.dev/spawn-id"] = "another"
    await spawner.api.create_namespaced_pod("rayster", stale)
    assert await spawner._make_create_pod_request(pod, 3) is False
    assert await spawner._make_create_pod_request(pod, 3) is True
    assert spawner.is_ours(site.pod("jupyter-ada"))


async def test_refusal_of_the_cluster_is_told_in_its_own_words(begun):
    spawner, pod = begun
    pod.spec.containers[0].name = "Not A Name"
    with pytest.raises(Exception) as refused:
        await spawner._make_create_pod_request(pod, 3)
    assert "The cluster refused the server" in refused.value.jupyterhub_message
    assert "Not A Name" in refused.value.jupyterhub_message


async def test_secret_token_is_not_logged_with_a_refused_pod(begun, caplog):
    spawner, pod = begun
    pod.spec.containers[0].name = "Not A Name"
    caplog.set_level("DEBUG")
    with pytest.raises(Exception, match="refused"):
        await spawner._make_create_pod_request(pod, 3)
    assert "Creating pod" in caplog.text
    assert "secret" in pod.to_str() and "secret" not in caplog.text


async def test_delete_that_was_not_possible_is_done_later_and_only_to_this_spawns_pod(
    begun, site, monkeypatch
):
    spawner, pod = begun
    assert await spawner._make_create_pod_request(pod, 3)
    delete = spawner.api.delete_namespaced_pod

    async def away(*args, **kwargs):
        raise ConnectionRefusedError

    monkeypatch.setattr("rayster_spawner.life.pod_requests._DELETE_AGAIN_SECONDS", (0.5, 0.5))
    monkeypatch.setattr(spawner.api, "delete_namespaced_pod", away)
    await spawner.stop()
    assert site.pod("jupyter-ada")
    monkeypatch.setattr(spawner.api, "delete_namespaced_pod", delete)
    [task] = spawner._background
    await asyncio.wait_for(task, 5)
    assert site.pod("jupyter-ada") is None


async def test_later_delete_leaves_the_next_spawns_pod_alone(begun, site, monkeypatch):
    spawner, pod = begun
    monkeypatch.setattr("rayster_spawner.life.pod_requests._DELETE_AGAIN_SECONDS", (0.1,))
    assert await spawner._make_create_pod_request(pod, 3)
    await spawner._delete_when_possible("jupyter-ada", "rayster", "of-before", 1)
    assert site.pod("jupyter-ada")


async def test_nothing_is_asked_of_the_cluster_for_a_refused_spawn(make_spawner, monkeypatch):
    spawner = make_spawner()
    monkeypatch.setattr(spawner, "api", None)
    assert await spawner.poll() == 1


async def test_dead_watch_is_replaced(begun, site):
    spawner, _ = begun
    reflector = spawner.pod_reflector
    reflector.watch_task.cancel()
    await asyncio.sleep(0.05)
    await spawner.find_pod()
    assert spawner.pod_reflector is not reflector


async def test_cancelled_start_of_a_watch_hangs_nobody(make_spawner, monkeypatch):
    spawner = make_spawner()
    await spawner._stop_all_reflectors()
    starting = asyncio.ensure_future(spawner._start_watching_pods())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await asyncio.wait_for(spawner._start_watching_pods(), 5)


@pytest.fixture
async def first_list(make_spawner, monkeypatch):
    """Return an event that lets the first list of a watch through, which waits for it."""
    await make_spawner()._stop_all_reflectors()
    through, real = asyncio.Event(), ResourceReflector._list_and_update

    async def wait(self, *args):
        await through.wait()
        return await real(self, *args)

    monkeypatch.setattr(ResourceReflector, "_list_and_update", wait)
    monkeypatch.setattr("rayster_spawner.life.pod_watch._not_before", {})
    return through


@pytest.mark.parametrize("who", [0, 1], ids=["the one who starts it", "one who waits"])
async def test_cancelled_spawn_takes_no_other_with_it_that_waits_for_the_watch(make_spawner, first_list, who):
    starts = []
    for user in ("ada", "bob", "cas"):
        starts.append(asyncio.ensure_future(make_spawner(user).watch_or_fail()))
        await asyncio.sleep(0.1)
    starts[who].cancel()
    await asyncio.sleep(0.1)
    first_list.set()
    ended = await asyncio.wait_for(asyncio.gather(*starts, return_exceptions=True), 20)
    assert [type(end) for n, end in enumerate(ended) if n != who] == [type(None)] * 2


async def test_first_list_that_does_not_come_is_not_waited_for_for_ever(
    make_spawner, first_list, monkeypatch
):
    monkeypatch.setattr("rayster_spawner.life.pod_watch.FIRST_LIST_SECONDS", 0.2)
    looks = [make_spawner(user).find_pod() for user in ("ada", "bob")]
    ended = await asyncio.wait_for(asyncio.gather(*looks, return_exceptions=True), 10)
    assert [type(end) for end in ended] == [PodUnknown] * 2


async def test_server_can_be_stopped_while_a_watch_does_not_start(begun, first_list, site):
    spawner, pod = begun
    await spawner.api.create_namespaced_pod("rayster", pod)
    spawner._may_have_pod = spawner._stop_pending = True
    assert await asyncio.wait_for(spawner.poll(), 5) is None


async def test_pod_that_appears_after_its_spawn_was_cancelled_is_deleted(begun, site, monkeypatch):
    spawner, pod = begun
    create = spawner.api.create_namespaced_pod
    monkeypatch.setattr("rayster_spawner.life.pod_requests._DELETE_AGAIN_SECONDS", (0.5,))
    monkeypatch.setattr(spawner.api, "create_namespaced_pod", lambda *args: asyncio.sleep(60))
    creating = asyncio.ensure_future(spawner._make_create_pod_request(pod, 60))
    await asyncio.sleep(0.1)
    creating.cancel()
    await asyncio.gather(creating, return_exceptions=True)
    spawner._stop_pending = True
    assert await spawner.poll() is None, "the hub does not stop what it believes to have ended"
    await spawner.stop()
    await create("rayster", pod)
    assert site.pod("jupyter-ada")
    [task] = spawner._background
    await asyncio.wait_for(task, 10)
    assert site.pod("jupyter-ada") is None


@pytest.mark.parametrize("status", [500, 403])
async def test_unreadable_pod_is_unknown_not_gone(begun, monkeypatch, status):
    spawner, pod = begun
    assert await spawner._make_create_pod_request(pod, 3)
    spawner.pod_reflector.resources.clear()

    async def fail(*args):
        raise ApiException(status=status)

    monkeypatch.setattr(spawner.api, "read_namespaced_pod", fail)
    assert await spawner.poll() is None
