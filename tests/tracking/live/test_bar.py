"""How far a long work is, where somebody looks."""

import sys

import IPython.display
import pytest

from herd_tracking.live import bar
from herd_tracking.live.bar import event_bar


class Handle:
    """What IPython returns for an output that can be changed."""

    def __init__(self):
        self.shown = []

    def update(self, told, raw):
        self.shown.append(told)


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook shows, one after the other."""
    handle = Handle()

    def display(told, raw, display_id):
        handle.update(told, raw)
        return handle

    monkeypatch.setattr(bar, "is_notebook", lambda: True)
    monkeypatch.setattr(bar, "_BETWEEN_SECONDS", 0)
    monkeypatch.setattr(IPython.display, "display", display)
    return handle.shown


def test_bar_in_a_notebook_ends_as_a_sentence(notebook):
    with event_bar("simulating", 3000) as advance:
        advance(1000)
        advance(2000)
    assert [one["text/plain"].split(" events")[0] for one in notebook] == [
        "simulating: 0 of 3,000",
        "simulating: 1,000 of 3,000",
        "simulating: 3,000 of 3,000",
        "simulating: 3,000 of 3,000",
    ]
    assert notebook[1]["text/html"].startswith('<progress value="1000" max="3000">')
    assert " left" in notebook[1]["text/plain"]
    assert (
        notebook[-1]["text/html"] == notebook[-1]["text/plain"] == "simulating: 3,000 of 3,000 events in 1 s"
    )


def test_bar_of_a_work_that_fails_says_how_far_it_came(notebook):
    with pytest.raises(RuntimeError), event_bar("importing", 10) as advance:
        advance(4)
        raise RuntimeError
    assert notebook[-1]["text/plain"].startswith("importing: 4 of 10 events")


def test_nothing_is_written_where_nobody_looks(capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with event_bar("simulating", 10) as advance:
        advance(10)
    assert capfd.readouterr() == ("", "")
