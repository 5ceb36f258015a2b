"""Which jobs are orphans, and when one may be cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from rayster_site.answers import Told
from rayster_site.commands import CommandError
from rayster_site.live_pods import LivePodsError
from rayster_site.orphan_watch import OrphanWatch
from rayster_site.orphans import AnswerJudge, LivePods, OrphanKind, OrphanTracker, find_orphans
from rayster_site.state_file import StateFile
from rayster_spawner.site_facts import JobState

NOW = 100_000.0
RUNNING = {"state": JobState.RUNNING}


@pytest.fixture
def find(site_helpers: Any) -> Any:
    """Find orphans among jobs given as (number, pod, changes); return kind and kept job by job id."""

    def look(
        jobs: Any, live: Any, seen: Any = (), job_ids: Any = None
    ) -> dict[str, tuple[str, str | None, bool]]:
        made = [
            site_helpers.make_job(number, pod_uid=site_helpers.uid(pod), **changes)
            for number, pod, changes in jobs
        ]
        pods = LivePods(frozenset(map(site_helpers.uid, live)), 0.0, job_ids or {})
        found = find_orphans(made, pods, set(map(site_helpers.uid, seen)), NOW)
        return {one.job.id: (one.kind.value, one.kept, one.may_cancel) for one in found}

    return look


GONE = ("pod-gone", None, True)
NEVER = ("pod-never-seen", None, False)


@pytest.mark.parametrize(
    ("jobs", "live", "seen", "expected"),
    [
        pytest.param([(1, 1, {})], [1], [1], {}, id="its pod lives"),
        pytest.param([(1, 1, {})], [2], [1], {"1": GONE}, id="its pod is gone"),
        pytest.param([(1, 1, RUNNING)], [2], [1], {"1": GONE}, id="running, its pod is gone"),
        pytest.param([(1, 1, {})], [2], [], {"1": NEVER}, id="its pod was never seen"),
        pytest.param([(1, 1, {"state": JobState.CANCELLED})], [2], [1], {}, id="over already"),
        pytest.param([(1, 1, {"state": JobState.COMPLETING})], [2], [1], {}, id="ending already"),
        pytest.param([(1, 1, {"submitted_at": NOW - 1})], [2], [1], {}, id="younger than the answer"),
        pytest.param(
            [(1, 1, {}), (2, 1, {})], [2], [1], {"1": GONE, "2": GONE}, id="two of a pod that is gone"
        ),
        pytest.param([(1, 1, {}), (2, 2, {})], [1, 2], [1, 2], {}, id="two pods"),
    ],
)
def test_jobs_without_a_pod(find: Any, jobs: Any, live: Any, seen: Any, expected: Any) -> None:
    assert find(jobs, live, seen) == expected


@pytest.mark.parametrize(
    ("jobs", "followed", "expected"),
    [
        pytest.param(
            [(24, 1, RUNNING), (25, 1, {})], "25", {"24": ("doubled", "25", True)}, id="the pod's job waits"
        ),
        pytest.param(
            [(24, 1, RUNNING), (25, 1, RUNNING)], "24", {"25": ("doubled", "24", True)}, id="both run"
        ),
        pytest.param(
            [(24, 1, {}), (25, 1, {**RUNNING, "started_at": 9000.0})],
            None,
            {"24": ("doubled", "25", False)},
            id="not known: the running one is kept",
        ),
        pytest.param(
            [(24, 1, {**RUNNING, "started_at": 9500.0}), (25, 1, {**RUNNING, "started_at": 9000.0})],
            None,
            {"24": ("doubled", "25", False)},
            id="not known: the one that runs longest is kept",
        ),
        pytest.param(
            [(24, 1, {}), (25, 1, {})], None, {"25": ("doubled", "24", False)}, id="not known: the oldest"
        ),
        pytest.param(
            [(24, 1, {}), (25, 1, {})], "7", {"25": ("doubled", "24", False)}, id="it follows another one"
        ),
        pytest.param(
            [(24, 1, {}), (25, 1, {}), (26, 1, {})],
            "25",
            {"24": ("doubled", "25", True), "26": ("doubled", "25", True)},
            id="three",
        ),
        pytest.param([(24, 1, {"id": "24+0"}), (25, 1, {"id": "24+1"})], "24", {}, id="parts of a hetjob"),
        pytest.param(
            [(24, 1, {"id": "24_1"}), (25, 1, {"id": "24_[2-9]"})], None, {}, id="tasks of an array"
        ),
        pytest.param([(24, 1, {"state": JobState.FAILED}), (25, 1, {})], "24", {}, id="one is over"),
    ],
)
def test_second_jobs_of_a_pod(
    find: Any, site_helpers: Any, jobs: Any, followed: str | None, expected: Any
) -> None:
    assert find(jobs, [1], [1], {site_helpers.uid(1): followed} if followed else None) == expected


def pods(count: int, age_seconds: float = 1.0, others: int = 0) -> LivePods:
    uids = (*map(str, range(count)), *(f"other {number}" for number in range(others)))
    return LivePods(frozenset(uids), age_seconds)


def others(count: int) -> LivePods:
    return pods(0, others=count)


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        pytest.param([pods(1)], False, id="first answer"),
        pytest.param([pods(0)], True, id="empty"),
        pytest.param([pods(5, 60.0)], False, id="a minute old"),
        pytest.param([pods(5, 60.1)], True, id="older than a minute"),
        pytest.param([pods(5, -1.0)], True, id="from the future"),
        pytest.param([pods(10), pods(6)], False, id="fewer"),
        pytest.param([pods(10), pods(5)], True, id="half"),
        pytest.param([pods(10), pods(1)], True, id="nearly none"),
        pytest.param([pods(10), pods(0)], True, id="none"),
        pytest.param([pods(10), pods(5), pods(6)], False, id="half, then more"),
        pytest.param([pods(10), pods(6), pods(4)], False, id="step by step"),
        pytest.param([pods(10), pods(9, 99.0), pods(5)], True, id="half, a refused one between"),
        pytest.param([pods(2), pods(1)], True, id="half of two"),
        pytest.param([pods(5), pods(50)], False, id="more"),
        pytest.param([pods(10), others(10)], True, id="as many others"),
        pytest.param([pods(10), pods(6, others=4)], False, id="some others"),
        pytest.param([pods(10), pods(5, others=9)], True, id="more, and half of them others"),
        pytest.param([pods(2), others(2)], False, id="two servers, then two others"),
    ],
)
def test_answers_that_must_not_be_acted_upon(answers: list[LivePods], refused: bool) -> None:
    judge = AnswerJudge(grace_seconds=900)

    said = [judge.refusal(answer, clock=float(number)) for number, answer in enumerate(answers)]

    assert (said[-1] is not None) == refused


def test_a_short_answer_becomes_normal_after_the_grace_time() -> None:
    judge = AnswerJudge(grace_seconds=100)
    judge.refusal(pods(10), 0)

    said = [judge.refusal(pods(2), float(clock)) is not None for clock in range(30, 200, 30)]

    assert said == [True, True, True, True, False, False]


def test_an_empty_answer_never_becomes_normal() -> None:
    judge = AnswerJudge(grace_seconds=100)
    judge.refusal(pods(10), 0)

    assert all(judge.refusal(pods(0), float(clock)) for clock in range(30, 3000, 30))


def test_short_answers_with_a_long_silence_between_prove_nothing() -> None:
    judge = AnswerJudge(grace_seconds=100)
    judge.refusal(pods(10), 0)
    judge.refusal(pods(2), 30)

    assert judge.refusal(pods(2), 400) is not None


@pytest.fixture
def track(site_helpers: Any) -> Any:
    """Let a tracker look at times; `None` is a look that does not count, else whether the job was an orphan."""

    def run(
        looks: list[tuple[float, bool | None]], owner: str = "1000", live: tuple[int, ...] = (2,)
    ) -> bool:
        tracker = OrphanTracker(grace_seconds=100, max_gap_seconds=60)
        job = site_helpers.make_job(1, owner=owner)
        for clock, is_orphan in looks:
            if is_orphan is not None:
                found = find_orphans([job], LivePods(frozenset({"x"}), 0.0), {site_helpers.uid(1)}, NOW)
                tracker.look(found if is_orphan else [], clock)
        return bool(tracker.due(looks[-1][0], "1000"))

    return run


@pytest.mark.parametrize(
    ("looks", "is_due"),
    [
        pytest.param([(0, True), (50, True), (99, True)], False, id="within the grace time"),
        pytest.param([(0, True), (50, True), (100, True)], True, id="after the grace time"),
        pytest.param([(0, True), (50, True), (100, False)], False, id="no orphan any more"),
        pytest.param([(0, True), (40, False), (80, True), (120, True)], False, id="no orphan in between"),
        pytest.param(
            [(0, True), (50, None), (61, True), (122, True)], False, id="too long without a good look"
        ),
        pytest.param([(0, True), (30, None), (60, True), (100, True)], True, id="one bad look in between"),
        pytest.param([(0, True), (60, True), (100, None)], False, id="the last look does not count"),
        pytest.param([(0, True), (9000, True)], False, id="two looks far apart"),
    ],
)
def test_an_orphan_is_due_when_every_look_of_the_grace_time_says_so(
    track: Any, looks: Any, is_due: bool
) -> None:
    assert track(looks) is is_due


def test_two_looks_prove_nothing_however_short_the_grace_time(site_helpers: Any) -> None:
    tracker = OrphanTracker(grace_seconds=1, max_gap_seconds=60)
    found = find_orphans(
        [site_helpers.make_job(1)], LivePods(frozenset({"x"}), 0.0), {site_helpers.uid(1)}, NOW
    )
    for clock, expected in ((0, 0), (10, 0), (20, 1)):
        tracker.look(found, clock)

        assert len(tracker.due(clock, "1000")) == expected


def test_a_job_of_another_account_is_never_due(track: Any) -> None:
    assert track([(0, True), (50, True), (100, True)], owner="6666") is False


class Pods:
    """The hub's service, as a test sets it."""

    def __init__(self, *numbers: Any):
        self.answer: LivePods | None = LivePods(frozenset(numbers), 0.0)

    async def ask(self) -> LivePods:
        if self.answer is None:
            raise LivePodsError("the service did not answer")
        return self.answer


