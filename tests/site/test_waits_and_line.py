"""How long jobs waited, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest

from rayster_site.line import positions
from rayster_site.waits import WaitMemory, percentile
from rayster_spawner.site_facts import JobState


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5.0], 50, 5.0),
        ([1.0, 2.0], 50, 1.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        (list(map(float, range(1, 11))), 90, 9.0),
    ],
)
def test_percentiles(values: list[float], percent: int, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@pytest.fixture
def started(site_helpers: Any) -> Any:
    def make(number: int, submitted_at: float, started_at: float, **changes: Any) -> Any:
        changes = {"state": JobState.RUNNING, **changes}
        return site_helpers.make_job(number, submitted_at=submitted_at, started_at=started_at, **changes)

    return make


def test_waits_run_from_submission_to_start(started: Any) -> None:
    memory = WaitMemory(hours=6)

    memory.learn([started(1, 1000, 1060), started(2, 1000, 1600)], now=2000)

    waits = memory.by_partition()["padova"]
    assert (waits.jobs, waits.p50, waits.p90, waits.hours) == (2, 60, 600, 6)


def test_a_wait_is_counted_once_and_remembered_after_the_job(started: Any) -> None:
    memory = WaitMemory(hours=6)
    memory.learn([started(1, 1000, 1060)], now=2000)
    memory.learn([started(1, 1000, 1060, state=JobState.COMPLETED)], now=2015)

    memory.learn([], now=2030)

    assert memory.by_partition()["padova"].jobs == 1


def test_a_wait_of_long_ago_is_forgotten(started: Any) -> None:
    memory = WaitMemory(hours=1)
    memory.learn([started(1, 1000, 1060)], now=2000)

    memory.learn([], now=1060 + 3601)

    assert memory.by_partition() == {}


def test_a_job_that_waits_or_never_began_is_not_counted(site_helpers: Any) -> None:
    memory = WaitMemory(hours=1)

    memory.learn([site_helpers.make_job(), site_helpers.make_job(2, state=JobState.CANCELLED)], now=2000)

    assert memory.by_partition() == {}


def test_the_memory_of_waits_is_bounded(started: Any) -> None:
    memory = WaitMemory(hours=6, max_jobs=10)

    memory.learn([started(n, 1000, 1000 + n) for n in range(100)], now=2000)

    assert memory.by_partition()["padova"].jobs == 10


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([{}, {}], {"1": 1, "2": 2}, id="first come first"),
        pytest.param([{}, {"priority": 200.0}], {"1": 2, "2": 1}, id="priority"),
        pytest.param([{"submitted_at": 9.0}, {"submitted_at": 8.0}], {"1": 2, "2": 1}, id="submission"),
        pytest.param([{"is_in_line": False}, {}], {"2": 1}, id="on hold"),
        pytest.param([{"partitions": ("other",)}, {}], {"1": 1, "2": 1}, id="partitions apart"),
        pytest.param([{"tasks": 7}, {}], {"1": 1, "2": 8}, id="array"),
        pytest.param(
            [{"priority": 500.0}, {"partitions": ("padova", "other")}], {"1": 1, "2": 1}, id="best of several"
        ),
        pytest.param([{"priority": None}, {}], {"1": 2, "2": 1}, id="no priority told"),
    ],
)
def test_positions(site_helpers: Any, changes: list[dict[str, Any]], expected: dict[str, int]) -> None:
    jobs = [site_helpers.make_job(number, **change) for number, change in enumerate(changes, 1)]

    assert positions(jobs) == expected
