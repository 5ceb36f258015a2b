"""What agents tell of jobs, by the pods that these follow."""

import asyncio
import json
import time
from typing import Any

import pytest

from rayster_spawner.site_facts import JobState
from rayster_spawner.sites import Sites

from .conftest import LOG, Clock, jobs_answer, look, make_sites, profile_set

JOB = {
    "id": "12",
    "pod_uid": "u-1",
    "partition": "gpu",
    "state": "pending",
    "raw_reason": "Resources",
    "position": 3,
}


async def heard(sites: Sites) -> list[Any]:
    await look(sites)
    return sites.jobs_of("padova", "u-1")


async def test_a_pods_jobs_are_known_by_its_uid(agent, with_agent):
    # given
    agent.answers["/v1/jobs"] = jobs_answer(JOB, {**JOB, "id": "13"}, {**JOB, "id": "14", "pod_uid": "u-2"})
    sites = make_sites(with_agent(agent.url))
    # when
    jobs = await heard(sites)
    # then
    assert [(word.job.id, word.job.state, word.is_fresh) for word in jobs] == [
        ("12", JobState.PENDING, True),
        ("13", JobState.PENDING, True),
    ]
    assert sites.jobs_of("padova", "u-3") == sites.jobs_of("elsewhere", "u-1") == []


@pytest.mark.parametrize(
    "changes,fresh",
    [({}, True), ({"age_seconds": 119.0}, True), ({"age_seconds": 121.0}, False),
     ({"error": {"command": "squeue", "message": "down"}}, False)],
    ids=["now", "a-little-old", "old", "scheduler-down"],
)  # fmt: skip
async def test_only_a_fresh_word_decides(agent, with_agent, changes, fresh):
    # given
    agent.answers["/v1/jobs"] = jobs_answer(JOB, **changes)
    # then
    assert [word.is_fresh for word in await heard(make_sites(with_agent(agent.url), clock=Clock()))] == [
        fresh
    ]


async def test_jobs_that_were_never_collected_are_not_told(agent, with_agent):
    agent.answers["/v1/jobs"] = jobs_answer(
        JOB, age_seconds=None, error={"command": "squeue", "message": "down"}
    )
    assert await heard(make_sites(with_agent(agent.url))) == []


async def test_what_counts_down_is_told_as_of_now(agent, with_agent):
    # given
    clock = Clock()
    agent.answers["/v1/jobs"] = jobs_answer(
        {**JOB, "expected_start_in_seconds": 600, "time_left_seconds": 100}
    )
    sites = make_sites(with_agent(agent.url), clock=clock)
    await look(sites)
    # when
    clock.now += 40
    # then
    (word,) = sites.jobs_of("padova", "u-1")
    assert (word.job.expected_start_in_seconds, word.job.time_left_seconds, word.age_seconds) == (560, 60, 43)


async def test_one_bad_job_makes_the_whole_answer_none(agent, with_agent, caplog):
    # given
    agent.answers["/v1/jobs"] = jobs_answer(JOB, {**JOB, "id": "12; rm -rf /"})
    # then
    assert await heard(make_sites(with_agent(agent.url))) == []
    assert "jobs.1.id" in caplog.text


async def test_a_site_that_leaves_the_profiles_is_forgotten(agent, with_agent):
    # given
    agent.answers["/v1/jobs"] = jobs_answer(JOB)
    profiles = [with_agent(agent.url)]
    sites = Sites(lambda: profiles[0], None, LOG)
    assert await heard(sites)
    # when
    profiles[0] = profile_set()
    # then
    assert await heard(sites) == []


async def test_ten_thousand_jobs_hold_nobody_up(agent, with_agent):
    # given
    jobs = [{**JOB, "id": str(n), "pod_uid": f"u-{n}"} for n in range(10_000)]
    agent.answers["/v1/jobs"] = json.dumps(jobs_answer(*jobs))
    sites = make_sites(with_agent(agent.url), timeout_seconds=30)
    # Of this process's processor time, not of the clock: another process's turn holds nobody up here.
    held_up_cpu_seconds: list[float] = []

    async def measure() -> None:
        while True:
            began = time.process_time()
            await asyncio.sleep(0.01)
            held_up_cpu_seconds.append(time.process_time() - began)

    task = asyncio.create_task(measure())
    # when
    await look(sites)
    task.cancel()
    # then
    assert len(sites.jobs_of("padova", "u-9999")) == 1
    assert max(held_up_cpu_seconds) < 1.0
