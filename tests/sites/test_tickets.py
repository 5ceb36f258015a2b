"""Tickets: what they carry, and that nobody else can make, change or keep one."""

import time

import pytest

from rayster_spawner.tickets import PageView, make_ticket, read_ticket

KEY = "the-service's-token"
DAY_SECONDS = 24 * 3600
VIEW = PageView("ada", "gpu", ("cloud", "padova"))


@pytest.mark.parametrize(
    "view",
    [
        VIEW,
        PageView("ada", None, ()),
        PageView("adà|1:x", "", ("a",)),
        PageView("x" * 255, "n", ("p" * 40,) * 200),
    ],
    ids=["named-server", "no-server", "strange-names", "long"],
)
def test_a_ticket_says_what_it_was_made_of(view):
    assert read_ticket(KEY, make_ticket(KEY, view)) == view


def test_a_ticket_fits_into_a_header():
    assert "\n" not in make_ticket(KEY, PageView("a\nb", "s", ()))


@pytest.mark.parametrize("age_seconds,good", [(DAY_SECONDS - 60, True), (DAY_SECONDS + 60, False)])
def test_a_ticket_is_good_for_a_day(age_seconds, good):
    # given
    ticket = make_ticket(KEY, VIEW, clock=lambda: time.time() - age_seconds)
    # then
    assert (read_ticket(KEY, ticket) == VIEW) is good


@pytest.mark.parametrize(
    "text",
    ["", "x", "2|1:0|10:1|1:a|1:b|", "é" * 10, "1|2|3", "x" * 100_000, "\x00"],
    ids=["empty", "word", "half", "not-ascii", "old-format", "huge", "nul"],
)
def test_what_is_no_ticket_reads_as_none(text):
    assert read_ticket(KEY, text) is None


@pytest.mark.parametrize("position", range(0, 200, 17))
def test_a_changed_ticket_reads_as_none(position):
    # given
    ticket = make_ticket(KEY, VIEW)
    position %= len(ticket)
    changed = ticket[:position] + ("A" if ticket[position] != "A" else "B") + ticket[position + 1 :]
    # then
    assert read_ticket(KEY, changed) is None


def test_another_services_ticket_reads_as_none():
    assert read_ticket(KEY, make_ticket("another", VIEW)) is None


def test_a_ticket_does_not_tell_its_key():
    assert KEY not in make_ticket(KEY, VIEW)


def test_there_is_no_ticket_without_a_key():
    with pytest.raises(ValueError, match="token is empty"):
        make_ticket("", VIEW)
