"""What a full or broken site does to everybody else: nothing; and what a long wait does to idleness: nothing."""

import os
import subprocess
import sys
import time

import pytest

from .hub_process import HUB_TOKEN

IDLE_SECONDS = 5


@pytest.fixture(scope="module")
def hub(make_hub):
    """A hub that ends after two failures and starts two servers at once."""
    hub = make_hub(
        JupyterHub={"concurrent_spawn_limit": 2},
        RaysterSpawner={"consecutive_failure_limit": 2, "stop_timeout": 2},
    )
    yield hub
    hub.close()


def test_queued_servers_take_no_spawn_slots_but_cloud_servers_do(hub, site, until):
    for n in range(3):
        assert hub.spawn(f"hpc{n}", {"profile": "padova"}).status_code == 202
        site.queue(f"jupyter-hpc{n}")
    for n in range(2):
        assert hub.spawn(f"cloud{n}", {"profile": "cloud"}).status_code == 202
        site.wait_for(f"jupyter-cloud{n}")
    assert hub.spawn("cloud9", {"profile": "cloud"}).status_code == 429
    for user in ("hpc0", "hpc1", "hpc2", "cloud0", "cloud1"):
        hub.stop(user)


@pytest.fixture
def culler(hub):
    """The real culler, as jupyterhub_config.py starts it, but in a hurry."""
    options = [f"--url={hub.url}/api", f"--timeout={IDLE_SECONDS}", "--cull-every=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub_idle_culler", *options],
        env={**os.environ, "JUPYTERHUB_API_TOKEN": HUB_TOKEN},
    )
    yield process
    process.terminate()
    process.wait(20)


def test_culler_leaves_a_queued_server_and_counts_from_when_it_is_ready(hub, site, until, culler):
    # Given a server that queues for longer than one may be idle
    hub.spawn("idle", {"profile": "padova"})
    site.queue("jupyter-idle")
    time.sleep(IDLE_SECONDS + 3)
    assert hub.server("idle")["pending"] == "spawn"

    # When it is ready
    site.run("jupyter-idle")
    until(lambda: hub.is_ready("idle"))
    ready_at = time.monotonic()

    # Then it is culled, but only when it has been idle for as long since then
    until(lambda: hub.server("idle") is None, 40)
    assert time.monotonic() - ready_at > IDLE_SECONDS - 1
    assert culler.poll() is None


def fail(hub, site, until, user, profile):
    """Let a server of a profile fail."""
    hub.spawn(user, {"profile": profile})
    site.wait_for(f"jupyter-{user}")
    site.say_failed(f"jupyter-{user}", "Error: 3", exit_code=3)
    until(lambda: hub.server(user) is None)


def test_failures_of_a_site_and_refusals_do_not_end_the_hub_but_those_of_the_cloud_do(hub, site, until):
    for n in range(3):
        fail(hub, site, until, f"fail{n}", "padova")
    for _ in range(3):
        assert hub.spawn("mallory", {"profile": "physics"}).status_code == 403
        assert hub.spawn("mallory", {"cpu": "zzz"}).status_code == 400
    fail(hub, site, until, "lost0", "cloud")
    with pytest.raises(AssertionError):
        until(lambda: hub.process.poll() is not None, 4)
    fail(hub, site, until, "lost1", "cloud")
    until(lambda: hub.process.poll() == 1)
