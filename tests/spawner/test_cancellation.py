"""A cancelled spawn ends, whatever it was in the middle of when its user cancelled it."""

import asyncio
import time

import pytest

from rayster_spawner.life.cancellation import cancelled_for_sure, end_tasks


async def swallow(times, ended):
    """Take no notice of so many cancellations, as `asyncio.wait_for` does of one that comes with its answer."""
    while True:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                ended.set()
                raise


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_what_swallows_a_cancellation_is_cancelled_again(times):
    ended = asyncio.Event()
    future = cancelled_for_sure(asyncio.ensure_future(swallow(times, ended)))
    await asyncio.sleep(0)
    future.cancel()
    assert future.cancelled(), "at once, so that the hub does not wait for it"
    await asyncio.wait_for(ended.wait(), 10)


async def test_outcome_is_that_of_the_task():
    async def answer():
        return 7

    async def fail():
        raise ValueError("no")

    assert await cancelled_for_sure(asyncio.ensure_future(answer())) == 7
    with pytest.raises(ValueError, match="no"):
        await cancelled_for_sure(asyncio.ensure_future(fail()))


async def test_task_that_is_cancelled_itself_cancels_the_future():
    task = asyncio.ensure_future(asyncio.sleep(30))
    future = cancelled_for_sure(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await future


def test_spawn_that_is_cancelled_while_its_pod_is_created_leaves_nothing(hub, site, until):
    for n in range(8):
        hub.add_user(f"hasty{n}")
        hub.spawn(f"hasty{n}", {"profile": "padova"})
        time.sleep(0.003 * n)
        assert hub.stop(f"hasty{n}").status_code == 204
        assert hub.server(f"hasty{n}") is None
        assert until(lambda n=n: site.pod(f"jupyter-hasty{n}") is None)


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_tasks_that_swallow_cancellations_are_ended_all_the_same(times):
    ended = asyncio.Event()
    tasks = [asyncio.ensure_future(swallow(times, ended)), asyncio.ensure_future(asyncio.sleep(1000))]
    await asyncio.sleep(0)

    await asyncio.wait_for(end_tasks(tasks), 10)

    assert ended.is_set() and all(task.cancelled() for task in tasks)
