"""What stands in the form: every bound, every error beside its field, and nothing that was not escaped."""

from datetime import datetime, timedelta, timezone

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from rayster_spawner.form import options_from_form, pending_view, render_form, summarise
from rayster_spawner.options import FIELDS, OptionsError, ServerOptions
from rayster_spawner.quantities import format_walltime, parse_walltime_minutes, walltime_text

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def page(profiles, chosen=None, errors=()):
    return BeautifulSoup(render_form(profiles, chosen=chosen or {}, errors=errors), "html.parser")


def refused(options, profile):
    with pytest.raises(OptionsError) as caught:
        ServerOptions.parse(options, profile)
    return caught.value.errors


def control(soup, field, profile="padova"):
    return soup.select_one(f"#rs-{profile}-{field}")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param("cpu", {"min": "1", "max": "16", "value": "2", "step": "1"}, id="cores"),
        pytest.param("memory", {"min": "1", "max": "64", "value": "4", "step": "1"}, id="memory"),
        pytest.param("gpu", {"min": "0", "max": "4", "value": "0", "step": "1"}, id="gpus"),
        pytest.param(
            "walltime", {"data-min-minutes": "10", "data-max-minutes": "1440", "value": "4h"}, id="walltime"
        ),
    ],
)
def test_controls_carry_bounds_and_default(make_profile, field, expected):
    found = control(page([make_profile()]), field)

    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("cpu", "1 to 16 cores"),
        ("memory", "1 GiB to 64 GiB"),
        ("gpu", "0 to 4 × A100"),
        ("walltime", "10 min to 24 h. Such as 90m, 2h30m or 02:30:00"),
    ],
)
def test_controls_are_described_by_their_bounds(make_profile, field, hint):
    soup = page([make_profile()])

    described = control(soup, field)["aria-describedby"]

    assert soup.find(id=described).get_text() == hint


def test_card_says_what_the_profile_offers_and_where(make_profile):
    profile = make_profile(description="For the impatient.", slurm={"partition": "fast"})

    card = page([profile]).select_one(".rs-card")

    assert [chip.get_text() for chip in card.select(".rs-chip")] == [
        "up to 16 cores",
        "up to 64 GiB",
        "up to 4 × A100",
        "up to 24 h",
    ]
    assert card.select_one(".rs-place").get_text() == "padova · SLURM queue fast"
    assert card.select_one(".rs-description").get_text() == "For the impatient."
    assert card.select_one("svg path")["d"]


@pytest.mark.parametrize("icon", ["cloud", "cpu", "gpu", "cluster", "grid"])
def test_every_icon_of_the_schema_is_drawn(make_profile, icon):
    assert page([make_profile(icon=icon)]).select_one("svg path")["d"].startswith("M")


def test_image_is_a_list_when_there_are_many(make_profile):
    images = [{"name": f"i{n}", "title": f"Image {n}", "image": "rayster/notebook:0.1.0"} for n in range(9)]

    select = page([make_profile(images=images)], {"profile": "padova", "image": "i7"}).select_one("select")

    assert len(select.select("option")) == 9
    assert select.select_one("option[selected]")["value"] == "i7"


def test_memory_is_in_mib_when_gib_cannot_say_it(make_profile, submitted):
    profile = make_profile(memory={"min": "512Mi", "max": "1000Mi", "default": "600Mi"})
    html = render_form([profile], chosen={})

    found = control(BeautifulSoup(html, "html.parser"), "memory")

    assert (found["min"], found["max"], found["value"]) == ("512", "1000", "600")
    assert options_from_form(submitted(html))["memory"] == "600Mi"


def test_what_cannot_be_chosen_is_said_and_still_sent(make_profile, submitted):
    profile = make_profile(cpu={"min": 4, "max": 4, "default": 4})
    html = render_form([profile], chosen={})

    assert BeautifulSoup(html, "html.parser").find(id="rs-padova-cpu-hint").get_text() == "4 cores"
    assert options_from_form(submitted(html))["cpu"] == "4"


def test_saved_options_fill_the_form(make_profile):
    profile = make_profile()
    saved = ServerOptions.parse({"cpu": 7, "memory": "1536Mi", "walltime": "90m", "image": "torch"}, profile)

    soup = page([make_profile(name="other"), profile], saved.as_json())

    assert soup.select_one("input[name=profile][checked]")["value"] == "padova"
    assert control(soup, "cpu")["value"] == "7"
    assert control(soup, "memory")["value"] == "1536"
    assert control(soup, "walltime")["value"] == "1h30m"
    assert control(soup, "image")["value"] == "torch"
    assert control(soup, "cpu", "other")["value"] == "2"


