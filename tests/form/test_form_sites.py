"""Site states, notes of limits and the confirmation in the form's HTML; nobody runs JavaScript."""

import time
from datetime import datetime, timezone

import pytest
from bs4 import BeautifulSoup

from rayster_spawner.form import LivePage, render_form, said_anyway
from rayster_spawner.form.site_words import age_words, site_line
from rayster_spawner.options import FieldError
from rayster_spawner.site_facts import SiteState, SiteStatus

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
LIVE = LivePage("/services/rayster", "ticket-of-ada")
SINCE = datetime(2026, 11, 25, 14, 2, tzinfo=timezone.utc).timestamp()
AWAY = SiteStatus(SiteState.UNREACHABLE, "Unreachable since 25 Nov 2026 14:02 UTC", since=SINCE)


def page(profiles, **settings):
    return BeautifulSoup(render_form(profiles, **{"chosen": {}, **settings}), "html.parser")


def test_form_without_states_is_as_before(make_profile):
    soup = page([make_profile()])

    assert not soup.select("[data-site], [data-anyway], [data-site-news], symbol")
    assert not soup.select_one(".rs-form").has_attr("data-live-url")


@pytest.mark.parametrize(
    ("status", "text", "detail"),
    [
        pytest.param(
            SiteStatus(SiteState.AVAILABLE, "Available", "12 of 32 cores free, 3 jobs wait"),
            "Available",
            "12 of 32 cores free, 3 jobs wait",
            id="available",
        ),
        pytest.param(
            SiteStatus(SiteState.BUSY, "busy, typical wait about 25 min"),
            "Busy, typical wait about 25 min",
            "",
            id="busy",
        ),
        pytest.param(
            SiteStatus(SiteState.UNREACHABLE, "Queue is closed", "All its nodes are down."),
            "Queue is closed",
            "All its nodes are down.",
            id="closed",
        ),
        pytest.param(SiteStatus(SiteState.UNKNOWN, ""), "Unknown", "", id="unknown"),
    ],
)
def test_card_says_the_state_in_words_and_by_a_shape(make_profile, status, text, detail):
    soup = page([make_profile()], statuses={"padova": status})

    line = soup.select_one(".rs-card [data-site]")
    assert line["data-site"] == status.state.value
    assert line.select_one("[data-site-text]").get_text(strip=True) == text
    assert line.select_one("[data-site-detail]").get_text() == detail
    assert line.select_one("[data-site-detail]").has_attr("hidden") is not bool(detail)
    assert soup.select_one(line.select_one("use")["href"]).name == "symbol"


def test_state_is_part_of_what_is_read_of_the_radio_button(make_profile):
    soup = page([make_profile()], statuses={"padova": AWAY})

    described = soup.find(id=soup.select_one(".rs-radio")["aria-describedby"])
    assert "Unreachable since" in described.get_text()


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        pytest.param(datetime(2026, 11, 25, 23, 0, tzinfo=timezone.utc), "14:02 UTC", id="today"),
        pytest.param(datetime(2026, 11, 26, 1, 0, tzinfo=timezone.utc), "25 Nov, 14:02 UTC", id="yesterday"),
    ],
)
def test_moment_is_for_people_and_for_the_script(now, shown):
    line = site_line(AWAY, now)

    assert (line.text, line.since, line.since_utc) == ("Unreachable since", "2026-11-25T14:02:00Z", shown)


@pytest.mark.parametrize(
    ("state", "age_seconds", "words"),
    [
        (SiteState.AVAILABLE, None, ""),
        (SiteState.AVAILABLE, 59, ""),
        (SiteState.AVAILABLE, 60, "as of 1 min ago"),
        (SiteState.BUSY, 3599, "as of 59 min ago"),
        (SiteState.UNKNOWN, 3600, "last heard 1 h ago"),
        (SiteState.UNKNOWN, 10 * 86400, "last heard 10 d ago"),
    ],
)
def test_only_an_old_state_has_an_age(state, age_seconds, words):
    assert age_words(state, age_seconds) == words


@pytest.mark.parametrize("live", [None, LIVE], ids=["alone", "live"])
def test_unreachable_site_has_to_be_confirmed(make_profile, live):
    soup = page([make_profile()], statuses={"padova": AWAY}, live=live)

    block = soup.select_one("[data-panel] [data-anyway]")
    box = block.select_one("input[type=checkbox]")
    assert not block.has_attr("hidden")
    assert (box["name"], box["value"]) == ("anyway-padova", "yes")
    assert box.has_attr("required") and not box.has_attr("disabled") and not box.has_attr("checked")
    assert (
        block.select_one("label").get_text(" ", strip=True)
        == "padova does not answer. Queue here anyway; it starts when the site is back."
    )