class Watched:
    """An orphan watch over a fake site, whose time a test moves."""

    def __init__(self, helpers: Any, *, cancels: bool = True, state: StateFile | None = None):
        self.helpers = helpers
        self.scheduler = helpers.FakeScheduler(
            [helpers.make_job(1), helpers.make_job(2), helpers.make_job(3)]
        )
        self.clock, self.wall = helpers.Clock(), helpers.Clock(NOW)
        self.collector = helpers.collector(self.scheduler, clock=self.clock, wall_clock=self.wall)
        self.told = Told("padova", self.scheduler, frozenset({"1000"}))
        self.pods = Pods(*map(helpers.uid, (1, 2, 3)))
        self.watch = OrphanWatch(
            self.collector,
            self.told,
            self.pods,
            state_file=state or StateFile(None, "padova"),
            grace_seconds=100,
            cancels=cancels,
            clock=self.clock,
            wall_clock=self.wall,
        )

    def live(self, *numbers: int) -> None:
        self.pods.answer = LivePods(frozenset(map(self.helpers.uid, numbers)), 0.0)

    async def looks(self, count: int) -> None:
        for _ in range(count):
            self.clock.now += 20
            self.wall.now += 20
            await self.collector.collect()
            await self.watch.look()

    def listed(self) -> dict[str, OrphanKind]:
        answer = self.told.orphans(self.collector.view, self.watch, now=self.wall(), clock=self.clock())
        return {one.job.id: one.kind for one in answer.orphans}


