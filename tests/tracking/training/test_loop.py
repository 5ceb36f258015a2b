"""The loop: how well it trains, that it does not matter how many share the work, and how it stops and goes on."""

import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from herd_tracking.dataset import Dataset
from herd_tracking.events import TrackingError
from herd_tracking.training import train
from herd_tracking.training.job import do
from herd_tracking.training.peers import Peers
from herd_tracking.training.run import check_directory

from .conftest import write_dataset


def never() -> bool:
    return False


def losses(reports: list[dict]) -> list[float]:
    return [one["loss"] for one in reports if "loss" in one]


class Together:
    """Workers as threads of this process: their sums, without a network."""

    def __init__(self, world: int) -> None:
        self.world = world
        self._barrier = threading.Barrier(world, timeout=60)
        self._slots: list = [None] * world

    def exchange(self, rank: int, value):
        self._slots[rank] = value
        self._barrier.wait()
        found = list(self._slots)
        self._barrier.wait()
        return found

    def peers(self, rank: int) -> Peers:
        together = self

        class Thread(Peers):
            def add_up(self, *tensors):
                for tensor in tensors:
                    total = sum(one.clone() for one in together.exchange(rank, tensor.clone()))
                    tensor.copy_(total)

            def from_all(self, value):
                return together.exchange(rank, value)

            def from_first(self, value):
                return together.exchange(rank, value)[0]

        return Thread(rank, self.world)


def reports_of(job, world: int) -> list[dict]:
    """What the first of ``world`` workers says."""
    together, reports, errors = Together(world), [], []

    def one(rank: int) -> None:
        torch.set_num_threads(1)
        try:
            do(job, peers=together.peers(rank), say=reports.append, wants_stop=never)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    if errors:
        # All for the same reason, or some would wait for ever.
        assert len(errors) == world and len({str(error) for error in errors}) == 1, errors
        raise errors[0]
    return reports


def test_two_epochs_on_5000_events_separate_the_hits(tmp_path):
    dataset = write_dataset(tmp_path / "toy", 5000)

    result = train(
        dataset, "deep", epochs=2, batch_events=32, warmup_steps=20, directory=tmp_path / "run", live="none"
    )

    assert [one["epoch"] for one in result.history] == [1, 2]
    assert result.best["val_auc"] >= 0.90
    assert json.loads((tmp_path / "run" / "history.json").read_text()) == result.history


def test_the_loss_curve_does_not_depend_on_the_number_of_workers(make_job):
    curves = {world: reports_of(make_job(f"run{world}"), world) for world in (1, 2, 3)}

    alone = losses(curves[1])
    assert len(alone) == 10
    assert alone[-1] < 0.6 * alone[0]
    for world in (2, 3):
        # What is left is the order in which fp32 sums are formed.
        assert losses(curves[world]) == pytest.approx(alone, rel=2e-3)
        assert curves[world][-1]["val_auc"] == pytest.approx(curves[1][-1]["val_auc"], abs=2e-3)
        assert curves[world][-1]["workers"] == world


def test_a_worker_without_events_takes_part_in_a_step(make_job):
    # 5 events for 3 workers in steps of 2: one has none in the last step, another none in any.
    few = make_job(limit_events=5, batch_events=2, epochs=1, report_steps=1)
    assert losses(reports_of(few, 3)) == pytest.approx(
        losses(reports_of(make_job("alone", limit_events=5, batch_events=2, epochs=1, report_steps=1), 1)),
        rel=2e-3,
    )


def test_an_interrupted_training_goes_on_as_if_nothing_had_been(make_job):
    whole: list[dict] = []
    do(make_job("whole"), say=whole.append, wants_stop=never)

    parts: list[dict] = []
    job = make_job("parts")
    # In the middle of the first epoch, and of the second.
    for stop_at in (3, 13):
        ended = do(job, say=parts.append, wants_stop=lambda at=stop_at: parts_step(parts) >= at - 1)
        assert ended == "stopped"
    assert do(job, say=parts.append, wants_stop=never) == "finished"

    last = {one["step"]: one["loss"] for one in parts if "loss" in one}
    assert [last[step] for step in (10, 20)] == pytest.approx(losses(whole)[4::5], rel=1e-5)
    ends = [[one for one in said if "val_auc" in one] for said in (whole, parts)]
    for before, after in zip(*ends, strict=True):
        assert after["train_loss"] == pytest.approx(before["train_loss"], rel=1e-5)
        assert after["val_auc"] == pytest.approx(before["val_auc"], abs=1e-4)
    assert any("from epoch 2" in one.get("message", "") for one in parts)


def parts_step(reports: list[dict]) -> int:
    return max((one["step"] for one in reports if "step" in one), default=0)


def test_reports_say_how_it_goes_within_an_epoch(make_job):
    reports: list[dict] = []
    do(make_job(epochs=1), say=reports.append, wants_stop=never)

    steps = [one for one in reports if "loss" in one]
    assert [one["step"] for one in steps] == [2, 4, 6, 8, 10]
    assert all(
        one["events_per_s"] > 0 and one["epochs"] == 1 and one["steps_per_epoch"] == 10 for one in steps
    )
    assert steps[0]["learning_rate"] == pytest.approx(4e-4)
    for one in steps:
        assert (
            0.5 < sum(one[f"{part}_s"] for part in ("data", "compute", "exchange")) / one["seconds"] <= 1.01
        )
    assert "1 worker (CPU, fp32)" in reports[0]["message"]


