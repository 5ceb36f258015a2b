"""Datasets of simulated events, from Python and from the command line: the same whatever the number of threads."""

import subprocess
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from herd_tracking.commands import simulate as command
from herd_tracking.dataset import Dataset, writer
from herd_tracking.events import ARRAYS, TrackingError
from herd_tracking.geometry import FIT
from herd_tracking.simulation import Knobs, producing, simulate


@pytest.fixture
def small_shards(monkeypatch):
    """Several shards from few events."""
    monkeypatch.setattr(writer, "EVENTS_PER_SHARD", 1100)
    monkeypatch.setattr(producing, "PIECE", 1024)


@pytest.fixture
def run():
    app = typer.Typer()
    command.register(app)
    app.callback()(lambda: None)
    return lambda *words: CliRunner().invoke(app, ["simulate", *map(str, words)])


def files(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_files_do_not_depend_on_the_number_of_threads(tmp_path, small_shards):
    for threads in (1, 3):
        producing.simulate_dataset(tmp_path / str(threads), 3000, seed=8, threads=threads, progress=False)
    one, three = files(tmp_path / "1"), files(tmp_path / "3")
    assert len({path.parts[0] for path in one if len(path.parts) > 1}) == 3
    assert one == three


def test_another_process_makes_the_same_events(tmp_path):
    code = (
        "import sys, numpy; from herd_tracking.simulation import simulate;"
        "e = simulate(30, 12, 'both', first_event=1024);"
        f"numpy.savez(sys.argv[1], **{{name: getattr(e, name) for name in {ARRAYS}}})"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "events.npz"], check=True, timeout=60)
    here = simulate(30, 12, "both", first_event=1024)
    with np.load(tmp_path / "events.npz") as there:
        assert all(np.array_equal(there[name], getattr(here, name)) for name in ARRAYS)


def test_command_writes_a_dataset_that_says_how_it_was_made(tmp_path, run):
    result = run(
        tmp_path / "toy",
        "-n",
        200,
        "--seed",
        4,
        "--particles",
        "both",
        "-k",
        "efficiency=0.9",
        "--threads",
        1,
    )
    assert result.exit_code == 0, result.output
    assert "wrote 200 events" in result.output
    dataset = Dataset.open(tmp_path / "toy")
    assert len(dataset) == 200 and dataset.geometry_hash == FIT.hash
    assert (dataset.meta.seed, dataset.meta.particles, dataset.meta.knobs["efficiency"]) == (4, "both", 0.9)


def test_command_leaves_a_dataset_alone_unless_it_may_replace_it(tmp_path, run):
    assert run(tmp_path / "toy", "-n", 50).exit_code == 0
    before = files(tmp_path / "toy")
    assert isinstance(run(tmp_path / "toy", "-n", 60).exception, TrackingError)
    assert files(tmp_path / "toy") == before
    assert run(tmp_path / "toy", "-n", 60, "--overwrite").exit_code == 0
    assert len(Dataset.open(tmp_path / "toy")) == 60


def test_all_knobs_are_shown_with_what_they_mean(run):
    result = run("--show-knobs")
    assert result.exit_code == 0
    assert "noise_per_1000_channels = 0.04\n    Clusters of SiPM noise" in result.output


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("efficiensy=1", "efficiensy"),
        ("efficiency", "no number"),
        ("efficiency=much", "'much' is no number"),
        ("efficiency=2", "0 to 1"),
        ("min_superlayers=5.5", "'5.5' is no number"),
    ],
)
def test_a_wrong_knob_is_refused_by_name(change, word):
    with pytest.raises(TrackingError, match=word):
        command.changed_knobs([change])


def test_knobs_are_changed_by_name():
    assert command.changed_knobs(["efficiency=0.9", "min_superlayers=6"]) == Knobs(
        efficiency=0.9, min_superlayers=6
    )