@pytest.fixture
def watched(site_helpers: Any) -> Any:
    return lambda **options: Watched(site_helpers, **options)


async def test_a_job_that_lost_its_pod_is_listed_and_cancelled_after_the_grace_time(watched: Any) -> None:
    site = watched()
    await site.looks(1)
    site.live(1, 2)

    await site.looks(5)
    assert site.listed() == {"3": OrphanKind.POD_GONE}
    assert site.scheduler.cancelled == []
    await site.looks(1)

    assert site.scheduler.cancelled == ["3"]


async def test_nothing_is_cancelled_unless_the_site_manager_says_so(watched: Any) -> None:
    site = watched(cancels=False)
    await site.looks(1)
    site.live(1, 2)

    await site.looks(20)

    assert site.listed() == {"3": OrphanKind.POD_GONE}
    assert site.scheduler.cancelled == []


async def test_the_answer_says_since_when_and_until_when(watched: Any) -> None:
    site = watched()
    await site.looks(1)
    site.live(1, 2)
    await site.looks(3)

    answer = site.told.orphans(site.collector.view, site.watch, now=site.wall(), clock=site.clock())

    [orphan] = answer.orphans
    assert (orphan.since_seconds, orphan.cancelled_in_seconds, orphan.why) == (40, 60, "Its pod is gone.")
    assert orphan.since == site.wall() - 40
    assert answer.problem is None