def test_no_better_for_some_epochs_ends_it(make_job):
    # At this learning rate nothing is learned that shows in the AUC.
    reports: list[dict] = []
    job = make_job(epochs=9, patience=1, learning_rate=1e-12, limit_events=32)
    assert do(job, say=reports.append, wants_stop=never) == "settled"
    assert sum("val_auc" in one for one in reports) < 9
    assert any("guessing" in one.get("message", "") for one in reports)


def test_a_run_is_not_overwritten_unless_it_goes_on(tmp_path):
    (tmp_path / "last.pt").touch()
    with pytest.raises(TrackingError, match="resume=True"):
        check_directory(tmp_path, resume=False)
    check_directory(tmp_path, resume=True)


def test_another_dataset_does_not_go_on_with_a_run(make_job, tmp_path):
    do(make_job(epochs=1), say=lambda _: None, wants_stop=never)
    other = write_dataset(tmp_path / "other", 1100)
    with pytest.raises(TrackingError, match=r"was trained on .*events 1000.*; this is .*events 1100"):
        do(make_job(dataset=other), say=lambda _: None, wants_stop=never)


def test_a_checkpoint_of_another_run_is_gone_on_from(make_job):
    first = make_job("first", epochs=1)
    do(first, say=lambda _: None, wants_stop=never)
    reports: list[dict] = []
    second = replace(make_job("second"), begin_from=first.directory)
    do(second, say=reports.append, wants_stop=never)
    assert [one["epoch"] for one in reports if "val_auc" in one] == [2]
    assert (second.directory / "last.pt").is_file()


def changed(dataset: Dataset, name: str, change) -> None:
    """Change an array of the dataset's first shard on the disk."""
    path = dataset.directory / dataset.meta.shards[0].name / f"{name}.npy"
    array = np.load(path)
    change(array)
    np.save(path, array)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("y", lambda y: y.fill(0), r"field y: all hits .* background \(0\); both classes"),
        (
            "x",
            lambda x: x.__setitem__((slice(None), 5), np.nan),
            r"event \d+.*: field x, feature log_size: is nan",
        ),
    ],
    ids=["one class", "not finite"],
)
def test_bad_events_are_named(make_job, tmp_path, name, change, told):
    dataset = write_dataset(tmp_path / "bad", 300)
    changed(dataset, name, change)
    with pytest.raises(TrackingError, match=told):
        do(make_job(dataset=dataset), say=lambda _: None, wants_stop=never)


def test_a_shard_that_vanishes_is_named_and_the_checkpoint_kept(make_job, tmp_path):
    dataset = write_dataset(tmp_path / "vanishing", 600)
    shard: Path = dataset.directory / dataset.meta.shards[0].name

    def say(report: dict) -> None:
        if report.get("epoch") == 1 and "val_auc" in report:
            shard.rename(tmp_path / "elsewhere")

    job = make_job(dataset=dataset, epochs=1)
    do(job, say=say, wants_stop=never)
    with pytest.raises(TrackingError, match="shard-00000"):
        do(replace(job, settings=replace(job.settings, epochs=2)), say=say, wants_stop=never)
    assert (job.directory / "last.pt").is_file()


@pytest.mark.parametrize("world", [1, 2])
def test_a_loss_that_is_no_number_stops_all_workers_and_names_the_event(make_job, tmp_path, world):
    # given a run of one epoch, and then an event with a feature that no arithmetic survives, though it is finite
    dataset = write_dataset(tmp_path / "huge", 100)
    job = make_job(dataset=dataset, epochs=1, limit_events=64)
    do(job, say=lambda _: None, wants_stop=never)
    before = (job.directory / "last.pt").read_bytes()
    number = int(dataset.split("train").numbers[40])
    hits = slice(*dataset.shard(0).node_ptr[[number, number + 1]].tolist())
    changed(dataset, "x", lambda x: x.__setitem__((hits, 4), 3e38))
    # when it goes on
    job = replace(job, settings=replace(job.settings, epochs=2))
    with pytest.raises(TrackingError) as stopped:
        reports_of(job, world)
    # then it says where it was and what to do, and the checkpoint is that of the epoch before
    told = str(stopped.value)
    assert re.search(rf"epoch 2, batch \d+, in event {number} of .*huge: the loss is (nan|inf)", told), told
    assert "info" in told and "--check" in told and "learning_rate below 0.001" in told and "last.pt" in told
    assert (job.directory / "last.pt").read_bytes() == before


def test_validation_that_is_no_number_is_no_checkpoint(make_job, tmp_path):
    dataset = write_dataset(tmp_path / "huge", 100)
    number = int(dataset.split("validation").numbers[0])
    first = int(dataset.shard(0).node_ptr[number])
    changed(dataset, "x", lambda x: x.__setitem__((first, 4), 3e38))
    job = make_job(dataset=dataset, limit_events=64)
    with pytest.raises(TrackingError, match="epoch 1: the validation loss is .*there is no checkpoint yet"):
        do(job, say=lambda _: None, wants_stop=never)
    assert not (job.directory / "last.pt").exists()
