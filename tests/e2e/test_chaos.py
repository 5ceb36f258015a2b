"""Thirty servers in the queue, and parts that are killed at random: thirty jobs become thirty running servers."""

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rayster_testbed.testbed import Testbed

from .conftest import jobs
from .faults import pods, server_jobs, start_all
from .hub_client import HubUser, Server, wait_for

pytestmark = pytest.mark.timeout(420)

SERVERS_OF_EACH = 15
KILLS = 20
PARTS = ("hub", "proxy", "service", "padova-agent", "apiserver")
LIGHT = {"profile": "light", "cpu": 1, "memory": "512Mi", "walltime": "30m"}


@pytest.fixture
def servers(testbed: Testbed) -> Iterator[list[Server]]:
    """Fifteen named servers of each of two users, none of them asked for; all are stopped afterwards."""
    people = [HubUser(testbed, name) for name in testbed.users]
    found = [person.server(f"s{n}") for person in people for n in range(SERVERS_OF_EACH)]
    yield found
    start_all(testbed)
    for job in jobs(testbed):  # quicker than a server after the other
        testbed.slurm("scancel", job)
    in_parallel([lambda server=server: server.stop() for server in found if server.model() is not None])
    wait_for(lambda: not pods(testbed), "all pods are gone", 90)
    wait_for(lambda: not jobs(testbed), "all jobs are gone")


def in_parallel(tasks) -> list:
    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(lambda task: task(), tasks))


def models(servers: list[Server]) -> dict[Server, dict | None]:
    """Return what the hub says of each server."""
    said = {
        person.name: person.ask("GET", f"/users/{person.name}").json() for person in {s.user for s in servers}
    }
    return {
        (server.user.name, server.name): said[server.user.name]["servers"].get(server.name)
        for server in servers
    }


def unready(servers: list[Server]) -> dict:
    """Return what the hub says of each server that is not ready."""
    return {name: model for name, model in models(servers).items() if not (model and model["ready"])}


def test_thirty_queued_servers_survive_twenty_random_deaths(testbed, full_padova, servers):
    seed = os.environ.get("RAYSTER_CHAOS_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"again with: RAYSTER_CHAOS_SEED={seed}")
    dice = random.Random(seed)

    answers = in_parallel([lambda server=server: server.spawn(LIGHT) for server in servers])
    assert {answer.status_code for answer in answers} <= {201, 202}, [answer.text for answer in answers]
    wait_for(lambda: len(server_jobs(testbed)) == len(servers), "all are submitted", 90)
    queued = server_jobs(testbed)
    assert sorted(queued.values()) == sorted(pods(testbed))

    # Each at least once, in any order.
    victims = [*PARTS, *dice.choices(PARTS, k=KILLS - len(PARTS))]
    dice.shuffle(victims)
    began = time.monotonic()
    for number, name in enumerate(victims, 1):
        part = testbed.parts[name]
        print(f"{time.monotonic() - began:6.1f} s: kill {number}, {name}")
        part.kill(signal.SIGKILL)
        time.sleep(dice.uniform(0, 2))
        part.start()
        # Long enough to come up, or not.
        time.sleep(dice.uniform(0, 6))
        assert server_jobs(testbed) == queued, name
    for name in PARTS:
        testbed.parts[name].wait_ready()

    wait_for(
        lambda: all(model and model["pending"] == "spawn" for model in models(servers).values()),
        "the hub takes all of them up again",
    )
    for filler in full_padova:
        testbed.slurm("scancel", filler)
    began = time.monotonic()
    try:
        wait_for(lambda: not unready(servers), "all are ready", 180)
    except AssertionError:
        print("not ready:", unready(servers), "jobs:", testbed.slurm("squeue"), sep="\n")
        raise
    print(f"all were ready after {time.monotonic() - began:.0f} s")
    assert server_jobs(testbed, "R") == queued
    assert sorted(pods(testbed)) == sorted(queued.values())
    # Each server is the one of its own job.
    pages = in_parallel([lambda server=server: server.user.page(server.base_path) for server in servers])
    assert sorted(page.text.partition("<p>Job ")[2].partition("<")[0] for page in pages) == sorted(queued)
    every_job = server_jobs(testbed, "all")
    assert [job for job, uid in every_job.items() if uid in queued.values() and job not in queued] == []
