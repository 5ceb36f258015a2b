"""What a training decides without computing: settings, when to stop, what a worker gets, when to give up."""

import asyncio
from pathlib import Path

import pytest

from herd_tracking.commands.train import further_numbers, workers_of
from herd_tracking.events import TrackingError
from herd_tracking.training.mailbox import LOSSES_WITHOUT_PROGRESS, Mailbox
from herd_tracking.training.progress import Progress
from herd_tracking.training.resources import check_workers, per_worker, room
from herd_tracking.training.result import TrainingStopped
from herd_tracking.training.settings import Settings, check_resumable

HEAD, NOTEBOOK = {"memory": 1e9}, {"CPU": 0.0}
SMALL, LARGE = {"CPU": 4.0}, {"CPU": 8.0}
FOUR_GPUS = {"CPU": 32.0, "GPU": 4.0}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_events": 2.5}, "batch_events"),
        ({"patience": 0}, "patience"),
        ({"limit_events": 0}, "limit_events"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"precision": "fp16"}, "precision"),
        ({"preset": "wide"}, "wide"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_setting_that_is_not_allowed_is_named(changes, field):
    with pytest.raises(TrackingError, match=field):
        Settings(**changes)


def test_notebooks_show_a_sentence_instead_of_a_stack():
    assert TrackingError("epochs is 0.")._render_traceback_() == ["TrackingError: epochs is 0."]
    stopped = TrainingStopped(Path("runs/one"))
    assert isinstance(stopped, KeyboardInterrupt)
    assert stopped._render_traceback_() == [
        "Stopped. The checkpoint is in runs/one; go on with directory='runs/one', resume=True."
    ]
    assert str(TrainingStopped(None)) == "Stopped, and nothing of it is kept."


def test_the_learning_rate_grows_to_its_value_and_stays_there():
    settings = Settings(learning_rate=1e-2, warmup_steps=4)
    found = [settings.learning_rate_at(step) for step in (0, 1, 3, 4, 100)]
    assert found == pytest.approx([2.5e-3, 5e-3, 1e-2, 1e-2, 1e-2])
    assert Settings(warmup_steps=0).learning_rate_at(0) == 1e-3


def test_only_what_changes_no_step_may_differ_when_a_training_goes_on():
    before = Settings(epochs=2, seed=1).to_dict()
    check_resumable(before, Settings(epochs=9, seed=1, patience=3, report_steps=1), "here")
    with pytest.raises(TrackingError, match=r"here: .*seed 1 \(now 2\)"):
        check_resumable(before, Settings(epochs=2, seed=2), "here")


def test_a_training_settles_after_so_many_epochs_without_a_better_auc():
    progress = Progress()
    ended = []
    for auc in (0.90, 0.92, 0.91, 0.92, 0.95):
        progress.begin_epoch()
        ended.append((progress.take(auc), progress.is_over(epochs=10, patience=2)))
    assert ended == [(True, False), (True, False), (False, False), (False, True), (True, False)]
    assert progress.is_over(epochs=5, patience=None)


@pytest.mark.parametrize(
    ("nodes", "most", "cpus", "gpus", "expected"),
    [
        ([HEAD, NOTEBOOK, SMALL, SMALL], 2, None, None, {"CPU": 4.0}),
        ([HEAD, NOTEBOOK, SMALL, LARGE], 2, None, None, {"CPU": 4.0}),
        ([HEAD, SMALL], 2, None, None, {"CPU": 2.0}),
        ([HEAD, LARGE, SMALL], 3, None, None, {"CPU": 4.0}),
        ([HEAD, SMALL], 9, None, None, {"CPU": 1.0}),
        ([HEAD, NOTEBOOK], 2, None, None, {"CPU": 1.0}),
        ([HEAD, SMALL], 4, 3, None, {"CPU": 3.0}),
        ([HEAD, FOUR_GPUS, SMALL], 4, None, None, {"CPU": 8.0, "GPU": 1.0}),
        ([HEAD, FOUR_GPUS], 2, None, 2, {"CPU": 16.0, "GPU": 2.0}),
        ([HEAD, FOUR_GPUS], 2, None, 0, {"CPU": 16.0}),
        ([], 2, 3, None, {"CPU": 3.0}),
    ],
)
def test_a_worker_gets_what_a_node_can_give(nodes, most, cpus, gpus, expected):
    assert per_worker(nodes, most, cpus, gpus) == expected


@pytest.mark.parametrize(
    ("nodes", "wanted", "expected"),
    [
        ([HEAD, NOTEBOOK, SMALL, LARGE], {"CPU": 4.0}, 3),
        ([HEAD, SMALL], {"CPU": 8.0}, 0),
        ([FOUR_GPUS, LARGE], {"CPU": 2.0, "GPU": 1.0}, 4),
        ([], {"CPU": 1.0}, 0),
    ],
)
def test_how_many_workers_there_is_room_for(nodes, wanted, expected):
    assert room(nodes, wanted) == expected


def test_a_worker_that_fits_on_no_node_is_refused():
    with pytest.raises(TrackingError, match="16 CPUs and 0 GPUs fits on no node; the largest has 8 CPUs"):
        per_worker([HEAD, SMALL, LARGE], 2, 16, None)


@pytest.mark.parametrize("workers", [0, (2, 1), (0, 2), "2", True, (1, 2, 3), 1.5])
def test_workers_that_are_none_are_refused(workers):
    with pytest.raises(TrackingError, match="workers"):
        check_workers(workers)


def test_workers_are_named_by_a_number_or_a_range():
    assert [workers_of(text) for text in (None, "4", "1-4")] == [None, 4, (1, 4)]
    assert further_numbers(["2", "4"]) == [2, 4]
    for text in ("four", "1-2-3", "-1", "", "0", "4-2"):
        with pytest.raises(TrackingError, match="workers"):
            workers_of(text)
    with pytest.raises(TrackingError, match="toy"):
        further_numbers(["2", "toy"])


async def test_losses_are_reason_to_give_up_only_if_the_training_comes_no_further():
    mailbox = Mailbox()
    for step in range(10):
        await mailbox.put({"step": step, "loss": 0.5})
        await mailbox.lost("gone.")
    # Started again from a checkpoint further back, it is not further.
    await mailbox.put({"step": 3, "loss": 0.5})
    assert not any("gave_up" in one for one in await mailbox.take())

    for _ in range(LOSSES_WITHOUT_PROGRESS - 1):
        await mailbox.lost("out of memory.")

    last = (await mailbox.take())[-1]
    assert "out of memory" in last["gave_up"]


async def test_workers_that_end_because_the_training_gives_up_are_not_told_as_lost():
    mailbox = Mailbox()
    await mailbox.give_up("shard-00000 is not there any more.")
    await mailbox.lost("Worker 0 failed.")
    assert await mailbox.take() == [{"gave_up": "shard-00000 is not there any more."}]


async def test_reports_wait_for_whoever_takes_them_and_come_in_order():
    mailbox = Mailbox()
    taken = asyncio.ensure_future(mailbox.take())
    await asyncio.sleep(0)
    assert not taken.done()
    await mailbox.put({"step": 1})
    await mailbox.put({"step": 2})
    assert await asyncio.wait_for(taken, 5) == [{"step": 1}, {"step": 2}]
