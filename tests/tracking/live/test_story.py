"""What is kept of a training's reports, and what a terminal shows of it."""

import io

import pytest
from rich.console import Console

from herd_tracking.live import live_view
from herd_tracking.live.picture import picture
from herd_tracking.live.story import MOST_STEPS, Story
from herd_tracking.live.terminal import TerminalView


def step(number, loss=0.5, **other):
    return {"epoch": 1, "step": number, "loss": loss, "events_per_s": 1000.0, **other}


def end(epoch, auc, **other):
    return {"epoch": epoch, "step": 10 * epoch, "train_loss": 0.4, "val_loss": 0.3, "val_auc": auc, **other}


def test_steps_and_ends_of_epochs_are_told_apart():
    story = Story()
    for report in (
        step(1),
        step(2),
        end(1, 0.8),
        end(2, 0.9),
        {"message": "A worker was lost.", "workers": 1},
    ):
        story.take(report)
    assert [one["step"] for one in story.steps] == [1, 2]
    assert [one["val_auc"] for one in story.epochs] == [0.8, 0.9]
    assert (story.best_auc(), story.said, story.workers) == (0.9, "A worker was lost.", 1)


def test_resumed_training_replaces_what_it_does_again():
    story = Story()
    for report in (step(1), step(2), step(3), end(1, 0.8), end(2, 0.9), step(2, 0.1), end(2, 0.7)):
        story.take(report)
    assert [(one["step"], one["loss"]) for one in story.steps] == [(1, 0.5), (2, 0.1)]
    assert [one["val_auc"] for one in story.epochs] == [0.8, 0.7]


def test_long_training_stays_small_and_keeps_its_newest_point():
    story = Story()
    for number in range(10 * MOST_STEPS + 1):
        story.take(step(number, loss=float(number)))
    assert len(story.steps) < 2 * MOST_STEPS
    assert story.steps[-1]["step"] == 10 * MOST_STEPS
    assert all(a["step"] < b["step"] for a, b in zip(story.steps, story.steps[1:], strict=False))


def test_what_is_no_number_is_no_point():
    story = Story()
    story.take(step(1, loss=float("nan")))
    assert story.steps == []


def test_terminal_shows_epochs_and_the_newest_step():
    written = io.StringIO()
    view = TerminalView("Deep", Console(file=written, width=100))
    view.report(end(1, 0.8765))
    view.report(step(12, 0.4321))
    view.finish("Finished.")
    text = written.getvalue()
    assert "0.8765" in text and "0.4321" in text and "Finished." in text


def test_picture_is_drawn_of_any_story():
    story = Story()
    assert picture(story, "Nothing").startswith(b"\x89PNG")
    for report in (step(1), step(2), end(1, 0.8)):
        story.take(report)
    assert picture(story, "Something").startswith(b"\x89PNG")


def test_unknown_kind_of_view_is_refused():
    with pytest.raises(ValueError, match="allowed are auto"):
        live_view("loud")