HOSTILE = [
    pytest.param(None, id="none"),
    pytest.param([1, 2], id="list"),
    pytest.param("profile", id="text"),
    pytest.param({"profile": ["padova"]}, id="profile-list"),
    pytest.param({"profile": EVIL, "cpu": EVIL}, id="profile-evil"),
    pytest.param({"profile": "gone", "cpu": 3}, id="profile-gone"),
    pytest.param({"profile": "padova", "cpu": EVIL, "memory": EVIL, "image": EVIL}, id="markup"),
    pytest.param({"profile": "padova", "cpu": float("nan"), "gpu": 10**400, "walltime": {}}, id="numbers"),
    pytest.param({"profile": "padova", 7: 7, "cpu": "1\n#SBATCH --wrap=x"}, id="newline"),
]


@pytest.mark.parametrize("chosen", HOSTILE)
def test_hostile_saved_options_give_way_to_defaults(make_profile, submitted, chosen):
    profile = make_profile()

    html = render_form([profile], chosen=chosen)

    assert ServerOptions.parse(options_from_form(submitted(html)), profile) == ServerOptions.parse(
        {}, profile
    )
    assert "<script>" not in html and "<img" not in html and "SBATCH" not in html


def test_usable_values_survive_beside_hostile_ones(make_profile):
    soup = page([make_profile()], {"profile": "padova", "cpu": 9, "memory": EVIL})

    assert control(soup, "cpu")["value"] == "9"
    assert control(soup, "memory")["value"] == "4"


def test_admins_texts_are_escaped(make_profile):
    profile = make_profile(
        title="A<script>alert(1)</script>",
        description=EVIL,
        gpu={"max": 4, "type": "<b>GPU</b>"},
        images=[{"name": "lab", "title": "<i>Lab</i>", "image": "rayster/notebook:0.1.0"}],
    )

    soup = page([profile])

    assert not soup.select("script, b, i, img")
    assert soup.select_one(".rs-title").get_text() == "A<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("field", "typed", "reason"),
    [
        pytest.param("cpu", "99", "Must be 1 to 16 cores.", id="too-many-cores"),
        pytest.param("gpu", "-1", "Must be a number, 0 to 4.", id="negative-gpus"),
        pytest.param("walltime", EVIL, "Must be a duration", id="markup-as-walltime"),
        pytest.param("memory", "4 GB of the best", "Must be an amount", id="prose-as-memory"),
    ],
)
def test_errors_come_back_beside_their_field(make_profile, field, typed, reason):
    profile = make_profile()
    options = {"profile": "padova", field: typed}

    soup = page([profile], options, refused(options, profile))

    found = control(soup, field)
    assert found["value"] == typed
    assert found["aria-invalid"] == "true"
    assert found.has_attr("autofocus")
    said = [soup.find(id=part).get_text() for part in found["aria-describedby"].split()]
    assert said[-1].startswith(reason)
    assert soup.select_one(f"[role=alert] a[href='#rs-padova-{field}']")
    assert not soup.select("script, img")


def test_only_the_first_error_takes_the_focus(make_profile):
    profile = make_profile()
    options = {"profile": "padova", "walltime": "never", "cpu": "0"}

    soup = page([profile], options, refused(options, profile))

    assert [found["id"] for found in soup.select("[autofocus]")] == ["rs-padova-cpu"]
    assert len(soup.select("[role=alert] li")) == 2


def test_number_that_is_none_is_shown_as_text(make_profile):
    # A number input shows nothing at all for a value that is no number.
    profile = make_profile()
    options = {"profile": "padova", "cpu": "many"}

    found = control(page([profile], options, refused(options, profile)), "cpu")

    assert (found["type"], found["value"]) == ("text", "many")


def test_memory_that_was_refused_keeps_its_number(make_profile, submitted):
    profile = make_profile()
    typed = options_from_form(submitted(render_form([profile], chosen={}), **{"padova--memory": "900"}))

    found = control(page([profile], typed, refused(typed, profile)), "memory")

    assert (found["type"], found["value"]) == ("number", "900")


def test_error_of_no_field_is_in_the_summary(make_profile):
    profile = make_profile()
    options = {"profile": "padova", "color": EVIL}

    soup = page([profile], options, refused(options, profile))

    assert "color" in soup.select_one("[role=alert]").get_text()
    assert not soup.select("[aria-invalid], script")
    assert soup.select_one("[role=alert]").has_attr("autofocus")


def test_error_of_a_vanished_profile_does_not_mark_another_ones_fields(make_profile):
    error = refused({"profile": "gone", "cpu": "99"}, make_profile())

    soup = page([make_profile()], {"profile": "gone", "cpu": "99"}, error)

    assert control(soup, "cpu")["value"] == "2"
    assert not soup.select("[aria-invalid]")


def test_no_profile_is_a_friendly_page_and_not_a_form():
    soup = page([])

    assert "No profile is open to you" in soup.get_text()
    assert not soup.select("input, button")


