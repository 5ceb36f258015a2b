"""Whether a server runs: what its pod says, what the server itself says, and what nobody can tell."""

import time

import pytest

from rayster_spawner.life import server_wait


@pytest.fixture
def started(make_spawner, site):
    """Return a function that brings a profile's server up to the point where its pod exists."""

    async def start(profile):
        spawner = make_spawner(stop_timeout=2)
        spawner.user_options = {"profile": profile}
        spawner.take_options()
        await spawner.watch_or_fail()
        assert await spawner._make_create_pod_request(await spawner.get_pod_manifest(), 3)
        return spawner

    return start


async def fresh(spawner):
    """Make the watch see what the API server has now."""
    await spawner._start_watching_pods(replace=True)
    return spawner


@pytest.mark.parametrize("profile", ["cloud", "padova"])
async def test_pod_that_is_gone_means_stopped(started, site, profile):
    spawner = await started(profile)
    site.delete("jupyter-ada")
    assert await (await fresh(spawner)).poll() == 1


async def test_failed_pod_means_stopped_with_its_exit_code_and_is_deleted(started, site):
    spawner = await started("padova")
    site.say_failed("jupyter-ada", "Error: 9", exit_code=9)
    assert await (await fresh(spawner)).poll() == 9
    assert site.pod("jupyter-ada") is None


async def test_succeeded_pod_of_a_site_means_stopped_after_a_long_silence_only(started, site, monkeypatch):
    spawner = await started("padova")
    site.queue("jupyter-ada")
    site.say_succeeded("jupyter-ada")
    await fresh(spawner)
    assert await spawner.poll() is None
    monkeypatch.setattr(server_wait, "SILENCE_SECONDS", 0)
    assert await spawner.poll() == 0
    assert site.pod("jupyter-ada") is None


async def test_answer_ends_the_silence(started, site, monkeypatch):
    monkeypatch.setattr(server_wait, "SILENCE_SECONDS", 0)
    spawner = await started("padova")
    site.queue("jupyter-ada")
    site.say_succeeded("jupyter-ada")
    site.serve("jupyter-ada")
    await fresh(spawner)
    for _ in range(3):
        assert await spawner.poll() is None


async def test_succeeded_cloud_pod_means_stopped_at_once(started, site):
    spawner = await started("cloud")
    site.say_succeeded("jupyter-ada")
    assert await (await fresh(spawner)).poll() == 0


async def test_pod_stays_when_stopped_pods_are_kept(started, site):
    spawner = await started("padova")
    spawner.delete_stopped_pods = False
    site.say_failed("jupyter-ada", "Error: 9", exit_code=9)
    assert await (await fresh(spawner)).poll() == 9
    assert site.pod("jupyter-ada")


async def test_wait_ends_at_its_deadline_and_says_what_it_waited_for(started, site):
    spawner = await started("padova")
    site.queue("jupyter-ada")
    await fresh(spawner)
    with pytest.raises(Exception) as late:
        await spawner.wait_for_server(time.time() - 100, time.time() + 0.3)
    assert late.value.jupyterhub_message == (
        "The server was not up 100 seconds after it was asked for; it was still queued."
    )


async def test_unreachable_api_server_is_waited_for_until_the_deadline(started, site, monkeypatch):
    spawner = await started("padova")
    spawner.pod_reflector.resources.clear()

    async def away(*args):
        raise ConnectionRefusedError

    monkeypatch.setattr(spawner.api, "read_namespaced_pod", away)
    monkeypatch.setattr(type(spawner), "_start_watching_pods", away)
    began = time.monotonic()
    with pytest.raises(Exception) as late:
        await spawner.wait_for_server(time.time(), time.time() + 0.5)
    assert "was not up" in late.value.jupyterhub_message
    assert time.monotonic() - began >= 0.5


async def test_changed_address_is_followed(started, site):
    spawner = await started("padova")
    site.say_running("jupyter-ada", "127.0.50.7")
    assert await (await fresh(spawner)).poll() is None
    assert (spawner.server.ip, spawner.server.port) == ("127.0.50.7", spawner.port)


async def test_server_from_before_rayster_is_polled_too(make_spawner, site, started):
    await started("cloud")
    successor = make_spawner()
    successor._may_have_pod = True
    site.say_running("jupyter-ada", "127.9.0.1")
    assert await (await fresh(successor)).poll() is None


async def test_admins_url_hook_meets_no_pod_without_an_address(started, site):
    spawner = await started("padova")
    spawner.get_pod_url = lambda spawner, pod: f"http://{pod['status']['podIP']}:1"
    assert await spawner.answers(await spawner.find_pod()) is False
