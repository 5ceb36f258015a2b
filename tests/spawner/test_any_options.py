"""Whatever JSON comes as options, a spawner raises HTTP 400 or 403, or has full options of an open profile."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado import web

from rayster_spawner.life.spawn_form import LinkShown

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["cloud", "padova", "physics", "lab", "{username}", "$(id)", "a\n#SBATCH -A x", "1e999", "\ud800"]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["profile", "image", "cpu", "memory", "gpu", "walltime"])
OPTIONS = JSON | st.dictionaries(FIELDS, SCALARS, max_size=6) | st.dictionaries(FIELDS, JSON, max_size=6)
RELAXED = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
async def spawner(make_spawner):
    """A spawner of a user without groups."""
    return make_spawner()


@RELAXED
@given(untrusted=OPTIONS)
async def test_options_are_refused_or_complete(spawner, untrusted):
    spawner.clear_state()
    spawner.user_options = untrusted
    try:
        await spawner._run_apply_user_options(untrusted)
    except web.HTTPError as error:
        assert error.status_code in (400, 403)
        error.jupyterhub_html_message.encode()
        assert spawner.mark is None and spawner.options is None
        return
    assert spawner.profile.name in ("cloud", "padova", "closing")
    assert json.loads(json.dumps(spawner.user_options)) == spawner.options.as_json()


@RELAXED
@given(saved=OPTIONS)
async def test_whatever_was_saved_the_form_is_shown_k4(spawner, saved):
    spawner.user_options = saved
    page = await spawner.get_options_form()
    page.encode()
    assert "Padova" in page and "Physics" not in page


VALUES = st.lists(st.text() | st.binary(), max_size=3)


@RELAXED
@given(
    fields=st.dictionaries(
        st.text() | FIELDS | st.sampled_from(["padova--cpu", "cloud--image"]), VALUES, max_size=6
    )
)
async def test_any_form_is_refused_or_complete_and_any_link_is_shown(spawner, fields):
    try:
        options = await spawner.run_options_from_form(fields)
    except web.HTTPError as error:
        assert error.status_code in (400, 403)
    else:
        assert spawner.parse(options)[1].as_json() == options
    with pytest.raises((LinkShown, web.HTTPError)) as caught:
        spawner.options_from_query(fields)
    assert getattr(caught.value, "status_code", 400) in (400, 403)
    assert "Padova" in await spawner.get_options_form()