def test_ids_are_unique_and_references_lead_somewhere(make_profile):
    profiles = [make_profile(name=name) for name in ("a", "b", "c")]
    options = {"profile": "b", "cpu": "0"}

    soup = page(profiles, options, refused({"cpu": "0"}, profiles[1]))

    ids = [element["id"] for element in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    for attribute in ("for", "aria-labelledby", "aria-describedby"):
        for element in soup.select(f"[{attribute}]"):
            assert set(element[attribute].split()) <= set(ids), element


WHOLE = st.tuples(*[st.integers(1, 4096)] * 3).map(sorted)
MEMORY = st.tuples(*[st.integers(1, 2**20)] * 3).map(sorted)
MINUTES = st.tuples(*[st.integers(1, 366 * 24 * 60)] * 3).map(sorted)
THOUSANDTHS = st.tuples(*[st.integers(1, 4096_000)] * 3).map(sorted)


def bounds(triple, form=lambda value: value):
    low, middle, high = triple
    return {"min": form(low), "default": form(middle), "max": form(high)}


@st.composite
def profile_changes(draw):
    is_batch = draw(st.booleans())
    cores = bounds(draw(WHOLE)) if is_batch else bounds(draw(THOUSANDTHS), lambda n: n / 1000)
    walltime = bounds(draw(MINUTES), lambda n: f"{n}m")
    return {
        "scheduler": "slurm" if is_batch else "none",
        "site": "padova" if is_batch else "cloud",
        "cpu": cores,
        "memory": bounds(draw(MEMORY), lambda n: f"{n}Mi"),
        "gpu": draw(st.none() | st.tuples(*[st.integers(1, 1024)] * 3).map(sorted).map(bounds)),
        "walltime": walltime if is_batch else None,
        "images": [
            {"name": f"i{n}", "title": f"I{n}", "image": "rayster/notebook:0.1.0"}
            for n in range(draw(st.integers(1, 6)))
        ],
    }


@settings(max_examples=80, deadline=None)
@given(changes=profile_changes(), data=st.data())
def test_form_gives_back_what_it_was_filled_with(make_profile, submitted, changes, data):
    # Given a profile, and its defaults or anything else that it allows
    profile = make_profile(**changes)
    defaults = ServerOptions.parse({}, profile)
    chosen = defaults.model_copy(
        update={
            "memory_mib": data.draw(st.integers(profile.memory.min, profile.memory.max)),
            "image": data.draw(st.sampled_from([image.name for image in profile.images])),
        }
    )

    for options in (defaults, chosen):
        # When the form is sent as it is shown
        html = render_form([make_profile(name="first"), profile], chosen=options.as_json())
        sent = options_from_form(submitted(html))

        # Then the same options come back
        assert set(sent) <= set(FIELDS)
        assert ServerOptions.parse(sent, profile) == options


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(values=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_any_refused_options_are_shown_and_never_raise(make_profile, values):
    profile = make_profile()
    options = values | {"profile": "padova"}
    try:
        ServerOptions.parse(options, profile)
        errors = ()
    except OptionsError as refusal:
        errors = refusal.errors

    soup = page([profile], options, errors)

    assert len(soup.select("[role=alert] li")) == len(errors)
    assert {tag.name for tag in soup.find_all()} <= {
        *("div", "fieldset", "legend", "label", "input", "span", "svg", "path", "p", "kbd", "button"),
        *("details", "summary", "ul", "li", "a"),
    }


@given(minutes=st.integers(1, 366 * 24 * 60))
def test_walltime_text_is_read_back(minutes):
    assert parse_walltime_minutes(walltime_text(minutes)) == minutes


@pytest.mark.parametrize(
    ("minutes", "words"), [(0, "0 min"), (90, "1 h 30 min"), (1440, "24 h"), (2880, "48 h"), (10080, "7 d")]
)
def test_format_walltime(minutes, words):
    assert format_walltime(minutes) == words


def test_summary_is_one_plain_line(make_profile):
    profile = make_profile(title="Leonardo Booster")
    options = ServerOptions.parse({"cpu": 8, "memory": "64Gi", "gpu": 1, "walltime": "2h"}, profile)

    assert summarise(profile, options) == "Leonardo Booster: 8 cores, 64 GiB, 1 GPU for 2 h"


def test_summary_leaves_out_what_there_is_none_of(make_profile):
    profile = make_profile(title="Cloud", site="cloud", scheduler="none", gpu=None, walltime=None)

    assert summarise(profile, ServerOptions.parse({"cpu": 1}, profile)) == "Cloud: 1 core, 4 GiB"


@pytest.mark.parametrize("zone", [None, timezone.utc, timezone(timedelta(hours=5))])
def test_pending_view_counts_from_the_start_of_the_spawn(make_profile, zone):
    profile = make_profile()
    now = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
    since = now - timedelta(minutes=3)
    since = since.replace(tzinfo=None) if zone is None else since.astimezone(zone)

    view = pending_view(profile, ServerOptions.parse({}, profile), since, now)

    assert view == ("Padova: 2 cores, 4 GiB for 4 h", "Lab", 180)
