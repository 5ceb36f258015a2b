"""The collector looks once per interval whoever asks, and keeps the last good look."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from rayster_site.commands import CommandError
from rayster_spawner.site_facts import JobState

DOWN = CommandError("squeue", "slurm_load_jobs error: Unable to contact slurm controller")


async def test_the_view_holds_what_was_collected(site_helpers: Any) -> None:
    scheduler = site_helpers.FakeScheduler(jobs=[site_helpers.make_job()])
    collector = site_helpers.collector(scheduler)

    await collector.collect()

    assert collector.view.look.jobs == tuple(scheduler.jobs)
    assert collector.view.error is None


async def test_a_failed_look_keeps_the_last_good_one_with_its_age(site_helpers: Any) -> None:
    clock = site_helpers.Clock()
    scheduler = site_helpers.FakeScheduler(jobs=[site_helpers.make_job()])
    collector = site_helpers.collector(scheduler, clock=clock)
    await collector.collect()
    scheduler.error = DOWN
    clock.now += 70

    await collector.collect()

    assert len(collector.view.look.jobs) == 1
    assert collector.view.error is DOWN
    assert collector.view.age_seconds(clock()) == 70


async def test_a_good_look_ends_an_error(site_helpers: Any) -> None:
    scheduler = site_helpers.FakeScheduler(error=DOWN)
    collector = site_helpers.collector(scheduler)
    await collector.collect()
    scheduler.error = None

    await collector.collect()

    assert collector.view.error is None
    assert collector.view.age_seconds(collector.view.collected_clock) == 0


async def test_a_mistake_of_ours_is_an_error_and_not_the_end(site_helpers: Any) -> None:
    class Broken(site_helpers.FakeScheduler):
        async def look(self) -> Any:
            raise KeyError("a secret")

    collector = site_helpers.collector(Broken())

    await collector.collect()

    assert "KeyError" in collector.view.error.message
    assert "secret" not in collector.view.error.message


async def test_before_the_first_look_there_is_an_error_and_no_age(site_helpers: Any) -> None:
    view = site_helpers.collector(site_helpers.FakeScheduler()).view

    assert view.look is None
    assert view.error is not None
    assert view.age_seconds(5.0) is None


async def test_who_asks_first_waits_for_the_first_look(site_helpers: Any) -> None:
    collector = site_helpers.collector(site_helpers.FakeScheduler(delay_seconds=0.1))
    collector.start()

    view = await collector.wait_first(20)

    await collector.stop()
    assert view.look is not None


async def test_who_asks_first_waits_only_so_long(site_helpers: Any) -> None:
    collector = site_helpers.collector(site_helpers.FakeScheduler(delay_seconds=60))
    collector.start()

    view = await collector.wait_first(0.05)

    await collector.stop()
    assert view.look is None


async def test_a_thousand_who_ask_cause_no_look(site_helpers: Any) -> None:
    scheduler = site_helpers.FakeScheduler()
    collector = site_helpers.collector(scheduler, interval_seconds=3600)
    collector.start()

    await asyncio.gather(*(collector.wait_first(20) for _ in range(1000)))

    await collector.stop()
    assert scheduler.looks == 1


async def test_looks_do_not_overlap(site_helpers: Any) -> None:
    class Counting(site_helpers.FakeScheduler):
        at_once = most_at_once = 0

        async def look(self) -> Any:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                return await super().look()
            finally:
                self.at_once -= 1

    scheduler = Counting(delay_seconds=0.03)
    collector = site_helpers.collector(scheduler, interval_seconds=0.001)
    collector.start()
    while scheduler.looks < 4:
        await asyncio.sleep(0.01)

    await collector.stop()
    assert scheduler.most_at_once == 1


async def test_an_ended_job_is_told_after_the_batch_system_forgot_it(site_helpers: Any) -> None:
    ended = site_helpers.make_job(state=JobState.FAILED, ended_at=5000.0, exit_code=3)
    scheduler = site_helpers.FakeScheduler(jobs=[ended])
    collector = site_helpers.collector(scheduler, wall_clock=lambda: 5001.0)
    await collector.collect()
    scheduler.jobs = []

    await collector.collect()

    assert collector.view.ended == (ended,)


async def test_an_ended_job_is_forgotten_after_its_hours(site_helpers: Any) -> None:
    wall = site_helpers.Clock(5001.0)
    ended = site_helpers.make_job(state=JobState.FAILED, ended_at=5000.0)
    scheduler = site_helpers.FakeScheduler(jobs=[ended])
    collector = site_helpers.collector(scheduler, wall_clock=wall, ended_hours=2)
    await collector.collect()
    scheduler.jobs = []
    wall.now += 2 * 3600

    await collector.collect()

    assert collector.view.ended == ()


async def test_ended_jobs_are_kept_over_a_restart(site_helpers: Any, tmp_path: Path) -> None:
    ended = site_helpers.make_job(state=JobState.TIMEOUT, ended_at=5000.0, node_list="n1")
    scheduler = site_helpers.FakeScheduler(jobs=[ended])
    await site_helpers.collector(scheduler, tmp_path, wall_clock=lambda: 5001.0).collect()
    scheduler.jobs = []

    restarted = site_helpers.collector(scheduler, tmp_path, wall_clock=lambda: 5002.0)
    await restarted.collect()

    assert restarted.view.ended == (ended,)


async def test_a_requeued_job_is_no_longer_ended(site_helpers: Any) -> None:
    scheduler = site_helpers.FakeScheduler(
        jobs=[site_helpers.make_job(state=JobState.PREEMPTED, ended_at=5000.0)]
    )
    collector = site_helpers.collector(scheduler, wall_clock=lambda: 5001.0)
    await collector.collect()
    scheduler.jobs = [site_helpers.make_job()]
    await collector.collect()
    scheduler.jobs = []

    await collector.collect()

    assert collector.view.ended == ()


async def test_a_later_look_adds_the_exit_code(site_helpers: Any) -> None:
    scheduler = site_helpers.FakeScheduler(
        jobs=[site_helpers.make_job(state=JobState.FAILED, ended_at=5000.0)]
    )
    collector = site_helpers.collector(scheduler, wall_clock=lambda: 5001.0)
    await collector.collect()
    scheduler.jobs = [site_helpers.make_job(state=JobState.FAILED, ended_at=5000.0, exit_code=7)]
    await collector.collect()
    scheduler.jobs = []

    await collector.collect()

    assert [job.exit_code for job in collector.view.ended] == [7]


async def test_other_peoples_ended_jobs_are_not_kept(site_helpers: Any) -> None:
    scheduler = site_helpers.FakeScheduler(
        jobs=[site_helpers.make_job(pod_uid=None, state=JobState.FAILED, ended_at=5000.0)]
    )
    collector = site_helpers.collector(scheduler, wall_clock=lambda: 5001.0)
    await collector.collect()
    scheduler.jobs = []

    await collector.collect()

    assert collector.view.ended == ()


async def test_ended_jobs_are_bounded_and_the_oldest_go_first(site_helpers: Any) -> None:
    from rayster_site.ended import EndedJobs

    memory = EndedJobs(hours=10, max_jobs=3)
    jobs = [site_helpers.make_job(n, state=JobState.FAILED, ended_at=1000.0 + n) for n in range(5)]

    memory.learn(jobs, now=1010.0)

    assert sorted(job.id for job in memory.missing_in([])) == ["2", "3", "4"]


async def test_no_position_where_jobs_of_others_are_hidden(site_helpers: Any) -> None:
    for sees_all, expected in ((True, {"1": 1}), (False, {}), (None, {})):
        collector = site_helpers.collector(
            site_helpers.FakeScheduler(jobs=[site_helpers.make_job()], sees_all_jobs=sees_all)
        )

        await collector.collect()

        assert collector.view.positions == expected


async def test_a_broken_state_file_is_no_obstacle(site_helpers: Any, tmp_path: Path) -> None:
    for text in (
        "",
        "{",
        "[]",
        '{"version": 99}',
        '{"version": 1, "ended": [{"id": 1}]}',
        '{"version":1,"ended":7}',
    ):
        (tmp_path / "padova.json").write_text(text)

        collector = site_helpers.collector(site_helpers.FakeScheduler(), tmp_path)
        await collector.collect()

        assert collector.view.error is None


async def test_the_state_file_is_for_its_owner_alone(site_helpers: Any, tmp_path: Path) -> None:
    scheduler = site_helpers.FakeScheduler(
        jobs=[site_helpers.make_job(state=JobState.FAILED, ended_at=5000.0)]
    )

    await site_helpers.collector(scheduler, tmp_path, wall_clock=lambda: 5001.0).collect()

    assert (tmp_path / "padova.json").stat().st_mode & 0o077 == 0


async def test_a_state_directory_that_cannot_be_written_is_no_obstacle(
    site_helpers: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    scheduler = site_helpers.FakeScheduler(
        jobs=[site_helpers.make_job(state=JobState.FAILED, ended_at=5000.0)]
    )
    collector = site_helpers.collector(scheduler, tmp_path / "file", wall_clock=lambda: 5001.0)

    await collector.collect()

    assert collector.view.error is None
