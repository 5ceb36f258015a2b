"""Datasets as files: what is written is read, and what is not whole is refused with the reason."""

import errno
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from herd_tracking.commands.dataset import register
from herd_tracking.dataset import Dataset, DatasetWriter, files
from herd_tracking.events import ARRAYS, TrackingError

from .conftest import META


def test_what_was_written_is_read(write, some_events):
    dataset = write(some_events)
    read = dataset.events()
    assert len(dataset.meta.shards) == 4 and len(dataset) == len(some_events)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(read, name), getattr(some_events, name), err_msg=name)


def test_splits_are_read_event_by_event(write, some_events):
    dataset = write(some_events)
    ids = [dataset.events(dataset.split(name)).event_id for name in ("train", "validation", "test")]
    assert sorted(np.concatenate(ids)) == sorted(some_events.event_id)
    assert len(dataset.events(dataset.split("train"), limit=7)) == 7


@pytest.mark.parametrize("array", ARRAYS)
def test_file_that_is_cut_off_is_refused(write, some_events, array):
    dataset = write(some_events)
    path = dataset.directory / "shard-00001" / f"{array}.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrackingError, match=f"shard-00001/{array}.npy.*truncated or foreign"):
        Dataset.open(dataset.directory)


def test_shard_that_is_missing_is_named(write, some_events):
    dataset = write(some_events)
    (dataset.directory / "shard-00002" / "x.npy").unlink()
    with pytest.raises(TrackingError, match="shard-00002/x.npy: is missing"):
        Dataset.open(dataset.directory)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "foreign"),
        ({"schema_version": 2}, "schema version 2; this program reads 1"),
        ({"features": ["coordinate"]}, "field features: coordinate; this program has"),
        ({"shards": [{"name": "../../etc", "events": 1, "hits": 1, "edges": 1}]}, "field shards.0.name"),
        ({"surprise": 1}, "field surprise"),
        ({"shards": []}, "has no events"),
    ],
    ids=str,
)
def test_description_that_does_not_fit_is_refused(write, some_events, change, said):
    dataset = write(some_events)
    path = dataset.directory / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(TrackingError, match=said):
        Dataset.open(dataset.directory)


@pytest.mark.parametrize("text", ["", "[1", "[]", "\x00"])
def test_description_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(TrackingError, match="dataset.json"):
        Dataset.open(tmp_path)


def test_what_is_no_dataset_is_refused_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    for place, reason in (
        (".", "has no dataset.json"),
        ("nowhere", "no such directory"),
        ("file", "is a file"),
    ):
        with pytest.raises(TrackingError, match=f"no dataset.*{reason}.*herd_tracking simulate"):
            Dataset.open(tmp_path / place)


def test_full_disk_leaves_nothing_and_says_so(tmp_path, some_events, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.np, "save", full)
    with (
        pytest.raises(TrackingError, match="No space left on device. Is the disk full?"),
        DatasetWriter(tmp_path / "full", META) as writer,
    ):
        writer.append(some_events)
    assert list((tmp_path / "full").iterdir()) == []


def test_interrupted_writer_leaves_no_dataset(tmp_path, some_events):
    with pytest.raises(KeyboardInterrupt), DatasetWriter(tmp_path / "half", META) as writer:
        writer.append(some_events)
        raise KeyboardInterrupt
    with pytest.raises(TrackingError, match="no dataset"):
        Dataset.open(tmp_path / "half")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, TrackingError])
def test_older_dataset_stays_until_the_new_one_is_whole(tmp_path, write, some_events, failure):
    # given a dataset that is to be replaced
    directory = write(some_events).directory
    before = sorted(path.relative_to(directory) for path in directory.rglob("*"))
    # when the new one is interrupted
    with pytest.raises(failure), DatasetWriter(directory, META, is_overwritten=True) as writer:
        writer.append(some_events.take(0, 100))
        raise failure
    # then the older one is whole, and nothing else is there
    assert sorted(path.relative_to(directory) for path in directory.rglob("*")) == before
    assert len(Dataset.open(directory).events()) == len(some_events)
    # and when it is not, the new one is there alone
    with DatasetWriter(directory, META, is_overwritten=True) as writer:
        writer.append(some_events.take(0, 100))
    assert len(Dataset.open(directory)) == 100
    assert sorted(path.name for path in directory.iterdir()) == ["dataset.json", "shard-00000"]


