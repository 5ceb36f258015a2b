"""The commands: what they write, what they print, what they refuse; the dataset and the model are stood in for."""

import json
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from herd_tracking.commands.physics import history_of, named_checkpoints, read_history, register
from herd_tracking.events import TrackingError
from herd_tracking.geometry import FIT
from herd_tracking.physics import report
from herd_tracking.physics.saved import load_evaluation

EVENTS = 150


@pytest.fixture(scope="module")
def events(straight_lines):
    return type(straight_lines)(FIT)(EVENTS, noise=20)


@pytest.fixture
def dataset(monkeypatch, events):
    """A dataset of one split, and a model that knows the truth a little."""
    made = SimpleNamespace(geometry_hash=FIT.hash)
    made.split = lambda name: name
    made.events = lambda selection, limit: events.take(0, min(limit or EVENTS, EVENTS))
    place, training = ModuleType("herd_tracking.dataset"), ModuleType("herd_tracking.training")
    place.Dataset = SimpleNamespace(open=lambda path: made)
    training.score = lambda dataset, checkpoint, split, limit: _scores(dataset.events(split, limit))
    monkeypatch.setitem(sys.modules, "herd_tracking.dataset", place)
    monkeypatch.setitem(sys.modules, "herd_tracking.training", training)
    return made


def _scores(events):
    return np.where(events.y == 1, 0.8, 0.2) + np.random.default_rng(1).uniform(-0.2, 0.2, len(events.y))


def run(*arguments):
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "160"})


def test_evaluate_prints_numbers_and_writes_them(dataset, tmp_path):
    result = run(
        "evaluate", "data", "-c", "deep=runs/1", "-o", tmp_path / "out", "--no-report", "--limit", 100
    )
    assert result.exit_code == 0, result.output
    assert "100 events" in result.output
    assert "±" in result.output
    evaluation = load_evaluation(tmp_path / "out" / "evaluation.json")
    assert list(evaluation.methods) == [
        "deep",
        "truth hits",
        "CALO road + Hough",
        "line search alone",
        "no rejection",
    ]
    assert evaluation.about["data"] == "data, test split"


def test_report_is_made_again_from_the_numbers(dataset, tmp_path, monkeypatch):
    # given an evaluation, and a report that only says what it was asked for
    run("evaluate", "data", "-o", tmp_path, "--no-report")
    asked = []
    monkeypatch.setattr(report, "write_report", lambda *given: asked.append(given) or ("page", "paper"))
    (tmp_path / "history.json").write_text('[{"epoch": 1}]')
    # when
    result = run("report", tmp_path, "-o", tmp_path / "again", "--history", tmp_path / "history.json")
    # then
    assert result.exit_code == 0, result.output
    evaluation, directory, history = asked[0]
    assert evaluation.about["events"] == EVENTS
    assert (directory, history) == (tmp_path / "again", [{"epoch": 1}])
    assert "wrote paper" in result.output


@pytest.mark.parametrize("name", ["event.html", "new/event.png", "event.svg"])
def test_display_writes_a_page_or_a_picture(dataset, tmp_path, name):
    result = run("display", "data", 3, "-c", "runs/1", "-o", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).stat().st_size > 5_000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("display", "data", "-o", "event.gif"), r"event\.gif.*\.html, \.png"),
        (("display", "data", EVENTS + 5), "event index 155"),
        (("display", "data", "-c", "a=1", "-c", "b=2"), "2 given"),
        (("evaluate", "data", "--threshold", "good", "--no-report"), "'good'"),
        (("evaluate", "data", "-c", "a=1", "-c", "a=2"), "two are named 'a'"),
        (("report", "nowhere.json"), r"nowhere\.json"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(dataset, tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert isinstance(result.exception, TrackingError)
    assert re.search(reason, str(result.exception))


def test_dataset_of_another_geometry_is_refused(dataset, tmp_path):
    dataset.geometry_hash = "0123"
    result = run("evaluate", "data", "-o", tmp_path)
    assert isinstance(result.exception, TrackingError)
    assert "geometry 0123" in str(result.exception)


def test_checkpoints_are_named_as_their_run(tmp_path):
    file = tmp_path / "first" / "best.pt"
    file.parent.mkdir()
    file.touch()
    assert [name for name, _ in named_checkpoints([str(file), "runs/second", "x=y/z"])] == [
        "first",
        "second",
        "x",
    ]


def test_history_is_that_of_the_only_run(tmp_path):
    (tmp_path / "history.json").write_text("[]")
    (tmp_path / "best.pt").touch()
    assert (
        history_of([("a", tmp_path)])
        == history_of([("a", tmp_path / "best.pt")])
        == tmp_path / "history.json"
    )
    assert history_of([("a", tmp_path), ("b", tmp_path)]) is None
    assert history_of([("a", tmp_path / "other" / "best.pt")]) is None


@pytest.mark.parametrize("text", ['[{"epoch": 1}]', '{"epoch": 1}\n'])
def test_history_is_a_list_or_lines(tmp_path, text):
    (tmp_path / "history").write_text(text)
    assert read_history(tmp_path / "history") == [{"epoch": 1}]


@pytest.mark.parametrize("text", ["[1]", "{", json.dumps("epoch")])
def test_other_history_is_refused(tmp_path, text):
    (tmp_path / "history").write_text(text)
    with pytest.raises(TrackingError, match="no training history"):
        read_history(tmp_path / "history")
