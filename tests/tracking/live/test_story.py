"""What is kept of a training's reports, and what a terminal shows of it."""

import io
import json
import re
from base64 import b64decode

import pytest
from bs4 import BeautifulSoup
from rich.console import Console

from herd_tracking.live import live_view
from herd_tracking.live.picture import page
from herd_tracking.live.story import MOST_STEPS, SHOWN_MESSAGES, Story
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
    assert story.workers == 1
    assert story.messages[-1].endswith("A worker was lost.")


def test_a_message_that_comes_again_and_again_does_not_push_others_out():
    story = Story()
    for text in ("A worker was lost.", *["Waiting for workers …"] * 9):
        story.say(text)
    assert [one.split("  ")[1] for one in story.messages] == ["A worker was lost.", "Waiting for workers …"]


def test_messages_that_come_at_once_stay_to_be_read():
    story = Story()
    for number in range(SHOWN_MESSAGES + 2):
        story.take({"message": f"Message {number}."})
    assert [one.split("  ")[1] for one in story.messages] == [
        f"Message {number}." for number in range(2, SHOWN_MESSAGES + 2)
    ]
    assert re.fullmatch(r"\d\d:\d\d:\d\d  Message 2\.", story.messages[0])


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


def test_headline_says_how_far_it_is_and_how_long_it_takes():
    story = Story()
    assert story.headline() == "0 epochs"
    told = {"epochs": 3, "steps_per_epoch": 100, "workers": 2}
    for report in (step(60, seconds=30.0, **told), end(1, 0.8, workers=2), step(120, seconds=30.0, **told)):
        story.take(report)
    assert story.headline() == "1 of 3 epochs · step 120 of 300 · 2 workers · about 2 min left"
    assert story.headline(is_over=True).endswith("2 workers")
    assert story.seconds_left() == pytest.approx(90)
    # On one worker steps take longer; what was before counts less and less.
    for number in range(130, 301, 10):
        story.take(step(number, seconds=10.0, **{**told, "workers": 1}))
    assert story.seconds_per_step == pytest.approx(1, rel=0.05)
    assert story.headline() == "1 of 3 epochs · step 300 of 300 · 1 worker"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (42, "42 s"), (600, "10 min"), (7500, "2 h 05 min")]
)
def test_time_left_is_said_in_the_unit_that_fits(seconds, text):
    story = Story()
    story.take(step(1, seconds=seconds, epochs=1, steps_per_epoch=2))
    assert story.headline().endswith(f"about {text} left")


def test_browser_is_sent_lists_that_stay_small():
    story = Story()
    for number in range(10 * MOST_STEPS):
        story.take(step(number, loss=1 / 3, events_per_s=1234.5678))
    story.take(end(1, 0.8))
    story.take({"epoch": 2, "val_auc": 0.9})
    told = story.as_dict()
    assert len(json.dumps(told)) < 25_000
    assert told["steps"]["loss"][0] == 0.33333
    assert told["epochs"] == {
        "epoch": [1, 2],
        "step": [10, None],
        "val_loss": [0.3, None],
        "val_auc": [0.8, 0.9],
    }


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


def test_what_stays_in_a_notebook_is_text_and_pictures_of_what_there_is():
    story = Story()
    story.say("In <runs> & more.")
    assert "<img" not in page(story, "Nothing")
    for report in (step(1), step(2), end(1, 0.8)):
        story.take(report)
    left = BeautifulSoup(page(story, "Preset <deep>"), "html.parser")
    assert left.strong.text == "Preset <deep>" and "In <runs> & more." in left.text
    assert [image["alt"] for image in left.find_all("img")] == [
        "Loss (cross-entropy per hit): training 0.5, validation 0.3",
        "Area under the ROC curve: validation 0.8",
        "Speed (events/s): training 1000",
    ]
    for image in left.find_all("img"):
        assert b64decode(image["src"].partition(",")[2]).startswith(b"\x89PNG")


def test_unknown_kind_of_view_is_refused():
    with pytest.raises(ValueError, match="allowed are auto"):
        live_view("loud")