def test_what_a_killed_writer_left_is_replaced_only_when_told(tmp_path, some_events):
    # given what is there when a writer is killed between two shards
    left = tmp_path / "half" / ".writing" / "shard-00000"
    left.mkdir(parents=True)
    (left / "x.npy").write_bytes(b"half")
    # then it is no dataset, and not replaced unasked: another writer may be at it
    with pytest.raises(TrackingError, match="no dataset"):
        Dataset.open(tmp_path / "half")
    with pytest.raises(TrackingError, match="part of one.*or overwrite it"):
        DatasetWriter(tmp_path / "half", META)
    with DatasetWriter(tmp_path / "half", META, is_overwritten=True) as writer:
        writer.append(some_events)
    assert len(Dataset.open(tmp_path / "half")) == len(some_events)


def test_somebodys_files_are_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(TrackingError, match="what is no dataset, such as thesis.tex"):
        DatasetWriter(tmp_path, META, is_overwritten=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.fixture
def app():
    """A command line with these commands only."""
    made = typer.Typer()
    made.callback()(lambda: None)
    register(made)
    return made


def test_info_describes(app, write, some_events):
    dataset = write(some_events)
    done = CliRunner().invoke(app, ["info", str(dataset.directory), "--json"])
    told = json.loads(done.output)
    assert told["events"] == len(some_events) and told["geometry_hash"] == META["geometry_hash"]
    assert sum(told["splits"].values()) == len(some_events)
    assert "1,500" in CliRunner().invoke(app, ["info", str(dataset.directory)]).output


def test_reference_size_fits_the_disk(write, some_events):
    described = write(some_events, shard_events=1500).describe()
    assert described["bytes_per_event"] * 4_300_000 < 12e9


@pytest.mark.parametrize(
    ("name", "index", "value", "said"),
    [
        ("event", (1, 0), np.nan, "shard-00002: event 801 .*column energy_gev: is nan"),
        ("event", (1, 1), 3.0, "shard-00002: event 801 .*column direction_x: 3; allowed are unit vectors"),
        (
            "event",
            (1, 12),
            1e9,
            "shard-00002: event 801 .*column axis_point_x_cm: 1e.09; allowed are -10000 to",
        ),
        (
            "x",
            (3, 4),
            3e38,
            "shard-00002: event 800 .*feature log_adc: is 3e.38 at hit 3; allowed are -100 to 100",
        ),
        ("x", (3, 0), 40.0, "shard-00002: event 800 .*coordinate: 2000 cm at hit 3; allowed in plane"),
        (
            "y",
            4,
            1,
            "shard-00002: event 800 .*field y: 1 at hit 4, whose hit_class is 2 .backsplash.; 1 is allowed",
        ),
        ("hit_class", 0, 9, "shard-00002: event 800 .*field hit_class: 9"),
        ("event_id", 1, 77, "field event_id: 77 is there twice"),
    ],
)
def test_events_are_looked_at_when_asked_for(app, write, some_events, name, index, value, said):
    # given a dataset, good but for one value in its third shard, of which a training would say nothing
    dataset = write(some_events)
    dataset.check()
    for number in (0, 2) if name == "event_id" else (2,):
        path = dataset.directory / f"shard-{number:05d}" / f"{name}.npy"
        array = np.load(path)
        array[index] = value
        np.save(path, array)
    # when it is asked whether it is good, then the event is named
    with pytest.raises(TrackingError, match=said):
        CliRunner().invoke(app, ["info", str(dataset.directory), "--check"], catch_exceptions=False)


def test_events_that_cannot_be_trained_with_are_not_written(tmp_path, spoiled):
    bad = spoiled(x=lambda x: np.where(np.arange(len(x))[:, None] == 5, np.inf, x).astype(np.float32))
    good = spoiled()
    with (
        pytest.raises(TrackingError, match="event 10 .*feature coordinate: is inf at hit 5"),
        DatasetWriter(tmp_path / "bad", META) as writer,
    ):
        writer.append(good)
        writer.append(bad)
    assert list((tmp_path / "bad").iterdir()) == []
