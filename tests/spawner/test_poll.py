"""Whether a server runs: what its pod says, what the server itself says, and what nobody can tell."""

import time
from types import SimpleNamespace

import pytest

from rayster_spawner.life import server_wait
from rayster_spawner.life.endings import EndCode
from rayster_spawner.site_facts import HeardJob, JobState, SiteJob


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


# What the site says of the job


@pytest.fixture
def say(monkeypatch):
    """Return a function that lets the site of every pod say this of its job (None: it has not heard of it yet)."""

    def say(state, *, fresh=True, **facts):
        heard = [HeardJob(SiteJob(id="42", state=state or JobState.UNKNOWN, **facts), 3.0, fresh)]
        sites = SimpleNamespace(
            jobs_of=lambda site, uid: heard if site == "padova" and state is not None else [],
            tells_jobs=lambda site: site == "padova",
        )
        monkeypatch.setattr("rayster_spawner.life.site_view.hub_sites", lambda spawner: sites)

    return say


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.CONFIGURING, JobState.RUNNING])
async def test_server_whose_job_lives_has_not_ended_because_its_pod_says_so(
    started, site, say, monkeypatch, state
):
    monkeypatch.setattr(server_wait, "SILENCE_SECONDS", 0)
    spawner = await started("padova")
    site.say_failed("jupyter-ada", "Error: 15", exit_code=15)
    await fresh(spawner)
    say(state)
    assert await spawner.poll() is None
    assert site.pod("jupyter-ada")


async def test_failed_pod_waits_a_little_for_the_sites_word_on_why(started, site, say):
    spawner = await started("padova")
    site.say_failed("jupyter-ada", "Error: 15", exit_code=15)
    await fresh(spawner)
    say(None)
    assert await spawner.poll() is None
    say(JobState.CANCELLED)
    assert await spawner.poll() == 1
    assert spawner.last_end.code is EndCode.CANCELLED_AT_SITE


async def test_failed_pod_is_believed_when_the_sites_word_does_not_come(started, site, say, monkeypatch):
    monkeypatch.setattr(server_wait, "WORD_SECONDS", 0)
    spawner = await started("padova")
    site.say_failed("jupyter-ada", "Error: 15", exit_code=15)
    await fresh(spawner)
    say(None)
    assert await spawner.poll() == 15


async def test_job_that_is_over_means_stopped_although_its_pod_runs(started, site, say):
    spawner = await started("padova")
    site.say_running("jupyter-ada")
    await fresh(spawner)
    say(JobState.TIMEOUT)
    assert await spawner.poll() == 1
    assert site.pod("jupyter-ada") is None
    assert (spawner.last_end.code, spawner.last_end.text) == (
        EndCode.WALLTIME,
        "The job reached its time limit.",
    )


async def test_complete_job_is_no_silence_to_wait_for(started, site, say):
    spawner = await started("padova")
    site.say_running("jupyter-ada")
    await fresh(spawner)
    say(JobState.COMPLETED)
    assert await spawner.poll() == 0
    assert spawner.last_end.code is EndCode.COMPLETED
    assert spawner._spawn_future is None, "its user shut it down: nothing has failed"


async def test_server_that_answers_runs_whatever_the_site_says(started, site, say):
    spawner = await started("padova")
    site.run("jupyter-ada")
    await fresh(spawner)
    say(JobState.CANCELLED)
    assert await spawner.poll() is None


async def test_stale_word_of_the_site_ends_nothing(started, site, say):
    spawner = await started("padova")
    site.say_running("jupyter-ada")
    await fresh(spawner)
    say(JobState.CANCELLED, fresh=False)
    assert await spawner.poll() is None


@pytest.mark.parametrize(
    ("state", "why", "end"),
    [
        (JobState.CANCELLED, "The job was cancelled at the site.", EndCode.CANCELLED_AT_SITE),
        (JobState.COMPLETED, "The job ended before its server was up.", EndCode.START_FAILED),
        (JobState.FAILED, "The job failed.", EndCode.START_FAILED),
    ],
)
async def test_wait_ends_with_the_sites_reason_although_the_pod_is_pending(
    started, site, say, state, why, end
):
    spawner = await started("padova")
    site.queue("jupyter-ada")
    await fresh(spawner)
    say(state)
    with pytest.raises(Exception) as ended:
        await spawner.wait_for_server(time.time(), time.time() + 20)
    assert (ended.value.jupyterhub_message, ended.value.end) == (why, end)


async def test_wait_goes_on_while_the_job_is_in_the_queue_although_the_pod_has_failed(started, site, say):
    spawner = await started("padova")
    site.queue("jupyter-ada")
    site.say_failed("jupyter-ada", "Error: 15", exit_code=15)
    await fresh(spawner)
    say(JobState.PENDING, reason="Waiting for free nodes.")
    with pytest.raises(Exception) as late:
        await spawner.wait_for_server(time.time(), time.time() + 1)
    assert late.value.jupyterhub_message.endswith("it was still queued: Waiting for free nodes.")
    site.serve("jupyter-ada")
    assert await spawner.wait_for_server(time.time(), time.time() + 20) == spawner._get_pod_url(
        await spawner.find_pod()
    )
