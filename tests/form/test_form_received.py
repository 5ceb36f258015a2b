"""What is read of forms and links: the chosen profile's fields as they were sent, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_spawner.form import options_from_form, options_from_query


def test_only_the_chosen_profiles_fields_are_read():
    formdata = {
        "profile": ["padova"],
        "padova--cpu": ["4"],
        "padova--walltime": [" 2h "],
        "leonardo--cpu": ["32"],
        "_xsrf": ["token"],
    }

    assert options_from_form(formdata) == {"profile": "padova", "cpu": "4", "walltime": "2h"}


@pytest.mark.parametrize(
    ("memory", "unit", "expected"),
    [
        pytest.param("64", "Gi", "64Gi", id="gib"),
        pytest.param("600", "Mi", "600Mi", id="mib"),
        pytest.param("4GB", "Gi", "4GB", id="own-unit"),
        pytest.param("64", "Gi; rm", "64", id="unknown-unit"),
        pytest.param("", "Gi", "", id="empty"),
    ],
)
def test_memory_takes_the_unit_beside_it(memory, unit, expected):
    formdata = {"profile": ["p"], "p--memory": [memory], "p--memory-unit": [unit]}

    assert options_from_form(formdata)["memory"] == expected


def test_unit_without_memory_is_nothing():
    assert options_from_form({"profile": ["p"], "p--memory-unit": ["Gi"]}) == {"profile": "p"}


@pytest.mark.parametrize("formdata", [{}, {"profile": []}, {"profile": [{"body": b"x"}]}, {"profile": None}])
def test_form_without_a_profile_has_no_options(formdata):
    assert options_from_form(formdata) == {}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            {"profile": ["padova-slurm"], "cpu": ["4"], "walltime": ["2h"]},
            {"profile": "padova-slurm", "cpu": "4", "walltime": "2h"},
            id="plain",
        ),
        pytest.param({"opt-profile": [b"padova"]}, {"profile": "padova"}, id="hub6-prefix-and-bytes"),
        pytest.param(
            {"profile": ["a", "b"], "redirects": ["1"], "_xsrf": ["x"], "next": ["/"], "display_name": ["d"]},
            {"profile": "a"},
            id="of-the-hub",
        ),
        pytest.param({"opt-cpus": ["4"], "color": ["red"]}, {"cpus": "4", "color": "red"}, id="no-option"),
        pytest.param({"opt-cpu": ["4"], "cpu": ["5"]}, {"cpu": "4"}, id="prefix-first"),
        pytest.param({"profile": [b"\xff\xfe"]}, {"profile": "\ufffd\ufffd"}, id="not-utf-8"),
        pytest.param({"cpu": "4"}, {"cpu": "4"}, id="bare-text"),
    ],
)
def test_spawn_link_is_read(query, expected):
    assert options_from_query(query) == expected


VALUES = st.one_of(
    st.none(),
    st.text(max_size=10),
    st.binary(max_size=10),
    st.lists(st.text(max_size=10) | st.binary(max_size=10) | st.integers(), max_size=3),
)
NAMES = st.text(max_size=12) | st.sampled_from(["profile", "p--cpu", "p--memory", "p--memory-unit"])


@given(st.dictionaries(NAMES, VALUES))
def test_any_form_and_query_become_texts_by_name(sent):
    for options in (options_from_form(sent), options_from_query(sent)):
        assert all(isinstance(text, str) for text in [*options, *options.values()])


def test_what_is_no_option_of_the_chosen_profile_is_kept_to_be_refused():
    formdata = {"profile": ["a"], "a--node_selector": ["x"], "a--b--cpu": ["4"], "b--color": ["red"]}

    assert options_from_form(formdata) == {"profile": "a", "node_selector": "x"}