@pytest.mark.parametrize(
    ("chosen", "status", "ticked"),
    [
        pytest.param("padova", AWAY, ["anyway-padova"], id="away"),
        pytest.param("padova", SiteStatus(SiteState.AVAILABLE, "Available"), [], id="back-by-now"),
        pytest.param("gone", AWAY, [], id="profile-vanished"),
    ],
)
def test_tick_of_a_form_that_comes_back_stays(make_profile, chosen, status, ticked):
    profiles = [make_profile(), make_profile(name="other")]

    html = render_form(
        profiles,
        chosen={"profile": chosen},
        errors=[FieldError("cpu", "999", "too many")],
        statuses={"padova": status, "other": AWAY},
        live=LIVE,
        is_anyway=True,
    )

    boxes = BeautifulSoup(html, "html.parser").select("[data-anyway-box][checked]")
    assert [box["name"] for box in boxes] == ticked


def test_closed_queue_is_not_called_a_site_that_does_not_answer(make_profile):
    status = SiteStatus(SiteState.UNREACHABLE, "Queue is closed")

    soup = page([make_profile()], statuses={"padova": status})

    assert soup.select_one("[data-anyway-why]").get_text() == "padova: Queue is closed."


def test_confirmation_waits_hidden_in_a_live_form_and_asks_nothing(make_profile, submitted):
    html = render_form([make_profile()], chosen={}, live=LIVE)

    soup = BeautifulSoup(html, "html.parser")
    assert soup.select_one("[data-anyway]").has_attr("hidden")
    assert soup.select_one("[data-anyway] input").has_attr("disabled")
    assert soup.select_one("[data-site]").has_attr("hidden")
    assert not said_anyway(submitted(html), "padova")


def test_error_of_the_profile_stands_beside_the_confirmation(make_profile):
    error = FieldError("profile", "padova", "its site does not answer: tick the box")

    soup = page([make_profile()], chosen={"profile": "padova"}, errors=[error], statuses={"padova": AWAY})

    box = soup.select_one("[data-anyway] input")
    assert box["aria-invalid"] == "true" and box.has_attr("autofocus")
    assert soup.find(id=box["aria-describedby"]).get_text() == "Its site does not answer: tick the box."
    assert soup.select_one("[role=alert] a")["href"] == f"#{box['id']}"
    assert len(soup.select("[autofocus]")) == 1


def test_note_stands_on_its_card_only(make_profile):
    soup = page([make_profile(), make_profile(name="other")], notes={"other": f"You have 3 of 3. {EVIL}"})

    notes = soup.select(".rs-limit")
    assert [note.get_text() for note in notes] == [f"You have 3 of 3. {EVIL}"]
    assert notes[0].find_parent(attrs={"data-option": "other"})
    assert not soup.select("script, img")


def test_words_of_a_site_and_the_live_page_are_escaped(make_profile):
    status = SiteStatus(SiteState.UNREACHABLE, EVIL, EVIL, 100)

    soup = page([make_profile()], statuses={"padova": status}, live=LivePage(f"/{EVIL}", EVIL))

    assert not soup.select("script, img")
    assert soup.select_one(".rs-form")["data-live-ticket"] == EVIL
    assert soup.select_one("[data-site-detail]").get_text() == EVIL


def test_ids_are_unique_with_states(make_profile):
    profiles = [make_profile(name=name) for name in ("a", "b")]

    soup = page(profiles, statuses={"a": AWAY, "b": AWAY}, live=LIVE)

    ids = [element["id"] for element in soup.select("[id]")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("formdata", "expected"),
    [
        pytest.param({"anyway-padova": ["yes"]}, True, id="ticked"),
        pytest.param({}, False, id="not-ticked"),
        pytest.param({"anyway-other": ["yes"]}, False, id="of-another-profile"),
        pytest.param({"anyway-padova": ["no"]}, False, id="another-value"),
        pytest.param({"anyway-padova": [{"body": b"yes"}]}, False, id="a-file"),
        pytest.param({"anyway-padova": [b"yes"]}, True, id="bytes"),
    ],
)
def test_said_anyway_is_the_tick_of_that_very_profile(formdata, expected):
    assert said_anyway(formdata, "padova") is expected


def test_form_of_many_profiles_is_printed_fast(make_profile):
    # Given 200 profiles with states
    profiles = [make_profile(name=f"p{n}", title=f"Profile {n}") for n in range(200)]
    statuses = {profile.name: SiteStatus(SiteState.BUSY, "Busy", "1 core free", 90) for profile in profiles}

    # When the form is printed several times
    cpu_seconds = []
    for n in range(5):
        began = time.process_time()
        render_form(profiles, chosen={"profile": f"p{n}"}, statuses=statuses, live=LIVE)
        cpu_seconds.append(time.process_time() - began)

    # Then it takes some 20 ms; a slow machine may need a few times that
    assert min(cpu_seconds) < 0.15
