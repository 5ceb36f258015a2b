"""What stands in annotations is read back as it was written, and whatever else stands there counts as nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_spawner.ray import names
from rayster_spawner.ray.records import (
    Stopped,
    ended_of,
    idle_since,
    requested_at,
    stopped_of,
    write_ended,
    write_stopped,
)

from .factories import NOW, cluster, ended


def with_text(annotation: str, text: str):
    found = cluster()
    found["metadata"]["annotations"][annotation] = text
    return found


def test_records_are_read_back():
    gone = (ended("a", -20, worked=30), ended("b", -10, code="walltime"))
    assert ended_of(with_text(names.ENDED_WORKERS, write_ended(gone))) == gone
    stopped = Stopped("idle", "because", NOW)
    assert stopped_of(with_text(names.STOPPED_BECAUSE, write_stopped(stopped))) == stopped


FAR = '{"pod":"a","uid":"b","group":"w","code":"c","message":"m","why":"d","at":1e999}'
WRONG = [FAR, f"[{FAR}]", "", "null", "7", "{", "[1]", '{"a": 1}', '[{"pod": 1}]', '[{"pod":"a","uid":"b","group":"w","code":"c","why":"d","at":"x"}]', "[" * 5000]  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_somebody_else_wrote_counts_as_nothing(text):
    assert ended_of(with_text(names.ENDED_WORKERS, text)) == ()
    assert stopped_of(with_text(names.STOPPED_BECAUSE, text)) is None


@given(st.text())
def test_no_text_breaks_the_reader(text):
    for annotation, read in (
        (names.ENDED_WORKERS, ended_of),
        (names.STOPPED_BECAUSE, stopped_of),
        (names.IDLE_SINCE, idle_since),
        (names.REQUESTED_AT, requested_at),
    ):
        read(with_text(annotation, text))


@pytest.mark.parametrize("text", ["nan", "inf", "soon", ""])
def test_a_moment_is_a_number(text):
    assert idle_since(with_text(names.IDLE_SINCE, text)) is None
