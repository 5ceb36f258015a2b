"""Checkpoints: written whole or not at all, and refused with a reason."""

import resource
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from herd_tracking.events import FEATURES, TrackingError
from herd_tracking.model import PRESETS
from herd_tracking.training import load_checkpoint, score, train
from herd_tracking.training.checkpoint import read_checkpoint, remove_halves, write_checkpoint
from herd_tracking.training.job import do
from herd_tracking.training.run import Run
from herd_tracking.training.settings import Settings


@contextmanager
def files_of_at_most(size: int):
    """Let larger files fail as on a full disk does: in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """One short epoch with preset deep."""
    directory = tmp_path_factory.mktemp("trained") / "run"
    return train(
        toy,
        "deep",
        epochs=1,
        batch_events=64,
        warmup_steps=3,
        limit_events=320,
        directory=directory,
        live="none",
    )


def test_a_full_disk_is_told_and_the_last_good_checkpoint_kept(make_job):
    job = make_job(epochs=1)
    do(job, say=lambda _: None, wants_stop=lambda: False)
    good = (job.directory / "last.pt").read_bytes()

    with (
        files_of_at_most(1_000_000),
        pytest.raises(TrackingError, match=r"last\.pt: .* MB cannot be written.*kept"),
    ):
        do(
            replace(job, settings=replace(job.settings, epochs=2)),
            say=lambda _: None,
            wants_stop=lambda: False,
        )

    assert (job.directory / "last.pt").read_bytes() == good
    assert sorted(path.name for path in job.directory.iterdir()) == ["best.pt", "history.json", "last.pt"]


def test_scores_are_those_of_the_trained_model_in_the_order_of_the_events(toy, trained):
    events = toy.events(toy.split("test"), 40)
    found = score(toy, trained.best_checkpoint, "test", 40)
    assert found.shape == events.y.shape
    assert found[events.y == 1].mean() > found[events.y == 0].mean() + 0.02
    assert score(toy, trained.directory, "test", 7) == pytest.approx(
        found[: toy.events(toy.split("test"), 7).node_ptr[-1]], abs=0.02
    )


def test_a_checkpoint_of_another_preset_is_refused_with_the_difference(trained):
    with pytest.raises(TrackingError, match=r"another preset: residual True \(asked for: False\)"):
        load_checkpoint(trained.directory, preset=PRESETS["slides"])


def test_a_checkpoint_of_other_features_is_refused_with_both_lists(trained):
    with pytest.raises(
        TrackingError, match=r"field features: trained with coordinate, .*; the data has energy"
    ):
        load_checkpoint(trained.directory, features=("energy",))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[: len(data) // 2], "truncated or foreign"),
        (lambda data: b"", "truncated or foreign"),
        (lambda data: b"\x80\x04K\x01.", "foreign"),
    ],
    ids=["cut off", "empty", "another file"],
)
def test_what_is_no_checkpoint_is_refused_with_its_name(trained, tmp_path, damage, reason):
    bad = tmp_path / "bad.pt"
    bad.write_bytes(damage(trained.best_checkpoint.read_bytes()))
    with pytest.raises(TrackingError, match=rf"bad\.pt: .*{reason}|bad\.pt: {reason}"):
        load_checkpoint(bad)


def test_a_checkpoint_of_another_version_or_with_a_missing_field_is_refused(tmp_path, toy):
    run = Run.new(Settings(preset="deep"), {})
    content = run.content()
    write_checkpoint(tmp_path / "newer.pt", {**content, "version": 9})
    with pytest.raises(TrackingError, match="version 9; this program reads 1"):
        read_checkpoint(tmp_path / "newer.pt")
    del content["progress"]
    write_checkpoint(tmp_path / "part.pt", content)
    with pytest.raises(TrackingError, match="field progress is missing"):
        read_checkpoint(tmp_path / "part.pt")
    with pytest.raises(TrackingError, match="is not there"):
        load_checkpoint(tmp_path)


def test_nothing_in_a_checkpoint_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"format": "herd-tracking checkpoint", "version": 1, "x": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(TrackingError, match="truncated or foreign"):
        read_checkpoint(tmp_path / "evil.pt")


def test_weights_depend_on_the_seed_only():
    first, again, other = (
        Run.new(Settings(preset="deep", seed=seed), {}).content()["model"] for seed in (1, 1, 2)
    )
    name = "convs.5.lin_l.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])
    assert len(FEATURES) == first["convs.0.lin_l.weight"].shape[1]


def test_what_a_killed_process_has_half_written_is_removed_by_the_next(tmp_path):
    (tmp_path / ".last.pt.4711.part").write_bytes(b"half")
    (tmp_path / "last.pt").write_bytes(b"whole")
    (tmp_path / "notes.txt").write_text("mine")
    remove_halves(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "notes.txt"]
