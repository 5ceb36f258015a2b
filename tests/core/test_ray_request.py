"""What may be asked of a Ray cluster: any JSON in, a typed request or one clear error per field out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_spawner.options import OptionsError
from rayster_spawner.profiles import Profile
from rayster_spawner.ray.request import ClusterRequest, read_title

from .conftest import profile_data

PROFILE = Profile.model_validate(
    profile_data(
        images=[
            {"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"},
            {"name": "other", "title": "Other", "image": "rayster/other:0.1.0"},
        ],
        ray={"version": "2.60.0", "workers": {"min": 1, "max": 8, "default": 2}},
        access={"groups": ["herd"]},
    )
)


def parse(**asked):
    """Return the request of somebody who may use the profile."""
    return ClusterRequest.parse({"profile": "padova", **asked}, PROFILE, ["herd"], user="ada")


def errors_of(asked):
    """Return what is wrong, by field."""
    with pytest.raises(OptionsError) as refused:
        ClusterRequest.parse(asked, PROFILE, ["herd"], user="ada")
    return {error.field: error.reason for error in refused.value.errors}


def test_what_is_left_out_is_the_profiles_default():
    assert parse() == ClusterRequest(
        profile="padova", image="lab", workers=2, cpus=2, memory_mib=4096, gpus=0, walltime_minutes=240
    )  # fmt: skip


SAID = [
    ("a-number", {"workers": 8}, "workers", 8),
    ("a-number-with-a-point", {"workers": 8.0}, "workers", 8),
    ("memory-with-unit", {"memory": "8Gi"}, "memory_mib", 8192),
    ("memory-in-gib", {"memory": 8}, "memory_mib", 8192),
    ("walltime-with-unit", {"walltime": "90m"}, "walltime_minutes", 90),
    ("gpus", {"gpus": 2}, "gpus", 2),
    ("image", {"image": "other"}, "image", "other"),
    ("title", {"name": "  My fits "}, "title", "My fits"),
    ("empty-title", {"name": "  "}, "title", None),
    ("server", {"server": "gpu"}, "server", "gpu"),
]


@pytest.mark.parametrize("asked,field,value", [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_what_is_said_is_taken(asked, field, value):
    assert getattr(parse(**asked), field) == value


WRONG = [
    ("too-few", {"workers": 0}, "workers", "must be 1 to 8"),
    ("too-many", {"workers": 9}, "workers", "must be 1 to 8"),
    ("truth", {"workers": True}, "workers", "whole number"),
    ("text", {"workers": "2"}, "workers", "whole number"),
    ("half", {"workers": 2.5}, "workers", "whole number"),
    ("infinite", {"workers": float("inf")}, "workers", "1 to 8"),
    ("not-a-number", {"workers": float("nan")}, "workers", "whole number"),
    ("endless", {"workers": 10**1000}, "workers", "must be 1 to 8"),
    ("cores", {"cpus": 17}, "cpus", "1 to 16 cores"),
    ("half-a-core", {"cpus": 1.5}, "cpus", "whole number"),
    ("memory", {"memory": "65Gi"}, "memory", "1 GiB to 64 GiB"),
    ("gpus", {"gpus": 5}, "gpus", "0 to 4"),
    ("walltime", {"walltime": "49h"}, "walltime", "10 min to 48 h"),
    ("image", {"image": "third"}, "image", "one of lab, other"),
    ("title-too-long", {"name": "x" * 61}, "name", "at most 60"),
    ("title-far-too-long", {"name": " " * 10**6}, "name", "at most 60"),
    ("title-of-lines", {"name": "a\r\nb"}, "name", "on one line"),
    ("title-that-turns", {"name": "a\u202eb"}, "name", "on one line"),
    ("server-of-lines", {"server": "a\nb"}, "server", "your servers"),
    ("a-servers-word", {"cpu": 2}, "'cpu'", "did you mean cpus?"),
]


@pytest.mark.parametrize("asked,field,reason", [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_cannot_be_is_told_by_the_name_that_it_was_asked_by(asked, field, reason):
    assert reason in errors_of({"profile": "padova", **asked})[field]


def test_all_mistakes_are_told_at_once():
    asked = {
        "workers": 0,
        "cpus": "x",
        "memory": [],
        "gpus": {},
        "walltime": 0,
        "image": 1,
        "name": 1,
        "server": 1,
    }
    assert set(errors_of(asked)) == set(asked)


@pytest.mark.parametrize("asked", [None, [], "padova", 5, True])
def test_what_is_no_object_is_refused(asked):
    assert "must be a JSON object" in errors_of(asked)["request"]


def test_a_profile_of_others_is_refused():
    with pytest.raises(OptionsError) as refused:
        ClusterRequest.parse({}, PROFILE, ["others"], user="ada")
    assert refused.value.status == 403


def test_a_profile_without_workers_is_refused():
    with pytest.raises(OptionsError, match="has no Ray workers"):
        ClusterRequest.parse({}, Profile.model_validate(profile_data()), user="ada")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)  # fmt: skip
KEYS = st.sampled_from(
    ["profile", "workers", "cpus", "memory", "gpus", "walltime", "image", "name", "server"]
)


@given(asked=st.dictionaries(KEYS | st.text(max_size=8), JSON, max_size=6) | JSON)
def test_any_json_is_a_request_within_bounds_or_a_refusal(asked):
    try:
        request = ClusterRequest.parse(asked, PROFILE, ["herd"], user="ada")
    except OptionsError as refused:
        assert refused.errors and all(len(error.value) <= 60 for error in refused.errors)
        str(refused).encode()  # nothing that cannot be sent
    else:
        assert 1 <= request.workers <= 8 and 1 <= request.cpus <= 16
        assert ClusterRequest.from_json(request.as_json()) == request


@given(text=st.text(max_size=80))
def test_a_title_is_one_line_that_can_be_sent(text):
    try:
        title = read_title(text)
    except ValueError:
        return
    assert title is None or (len(title) <= 60 and title.isprintable() and title.encode())


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"profile": 5}', '{"profile":"p","workers":-1}'])
def test_an_annotation_that_nobody_wrote_so_is_no_request(text):
    with pytest.raises(ValueError):
        ClusterRequest.from_json(text)


def test_an_annotation_of_a_newer_service_is_read():
    assert ClusterRequest.from_json(parse().as_json()[:-1] + ',"new_field":1}') == parse()


def test_what_one_worker_gets_is_what_offload_takes():
    options = parse(cpus=4, gpus=1, image="other").worker_options()
    assert (options.profile, options.cpu, options.gpu, options.image) == ("padova", 4, 1, "other")