async def test_a_job_whose_pod_was_never_seen_is_listed_but_not_cancelled(watched: Any) -> None:
    site = watched()
    site.live(1, 2)

    await site.looks(20)

    assert site.listed() == {"3": OrphanKind.POD_NEVER_SEEN}
    assert site.scheduler.cancelled == []


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(lambda site: setattr(site.pods, "answer", None), id="the service does not answer"),
        pytest.param(
            lambda site: setattr(site.pods, "answer", LivePods(frozenset(), 0.0)), id="its answer is empty"
        ),
        pytest.param(
            lambda site: setattr(site.pods, "answer", site.pods.answer._replace(age_seconds=61)),
            id="it is old",
        ),
        pytest.param(lambda site: site.live(1), id="it is suddenly half as long"),
        pytest.param(
            lambda site: setattr(site.scheduler, "error", CommandError("squeue", "down")), id="squeue fails"
        ),
    ],
)
async def test_nothing_is_cancelled_while_something_is_wrong(watched: Any, trouble: Any) -> None:
    site = watched()
    await site.looks(1)
    site.live(1, 2)
    await site.looks(4)
    trouble(site)

    await site.looks(4)

    assert site.scheduler.cancelled == []
    assert site.watch.problem is not None


async def test_a_pod_that_comes_back_in_the_list_is_left_alone(watched: Any) -> None:
    site = watched()
    await site.looks(1)
    site.live(1, 2)
    await site.looks(4)
    site.live(1, 2, 3)
    await site.looks(1)
    site.live(1, 2)

    await site.looks(5)

    assert site.scheduler.cancelled == []


async def test_pods_seen_before_a_restart_are_remembered(watched: Any, tmp_path: Any) -> None:
    state = StateFile(tmp_path, "padova")
    before = watched(state=state)
    await before.looks(1)
    await state.save()
    after = watched(state=StateFile(tmp_path, "padova"))
    after.live(1, 2)

    await after.looks(6)

    assert after.scheduler.cancelled == ["3"]


async def test_an_answer_that_is_half_as_long_after_a_restart_of_the_agent_is_not_acted_upon(
    watched: Any, tmp_path: Any
) -> None:
    state = StateFile(tmp_path, "padova")
    before = watched(state=state)
    await before.looks(1)
    await state.save()
    after = watched(state=StateFile(tmp_path, "padova"))
    after.live(1)

    await after.looks(5)

    assert after.watch.problem == "the service suddenly lists 1 pods instead of 3"
    assert (after.listed(), after.scheduler.cancelled) == ({}, [])


async def test_pods_of_a_short_answer_have_lived_all_the_same(watched: Any, site_helpers: Any) -> None:
    # Given an answer that is not acted upon, with a pod that is new
    site = watched()
    site.scheduler.jobs.append(site_helpers.make_job(4))
    await site.looks(1)
    site.live(4)
    await site.looks(1)
    assert site.watch.problem is not None

    # When the answer is as it was
    site.live(1, 2, 3)
    await site.looks(1)

    # Then the new pod is gone, and not one that nobody has ever seen
    assert site.listed() == {"4": OrphanKind.POD_GONE}


@pytest.mark.parametrize("saved", [None, [], 7, {"x": "y"}, {"x": None}])
async def test_a_strange_memory_is_no_obstacle(watched: Any, saved: Any) -> None:
    state = StateFile(None, "padova")
    state.put("seen_live", saved)
    state.put("usual_pods", saved)

    site = watched(state=state)
    await site.looks(1)

    assert site.watch.problem is None


async def test_a_cancel_that_fails_is_tried_again(watched: Any) -> None:
    site = watched()
    await site.looks(1)
    site.live(1, 2)
    real = site.scheduler.cancel

    async def fails(job: Any) -> None:
        raise CommandError("scancel", "no")

    site.scheduler.cancel = fails
    await site.looks(6)
    site.scheduler.cancel = real
    await site.looks(1)

    assert site.scheduler.cancelled == ["3"]


async def test_only_so_many_are_cancelled_at_once(watched: Any, site_helpers: Any) -> None:
    site = watched()
    site.scheduler.jobs = [site_helpers.make_job(n) for n in range(200)]
    site.live(*range(200))
    await site.looks(1)
    site.live(*range(120))
    await site.looks(6)

    assert len(site.scheduler.cancelled) == 20
